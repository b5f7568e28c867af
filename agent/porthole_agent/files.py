"""Files that are whole or not there, and locks that live as long as a process does."""

import contextlib
import fcntl
import os
import shutil
import signal
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`; on disk and whole when this returns."""
    new = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(new, flags, mode), "wb") as file:  # noqa: PTH123 - a descriptor
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names that came or went in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove a folder and what is in it, durably; one that is not there is no error."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)
        sync_directory(path.parent)


def take_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock `path`, or None if somebody else has it.

    The lock is held as long as any process has this descriptor; a child that is to hold it
    is given it, then it is closed here.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock `path`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def kill_holders(path: Path) -> int:
    """Kill every process that has `path` open, this one excepted; return how many.

    The last resort for a lock that is still held: who has the file open holds it, so no
    recorded number can be somebody else's by now.
    """
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return 0
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(int(entry.name))
            try:
                if _has_open(entry, wanted):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    killed += 1
            finally:
                os.close(pidfd)
    return killed


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.path.samestat(descriptor.stat(), wanted):
                return True
    return False
