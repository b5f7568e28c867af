"""Logs of the parts: each writes to its own file, `up` keeps the files small.

A part writes to its file itself, so that its last words are kept when `up` is killed.
"""

import contextlib
import os
import shutil
from pathlib import Path

LONGEST = 8 * 1024 * 1024  # bytes; there is one older file of the same size
TAIL = 4096  # bytes that are looked at for the last lines


def open_for(path: Path) -> int:
    """Return a descriptor that appends to a log, readable by its owner only."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def bound(path: Path) -> None:
    """Move a log that has grown too long aside and begin it again.

    The writer keeps its descriptor: the file is copied and cut. A line that is written in
    between is lost. What cannot be copied is cut all the same: the disk may be full of it.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LONGEST:
            with contextlib.suppress(OSError):
                shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last `count` lines of a log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL))
            return log.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
