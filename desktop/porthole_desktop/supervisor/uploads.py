"""Files on their way in: under a name that nobody sees, until they are whole and right.

An upload has a key. What came before a connection broke lies beside where it is to go, in
`.porthole-upload-KEY`, and whoever comes with that key again goes on from there. At the end the
size and the digest must be those of the file that was meant; then it gets its name, in one step.

The digest is the SHA-256 of the SHA-256 of each block of `BLOCK` bytes, because a browser can
hash no more than it has in memory.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from typing import Any, Final

from .rooted import NotDone, Place, Rooted, entry, move

BLOCK: Final = 2**20
PREFIX: Final = b".porthole-upload-"
_KEY: Final = re.compile(r"[0-9a-f]{16,64}")
_FORGOTTEN: Final = 7 * 86400
"""Seconds after which what is left of an upload is thrown away, when another one comes."""
_LARGEST: Final = 2**62


class Digest:
    """A digest in blocks, over bytes that come in any pieces."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._filled = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take bytes."""
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self._filled]
            self._block.update(piece)
            self._filled += len(piece)
            view = view[len(piece) :]
            if self._filled == BLOCK:
                self._close()

    def hex(self) -> str:
        """Return the digest of all that came; nothing more may come."""
        if self._filled:
            self._close()
        return self._whole.hexdigest()

    def _close(self) -> None:
        self._whole.update(self._block.digest())
        self._block, self._filled = hashlib.sha256(), 0


class Upload:
    """One file on its way in.

    Args:
        rooted: the home.
        place: where it is to go; its folder is kept open by the caller.
        asked: `size`, `upload` (the key) and, if wanted, `replace`, `mode` and `modified`.

    Raises:
        NotDone: it cannot be begun.
        OSError: the file system does not take it.
    """

    def __init__(self, rooted: Rooted, place: Place, asked: dict[str, Any]) -> None:
        self._place = place
        self._size = _number(asked, "size", _LARGEST)
        self._mode = _number(asked, "mode", 0o777) if asked.get("mode") is not None else None
        modified = asked.get("modified")
        self._modified = None if modified is None else _number(asked, "modified", _LARGEST)
        self._replace = asked.get("replace") is True
        key = asked.get("upload")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise NotDone("invalid", "An upload needs a key of 16 to 64 hex digits.")
        self._check_target()
        _forget_old(place.folder)
        self._hidden = Place(place.folder, PREFIX + key.encode())
        self._fd = self._open()
        try:
            have = self._have()
            _check_room(self._size - have, rooted.free())
            self.offset = have - have % BLOCK if have < self._size else have
            self._digest = Digest()
            self._read_again()
        except BaseException:
            if os.fstat(self._fd).st_size == 0:
                self._give_up()
            self.close()
            raise

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            NotDone: they are more than there should be, or there is no room for them.
        """
        if self.offset + len(data) > self._size:
            self._give_up()
            raise NotDone("too_much", "More came than the file was said to have.")
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._fd, view)
                self._digest.update(view[:written])
                self.offset += written
                view = view[written:]
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                self._give_up()  # what is of no use does not keep the home full
            raise

    def commit(self, digest: object) -> dict[str, Any]:
        """Give the file its name; return its entry.

        Raises:
            NotDone: it is not whole, or not what was meant; or something else has its name.
            OSError: the file system does not take it.
        """
        if self.offset != self._size:
            raise NotDone("not_whole", f"{self.offset} bytes of {self._size} have come.")
        if digest != self._digest.hex():
            self._give_up()
            raise NotDone("differs", "What came is not the file that was sent; send it again.")
        os.fchmod(self._fd, self._mode if self._mode is not None else self._mode_of_old())
        if self._modified is not None:
            now = time.time_ns()
            os.utime(self._fd, ns=(now, self._modified * 1_000_000))
        os.fsync(self._fd)
        self._check_target()
        move(self._hidden, self._place, replace=self._replace)
        return entry(self._place.name, os.fstat(self._fd))

    def close(self) -> None:
        """Leave it; what has come stays for who goes on with it."""
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self._hidden.name, flags, 0o600, dir_fd=self._hidden.folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise NotDone("busy", "This upload is going on already.") from None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _have(self) -> int:
        """Return how much of it came before; what cannot be of it is thrown away."""
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotDone("not_a_file", "What is left of this upload is no file.")
        have = found.st_size
        if have > self._size:
            os.ftruncate(self._fd, 0)
            return 0
        return have

    def _read_again(self) -> None:
        os.ftruncate(self._fd, self.offset)
        at = 0
        while at < self.offset:
            data = os.pread(self._fd, BLOCK, at)
            if not data:
                raise NotDone("changed", "What came before was cut short meanwhile; try again.")
            self._digest.update(data)
            at += len(data)
        os.lseek(self._fd, self.offset, os.SEEK_SET)

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._hidden.name, dir_fd=self._hidden.folder)

    def _found(self) -> os.stat_result | None:
        try:
            return os.stat(self._place.name, dir_fd=self._place.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _check_target(self) -> None:
        found = self._found()
        if found is None:
            return
        if stat.S_ISDIR(found.st_mode):
            raise NotDone("is_folder", "A folder has that name.")
        if not self._replace:
            raise NotDone("exists", "There is something of that name already.")

    def _mode_of_old(self) -> int:
        found = self._found()
        usual = 0o644
        if found is None or not stat.S_ISREG(found.st_mode):
            return usual
        return stat.S_IMODE(found.st_mode) & 0o777


def _number(asked: dict[str, Any], name: str, most: int) -> int:
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise NotDone("invalid", f"`{name}` is a whole number.")
    return value


def _check_room(wanted: int, room: int) -> None:
    if wanted > room:
        raise NotDone("full", f"The home has room for {room} bytes more; {wanted} are to come.")


def _forget_old(folder: int) -> None:
    """Throw away what is left in a folder of uploads that nobody came back for."""
    before = time.time() - _FORGOTTEN
    readable = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        with os.scandir(readable) as found:
            for one in found:
                name = os.fsencode(one.name)
                if name.startswith(PREFIX) and one.stat(follow_symlinks=False).st_mtime < before:
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=folder)
    finally:
        os.close(readable)
