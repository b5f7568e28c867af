"""A session's home from outside: look, take out, put in; on from where it broke.

The functions are conversations (`talks`); `HomeFiles` and `AsyncHomeFiles` have them as methods.
"""

import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from porthole_client.errors import FileFault
from porthole_client.talks import PEEK, AsyncFrames, SyncFrames, Talk, hear, said_no
from porthole_contract.stream import frames
from porthole_contract.stream.frames import BLOCK, Digest, Kind

CONTENT: Final = 1
_MESSAGE: Final = 256 * 1024
"""Bytes of one WebSocket message at the most."""
PART: Final = ".porthole-part"
"""What a file is called beside its place until all of it has come."""

Progress = Callable[[int, int], object]
"""Is told how many bytes of how many are there."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Entry:
    """One thing in a home.

    Attributes:
        kind: file, folder, link or other.
        size: bytes.
        modified: milliseconds since 1970.
        mode: its permissions.
    """

    name: str
    kind: str
    size: int
    modified: int
    mode: int

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Entry":
        """Return what a message says."""
        return cls(*(said[key] for key in ("name", "kind", "size", "modified", "mode")))


def _ask(kind: str, **fields: Any) -> Talk[dict[str, Any]]:
    """Ask for something; return the answer.

    Raises:
        FileFault: it is not done.
    """
    yield frames.say(kind, id=next(_numbers), **fields)
    return (yield from _answer())


def _answer() -> Talk[dict[str, Any]]:
    message = (yield from hear()).message()
    if message["type"] == "error":
        raise said_no(message)
    return message


def list_(path: str = "") -> Talk[list[Entry]]:
    """Return what is in a folder of the home, by name."""
    answer = yield from _ask("list", path=path)
    found = [Entry.of(one) for one in answer["entries"]]
    while answer["more"]:
        answer = yield from _answer()
        found += [Entry.of(one) for one in answer["entries"]]
    return found


def stat(path: str) -> Talk[Entry]:
    """Return what a path of the home names; links are not followed."""
    return Entry.of((yield from _ask("stat", path=path))["entry"])


def make_folder(path: str) -> Talk[None]:
    """Make a folder, and those it is in; it is no error if it is there."""
    yield from _ask("make_folder", path=path, parents=True)


def rename(path: str, to: str, *, replace: bool = False) -> Talk[None]:
    """Give a file or folder another name or place."""
    yield from _ask("rename", path=path, to=to, replace=replace)


def delete(path: str, *, recursive: bool = False) -> Talk[None]:
    """Delete a file or an empty folder; with `recursive` a folder and all that is in it."""
    yield from _ask("delete", path=path, recursive=recursive)


def read(path: str, into: BinaryIO, progress: Progress | None = None) -> Talk[str]:
    """Write the rest of a file of the home into `into`, from its position on; return its version.

    Raises:
        FileFault: it cannot be read; `changed` if it changed meanwhile.
    """
    begin = yield from _ask("read", path=path, offset=into.tell())
    yield from _content(into, begin["size"], progress)
    return str(begin["version"])


def archive(
    path: str, into: BinaryIO, kind: str = "tar", progress: Progress | None = None
) -> Talk[None]:
    """Write a folder of the home into `into` as a `tar` or `zip`."""
    yield from _ask("archive", path=path, format=kind)
    yield from _content(into, 0, progress)


def _whole(path: str) -> Talk[bytes]:
    into = io.BytesIO()
    yield from read(path, into)
    return into.getvalue()


def _content(into: BinaryIO, size: int, progress: Progress | None) -> Talk[None]:
    while (frame := (yield from hear())).kind is Kind.BYTES:
        into.write(frame.payload)
        if progress is not None:
            progress(into.tell(), size)
    message = frame.message()
    if message["type"] == "error":
        raise said_no(message)


def download(path: str, to: Path, progress: Progress | None = None) -> Talk[None]:
    """Copy a file of the home to `to`, on from where an earlier attempt broke.

    What has come lies beside it under a name of its own, and gets its name when it is whole.
    """
    about = yield from stat(path)
    known = hashlib.sha256(f"{path}\0{about.size}\0{about.modified}".encode(errors="replace"))
    part = to.with_name(f".{known.hexdigest()[:16]}{PART}")
    with part.open("ab") as file:
        if file.tell() > about.size:
            file.truncate(0)
            file.seek(0)
        try:
            yield from read(path, file, progress)
        except FileFault as fault:
            if fault.code == "changed":
                part.unlink()
            raise
    part.chmod(about.mode & 0o777 | 0o600)
    os.utime(part, (about.modified / 1000, about.modified / 1000))
    part.replace(to)


def upload(
    source: Path, path: str, *, replace: bool = True, progress: Progress | None = None
) -> Talk[Entry]:
    """Copy a file into the home, on from where an earlier attempt broke.

    Raises:
        FileFault: it is not taken; `exists` if something is there and `replace` is not wanted.
    """
    with source.open("rb") as file:
        about = os.fstat(file.fileno())
        said = f"{source.resolve()}\0{about.st_size}\0{about.st_mtime_ns}\0{path}"
        key = hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:32]
        answer = yield from _ask(
            "write",
            path=path,
            size=about.st_size,
            upload=key,
            replace=replace,
            mode=about.st_mode & 0o777,
            modified=about.st_mtime_ns // 1_000_000,
        )
        return (yield from _send(file, about.st_size, answer["offset"], progress))


def write(path: str, data: bytes, *, replace: bool = True) -> Talk[Entry]:
    """Write a file of the home."""
    key = hashlib.sha256(os.urandom(16)).hexdigest()[:32]
    yield frames.say(
        "write", id=next(_numbers), path=path, size=len(data), upload=key, replace=replace
    )
    yield from _answer()
    digest = Digest()
    digest.update(data)
    for at in range(0, len(data), frames.LARGEST):
        yield frames.carry(CONTENT, data[at : at + frames.LARGEST])
    yield frames.say("commit", digest=digest.hex())
    return Entry.of((yield from _answer())["entry"])


def _send(file: BinaryIO, size: int, offset: int, progress: Progress | None) -> Talk[Entry]:
    digest, at = Digest(), 0
    while at < size:
        data = file.read(min(BLOCK, size - at) if at < offset else min(_PIECES, size - at))
        if not data:
            break  # it has become shorter: the other side says that it is not whole
        digest.update(data)
        at += len(data)
        if at <= offset:
            continue
        yield b"".join(_frames(data))
        if progress is not None:
            progress(at, size)
        # A home that is full says so long before all has been sent.
        frame = yield PEEK
        if frame is not None:
            raise said_no(frame.message())
    yield frames.say("commit", digest=digest.hex())
    return Entry.of((yield from _answer())["entry"])


_PIECES: Final = 3 * frames.LARGEST


def _frames(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), frames.LARGEST):
        yield frames.carry(CONTENT, data[start : start + frames.LARGEST])


class HomeFiles:
    """The home of a session, for a blocking program; see `Sessions.files`."""

    def __init__(self, over: SyncFrames) -> None:
        self._over = over

    def list(self, path: str = "") -> "list[Entry]":
        """Return what is in a folder, by name."""
        return self._over.drive(list_(path))

    def stat(self, path: str) -> Entry:
        """Return what a path names."""
        return self._over.drive(stat(path))

    def read(self, path: str) -> bytes:
        """Return what is in a file."""
        return self._over.drive(_whole(path))

    def write(self, path: str, data: bytes, *, replace: bool = True) -> Entry:
        """Write a file."""
        return self._over.drive(write(path, data, replace=replace))

    def download(self, path: str, to: Path, progress: Progress | None = None) -> None:
        """Copy a file to `to`, on from where an earlier attempt broke."""
        self._over.drive(download(path, to, progress))

    def upload(
        self, source: Path, path: str, *, replace: bool = True, progress: Progress | None = None
    ) -> Entry:
        """Copy a file into the home, on from where an earlier attempt broke."""
        return self._over.drive(upload(source, path, replace=replace, progress=progress))

    def archive(self, path: str, into: BinaryIO, kind: str = "tar") -> None:
        """Write a folder into `into` as a `tar` or `zip`."""
        self._over.drive(archive(path, into, kind))

    def make_folder(self, path: str) -> None:
        """Make a folder, and those it is in."""
        self._over.drive(make_folder(path))

    def rename(self, path: str, to: str, *, replace: bool = False) -> None:
        """Give a file or folder another name or place."""
        self._over.drive(rename(path, to, replace=replace))

    def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, or a folder."""
        self._over.drive(delete(path, recursive=recursive))


