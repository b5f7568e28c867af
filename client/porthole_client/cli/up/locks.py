"""Locks that a process holds by being alive: nobody has to tidy them up."""

import fcntl
import os
from pathlib import Path


def take(path: Path) -> int | None:
    """Return an open descriptor that holds the lock `path`, or None if another has it.

    The lock lasts until the descriptor and all copies of it that were inherited are closed.
    """
    return _take(path, fcntl.LOCK_EX)


def share(path: Path) -> int:
    """Return an open descriptor that holds the lock `path` together with others who share it.

    Raises:
        BlockingIOError: somebody has it alone.
    """
    descriptor = _take(path, fcntl.LOCK_SH)
    if descriptor is None:
        raise BlockingIOError(f"{path} is locked")
    return descriptor


def _take(path: Path, kind: int) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock `path` now."""
    if not path.exists():
        return True
    descriptor = take(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True
