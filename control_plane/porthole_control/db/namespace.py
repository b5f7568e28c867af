"""A mount namespace of our own, in which an unprivileged server sees what it needs.

The environment and the home may both lie below a directory that only root may enter.
Nothing of that is opened for anybody: this process takes a copy of all mounts that nobody
else sees, and in it binds the few directories to places below `/run`.
"""

import ctypes
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_MS_NOSUID = 0x2
_MS_NODEV = 0x4

_libc = ctypes.CDLL(None, use_errno=True)


def enter(stage: Path, directories: Mapping[str, Path], files: Mapping[Path, Path]) -> None:
    """Move this process into a mount namespace of its own.

    Args:
        stage: an empty directory outside; inside, `stage/<name>` is each of `directories`.
        directories: name below `stage` to where it really is.
        files: path to the file that shall be seen there instead.

    Raises:
        OSError: the kernel does not allow it (no CAP_SYS_ADMIN).
    """
    stage.mkdir(mode=0o755, parents=True, exist_ok=True)
    _check(_libc.unshare(_CLONE_NEWNS), "a mount namespace")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    with ExitStack() as held:
        # Held open before the next mount, which may cover where they are.
        sources = {name: _hold(held, path) for name, path in directories.items()}
        shown = {path: _hold(held, file) for path, file in files.items()}
        _mount("tmpfs", str(stage), "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=64k")
        for name, source in sources.items():
            target = stage / name
            target.mkdir(parents=True)
            _mount(f"/proc/self/fd/{source}", str(target), None, _MS_BIND)
        for path, source in shown.items():
            _mount(f"/proc/self/fd/{source}", str(path), None, _MS_BIND)


def _hold(held: ExitStack, path: Path) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    held.callback(os.close, descriptor)
    return descriptor


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    arguments = [None if value is None else os.fsencode(value) for value in (source, target, kind)]
    done = _libc.mount(*arguments, ctypes.c_ulong(flags), data and data.encode())
    _check(done, f"a mount on {target}")


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
