"""A folder whose files are reached by relative paths that never lead out of it.

Where the kernel can (openat2, Linux 5.6), it sees to that itself: `..` and links are followed as
long as they stay inside. Elsewhere each part of a path is opened by itself and no link is
followed. Paths are bytes; everything is relative to descriptors, so that whoever moves folders
about meanwhile gains nothing.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_OPENAT2: Final = 437  # the same on every architecture
_RESOLVE_BENEATH: Final = 0x08
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RENAME_NOREPLACE: Final = 1
_UNKNOWN: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
_libc: Final = ctypes.CDLL(None, use_errno=True)


class NotDone(Exception):
    """Something about files is not done: `code` for programs, a sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is, or is to be: an open folder, and a name in it."""

    folder: int
    name: bytes


class Rooted:
    """The folder at `path`.

    Args:
        path: where it is.
        by_kernel: whether to try openat2.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, *, by_kernel: bool = True) -> None:
        self._path = os.fsencode(path).rstrip(b"/") + b"/"
        self._root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._by_kernel = by_kernel

    def close(self) -> None:
        """Close it."""
        os.close(self._root)

    def free(self) -> int:
        """Return how many bytes may still be written."""
        found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def parts(self, text: str) -> list[bytes]:
        """Return the names that a path consists of; none for the folder itself.

        Raises:
            NotDone: it leads, or may lead, out of it.
        """
        try:
            path = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise NotDone("invalid_path", "That is not the path of a file.") from None
        if path.startswith(b"/"):
            if not (path + b"/").startswith(self._path):
                raise NotDone("outside", "Only what is in the home can be reached.")
            path = path[len(self._path) :]
        names = [name for name in path.split(b"/") if name not in {b"", b"."}]
        if b".." in names:
            raise NotDone("outside", "A path must not go up with `..`.")
        if b"\0" in path:
            raise NotDone("invalid_path", "A path must not contain a zero.")
        return names

    @contextlib.contextmanager
    def opened(self, text: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        """Open a file or folder, without waiting and without following a last link out."""
        with self._open(self.parts(text), flags) as fd:
            yield fd

    @contextlib.contextmanager
    def place(self, text: str) -> Iterator[Place]:
        """Open the folder that something is in.

        Raises:
            NotDone: it is the home itself.
        """
        names = self.parts(text)
        if not names:
            raise NotDone("is_home", "The home itself cannot be replaced, moved or deleted.")
        with self._open(names[:-1], os.O_PATH | os.O_DIRECTORY) as folder:
            yield Place(folder, names[-1])

    @contextlib.contextmanager
    def _open(self, names: list[bytes], flags: int) -> Iterator[int]:
        # openat2 wants nothing beside O_PATH that means nothing there.
        more = 0 if flags & os.O_PATH else os.O_NOCTTY | os.O_NONBLOCK
        fd = self._descend(names, flags | more | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def _descend(self, names: list[bytes], flags: int) -> int:
        if self._by_kernel:
            try:
                return _openat2(self._root, b"/".join(names) or b".", flags)
            except OSError as error:
                if error.errno not in {errno.ENOSYS, errno.EPERM}:
                    raise
                self._by_kernel = False
        folder = os.dup(self._root)
        for at, name in enumerate(names or [b"."]):
            last = at == max(0, len(names) - 1)
            how = flags if last else os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            try:
                below = os.open(name, how | os.O_NOFOLLOW, dir_fd=folder)
            finally:
                os.close(folder)
            folder = below
        return folder


def _openat2(folder: int, path: bytes, flags: int) -> int:
    how = _How(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    fd: int = _libc.syscall(_OPENAT2, folder, path, ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd


def move(source: Place, target: Place, *, replace: bool) -> None:
    """Move something to another name, in one step.

    Raises:
        FileExistsError: something has that name, and `replace` is not asked for.
        OSError: it cannot be moved.
    """
    if replace:
        os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)
        return
    done = _libc.renameat2(
        source.folder, source.name, target.folder, target.name, _RENAME_NOREPLACE
    )
    if done == 0:
        return
    number = ctypes.get_errno()
    if number not in _UNKNOWN:
        raise OSError(number, os.strerror(number), target.name)
    # A file system that cannot: look first.
    with contextlib.suppress(FileNotFoundError):
        os.stat(target.name, dir_fd=target.folder, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.name)
    os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)


def entry(name: bytes, found: os.stat_result) -> dict[str, Any]:
    """Return what is said of something: its name, kind, size in bytes, when it was changed (ms)."""
    return {
        "name": text_of(name),
        "kind": _kind(found.st_mode),
        "size": found.st_size,
        "modified": found.st_mtime_ns // 1_000_000,
        "mode": stat.S_IMODE(found.st_mode),
    }


def version(found: os.stat_result) -> str:
    """Return what differs whenever a file's content does."""
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


def text_of(name: bytes) -> str:
    """Return a name as text; bytes that are no UTF-8 become lone surrogates, and back."""
    return name.decode("utf-8", "surrogateescape")


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


_SENTENCES: Final = {
    errno.ENOENT: ("not_found", "There is no such file or folder."),
    errno.ENOTDIR: ("not_a_folder", "A part of the path is no folder."),
    errno.EISDIR: ("is_folder", "That is a folder."),
    errno.EEXIST: ("exists", "There is something of that name already."),
    errno.ENOTEMPTY: ("not_empty", "The folder is not empty."),
    errno.EACCES: ("forbidden", "The desktop's user may not do that."),
    errno.EPERM: ("forbidden", "The desktop's user may not do that."),
    errno.EXDEV: ("outside", "That leads out of the home."),
    errno.ELOOP: ("is_link", "That is a link, and links are not followed here."),
    errno.ENXIO: ("not_a_file", "That is no file."),
    errno.ENAMETOOLONG: (
        "name_too_long",
        "A name is longer than 255 bytes, or the path too long.",
    ),
    errno.ENOSPC: ("full", "The home is full."),
    errno.EDQUOT: ("full", "The home is full: its quota is used up."),
    errno.EFBIG: ("too_large", "The file is larger than the home's file system takes."),
    errno.EROFS: ("forbidden", "The home cannot be written to."),
    errno.EINVAL: ("invalid_path", "That cannot be done with this name."),
    errno.EMFILE: ("too_many", "Too many files are open; try again in a moment."),
}


def not_done(error: OSError) -> NotDone:
    """Return what an error of the system means to who asked."""
    known = _SENTENCES.get(error.errno or 0)
    if known is not None:
        return NotDone(*known)
    return NotDone("failed", f"The file system says: {error.strerror}.")
