"""A folder as one stream of bytes, tar or zip, made while it is sent.

Links are put in as links (tar) or left out (zip), never followed. A file that grows or shrinks
meanwhile is cut, or filled up with zeros, to the size that was promised for it.
"""

import contextlib
import io
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .rooted import text_of
from .uploads import PREFIX

_PIECE: Final = 256 * 1024
FORMATS: Final = ("tar", "zip")
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    about: os.stat_result
    target: str = ""
    fd: int = -1


def archive(folder: int, name: bytes, kind: str) -> Iterator[bytes]:
    """Return the pieces of an archive of an open folder, in which it is called `name`.

    Raises:
        OSError: the folder cannot be read.
    """
    return _tar(folder, text_of(name)) if kind == "tar" else _zip(folder, text_of(name))


def _tar(folder: int, name: str) -> Iterator[bytes]:
    for found in _walk(folder, name):
        info = tarfile.TarInfo(found.name)
        info.mode = stat.S_IMODE(found.about.st_mode)
        info.mtime = int(found.about.st_mtime)
        if found.target:
            info.type, info.linkname = tarfile.SYMTYPE, found.target
        elif found.fd < 0:
            info.type = tarfile.DIRTYPE
        else:
            info.size = found.about.st_size
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if found.fd >= 0:
            yield from _content(found)
            yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _zip(folder: int, name: str) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for found in _walk(folder, name):
            if found.target:
                continue
            written = found.name.encode("utf-8", "surrogateescape").decode(errors="replace")
            info = zipfile.ZipInfo(written + ("/" if found.fd < 0 else ""), _EARLIEST)
            with contextlib.suppress(ValueError, OverflowError, OSError):
                info.date_time = max(time.localtime(found.about.st_mtime)[:6], _EARLIEST)
            info.external_attr = (found.about.st_mode & 0xFFFF) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            if found.fd < 0:
                made.writestr(info, b"")
                continue
            with made.open(info, "w", force_zip64=True) as entry:
                for piece in _content(found):
                    entry.write(piece)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """What a zip is written to, and taken from."""

    def __init__(self) -> None:
        super().__init__()
        self._made = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._made += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._made)
        self._made.clear()
        return taken


def _walk(folder: int, name: str) -> Iterator[_Found]:
    """Return everything in a folder, folders before what is in them; files are open meanwhile."""
    for path, folders, files, at in os.fwalk(b".", dir_fd=folder, follow_symlinks=False):
        under = name + text_of(path[1:])
        yield _Found(under, os.fstat(at))
        linked = [one for one in folders if _is_link(one, at)]
        for file in (*linked, *files):
            if not file.startswith(PREFIX):
                yield from _one(f"{under}/{text_of(file)}", file, at)


def _one(name: str, file: bytes, at: int) -> Iterator[_Found]:
    try:
        about = os.stat(file, dir_fd=at, follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            yield _Found(name, about, target=text_of(os.readlink(file, dir_fd=at)))
            return
        if not stat.S_ISREG(about.st_mode):
            return
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except OSError:
        return  # gone, or not for the desktop's user
    try:
        yield _Found(name, os.fstat(fd), fd=fd)
    finally:
        os.close(fd)


def _content(found: _Found) -> Iterator[bytes]:
    left = found.about.st_size
    while left:
        data = os.read(found.fd, min(left, _PIECE)) or bytes(min(left, _PIECE))
        left -= len(data)
        yield data


def _is_link(name: bytes, at: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return False