class AsyncHomeFiles:
    """The home of a session, for an asyncio program; see `AsyncSessions.files`."""

    def __init__(self, over: AsyncFrames) -> None:
        self._over = over

    async def list(self, path: str = "") -> "list[Entry]":
        """Return what is in a folder, by name."""
        return await self._over.drive(list_(path))

    async def stat(self, path: str) -> Entry:
        """Return what a path names."""
        return await self._over.drive(stat(path))

    async def read(self, path: str) -> bytes:
        """Return what is in a file."""
        return await self._over.drive(_whole(path))

    async def write(self, path: str, data: bytes, *, replace: bool = True) -> Entry:
        """Write a file."""
        return await self._over.drive(write(path, data, replace=replace))

    async def download(self, path: str, to: Path, progress: Progress | None = None) -> None:
        """Copy a file to `to`, on from where an earlier attempt broke."""
        await self._over.drive(download(path, to, progress))

    async def upload(
        self, source: Path, path: str, *, replace: bool = True, progress: Progress | None = None
    ) -> Entry:
        """Copy a file into the home, on from where an earlier attempt broke."""
        return await self._over.drive(upload(source, path, replace=replace, progress=progress))

    async def archive(self, path: str, into: BinaryIO, kind: str = "tar") -> None:
        """Write a folder into `into` as a `tar` or `zip`."""
        await self._over.drive(archive(path, into, kind))

    async def make_folder(self, path: str) -> None:
        """Make a folder, and those it is in."""
        await self._over.drive(make_folder(path))

    async def rename(self, path: str, to: str, *, replace: bool = False) -> None:
        """Give a file or folder another name or place."""
        await self._over.drive(rename(path, to, replace=replace))

    async def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, or a folder."""
        await self._over.drive(delete(path, recursive=recursive))
