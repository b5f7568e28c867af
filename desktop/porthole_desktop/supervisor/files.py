"""The home, for somebody outside: channel `files`, as the desktop's user.

    them -> us   list {id, path}   stat {id, path}   read {id, path, offset, version}
                 archive {id, path, format}   make_folder {id, path, parents}
                 rename {id, path, to, replace}   delete {id, path, recursive}
                 write {id, path, size, upload, replace, mode, modified}   BYTES 1   commit {digest}
    us -> them   entries {id, entries, more}   entry {id, entry}   begin {id, size, version}
                 BYTES 1   done {id, entry}   ready {id, offset}   error {id, code, message}

One request at a time, in their order. Paths are relative to the home (`rooted`). The file system
is asked in threads, so that a slow one holds nothing else up.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from .archives import FORMATS, archive
from .channels import Channel, Refusal, Work
from .protocol import Broken, Kind
from .rooted import NotDone, Place, Rooted, entry, move, not_done, text_of, version
from .talk import Talk
from .uploads import PREFIX, Upload

CONTENT: Final = 1
"""The number that carries what is in files."""
_PIECE: Final = 256 * 1024
_ENTRIES: Final = 24
"""How many entries are said at once: each may have a name of 255 bytes, each said as six."""


def serve_files(channel: Channel, home: str) -> Work:
    """Serve a channel with the folder `home`.

    Raises:
        Refusal: there is no such folder.
    """
    try:
        rooted = Rooted(home)
    except OSError as error:
        raise Refusal("no_home", f"The home cannot be opened: {error.strerror}.") from None
    return _serve(Talk(channel), rooted)


async def _serve(talk: Talk, rooted: Rooted) -> None:
    try:
        files = Files(talk, rooted)
        while True:
            await files.answer(await talk.message())
    finally:
        rooted.close()


class Files:
    """One conversation about the files of one home."""

    def __init__(self, talk: Talk, rooted: Rooted) -> None:
        self._talk = talk
        self._rooted = rooted
        self._verbs: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, None]]] = {
            "list": self._list,
            "stat": self._stat,
            "read": self._read,
            "archive": self._archive,
            "make_folder": self._make_folder,
            "rename": self._rename,
            "delete": self._delete,
            "write": self._write,
        }

    async def answer(self, asked: dict[str, Any]) -> None:
        """Do what is asked, and say so, or why not.

        Raises:
            Broken: the request has no id.
            Over: nobody listens any more.
        """
        number = asked.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            raise Broken("A request has no id.")
        verb = self._verbs.get(asked["type"])
        try:
            if verb is None:
                raise NotDone("unknown_request", "This desktop knows no such request.")  # noqa: TRY301 - said below
            await verb(asked)
        except OSError as error:
            fault = not_done(error)
        except NotDone as error:
            fault = error
        except RecursionError:
            fault = NotDone("too_deep", "The folders are nested too deeply.")
        else:
            return
        await self._talk.say("error", id=number, code=fault.code, message=str(fault))

    async def _list(self, asked: dict[str, Any]) -> None:
        def listed() -> list[dict[str, Any]]:
            with self._rooted.opened(_path(asked), os.O_RDONLY | os.O_DIRECTORY) as fd:
                return list(_entries(fd))

        found = await asyncio.to_thread(listed)
        for at in range(0, len(found) or 1, _ENTRIES):
            more = at + _ENTRIES < len(found)
            some = found[at : at + _ENTRIES]
            await self._talk.say("entries", id=asked["id"], entries=some, more=more)

    async def _stat(self, asked: dict[str, Any]) -> None:
        def looked() -> dict[str, Any]:
            if not self._rooted.parts(_path(asked)):
                with self._rooted.opened("", os.O_PATH) as fd:
                    return entry(b"", os.fstat(fd))
            with self._rooted.place(_path(asked)) as place:
                return _look(place)

        await self._talk.say("entry", id=asked["id"], entry=await asyncio.to_thread(looked))

    async def _read(self, asked: dict[str, Any]) -> None:
        offset = asked.get("offset", 0)
        if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
            raise NotDone("invalid", "`offset` is a whole number.")
        with await asyncio.to_thread(_enter, self._rooted.opened(_path(asked))) as fd:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                folder = stat.S_ISDIR(about.st_mode)
                raise NotDone(*_NOT_READ[folder])
            known = asked.get("version")
            if known is not None and known != version(about):
                raise NotDone("changed", "The file has changed since it was begun.")
            if offset > about.st_size:
                raise NotDone("changed", "The file is shorter than that.")
            await self._talk.say(
                "begin", id=asked["id"], size=about.st_size, version=version(about)
            )
            while offset < about.st_size:
                size = min(_PIECE, about.st_size - offset)
                data = await asyncio.to_thread(os.pread, fd, size, offset)
                if not data:
                    break
                await self._talk.carry(CONTENT, data)
                offset += len(data)
            if version(os.fstat(fd)) != version(about):
                raise NotDone("changed", "The file was changed while it was read.")
            await self._talk.say("done", id=asked["id"])

    async def _archive(self, asked: dict[str, Any]) -> None:
        kind = asked.get("format", FORMATS[0])
        if kind not in FORMATS:
            raise NotDone("invalid", f"An archive is {' or '.join(FORMATS)}.")
        names = self._rooted.parts(_path(asked))
        opened = self._rooted.opened(_path(asked), os.O_RDONLY | os.O_DIRECTORY)
        with await asyncio.to_thread(_enter, opened) as fd:
            pieces = archive(fd, names[-1] if names else b"home", kind)
            await self._talk.say("begin", id=asked["id"], size=None, version=None)
            try:
                while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                    await self._talk.carry(CONTENT, piece)
            finally:
                await asyncio.to_thread(pieces.close)  # type: ignore[attr-defined]  # a generator
            await self._talk.say("done", id=asked["id"])

    async def _make_folder(self, asked: dict[str, Any]) -> None:
        def made() -> dict[str, Any]:
            names = self._rooted.parts(_path(asked))
            first = 1 if asked.get("parents") is True else len(names)
            for depth in range(first, len(names)):
                path = text_of(b"/".join(names[:depth]))
                with self._rooted.place(path) as above:
                    _make(above, fresh=False)
            with self._rooted.place(_path(asked)) as place:
                _make(place, fresh=asked.get("parents") is not True)
                return _look(place)

        await self._talk.say("done", id=asked["id"], entry=await asyncio.to_thread(made))

    async def _rename(self, asked: dict[str, Any]) -> None:
        def moved() -> dict[str, Any]:
            with (
                self._rooted.place(_path(asked)) as source,
                self._rooted.place(_path(asked, "to")) as target,
            ):
                move(source, target, replace=asked.get("replace") is True)
                return _look(target)

        await self._talk.say("done", id=asked["id"], entry=await asyncio.to_thread(moved))

    async def _delete(self, asked: dict[str, Any]) -> None:
        def deleted() -> None:
            with self._rooted.place(_path(asked)) as place:
                found = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    os.unlink(place.name, dir_fd=place.folder)
                elif asked.get("recursive") is True:
                    shutil.rmtree(place.name, dir_fd=place.folder)
                else:
                    os.rmdir(place.name, dir_fd=place.folder)

        await asyncio.to_thread(deleted)
        await self._talk.say("done", id=asked["id"])

    async def _write(self, asked: dict[str, Any]) -> None:
        place = await asyncio.to_thread(_enter, self._rooted.place(_path(asked)))
        with place as where:
            upload = await asyncio.to_thread(Upload, self._rooted, where, asked)
            try:
                await self._talk.say("ready", id=asked["id"], offset=upload.offset)
                fault: OSError | NotDone | None = None
                while (frame := await self._talk.hear()).kind is Kind.BYTES:
                    # What is on its way already is heard to its end, and thrown away.
                    if fault is None:
                        try:
                            await asyncio.to_thread(upload.write, frame.payload)
                        except (OSError, NotDone) as error:
                            fault = error
                            await self._fault(asked["id"], error)
                message = frame.message()
                if message["type"] != "commit":
                    raise Broken("What is written ends with a commit.")
                if fault is None:
                    made = await asyncio.to_thread(upload.commit, message.get("digest"))
                    await self._talk.say("done", id=asked["id"], entry=made)
            finally:
                upload.close()

    async def _fault(self, number: int, error: OSError | NotDone) -> None:
        fault = not_done(error) if isinstance(error, OSError) else error
        await self._talk.say("error", id=number, code=fault.code, message=str(fault))


_NOT_READ: Final = (
    ("not_a_file", "That is no file whose content can be read."),
    ("is_folder", "That is a folder; it is read as an archive."),
)


class _Entered:
    """A context that was entered already, in a thread."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._value = context.__enter__()

    def __enter__(self) -> Any:
        return self._value

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)


def _enter(context: Any) -> _Entered:
    return _Entered(context)


def _path(asked: dict[str, Any], key: str = "path") -> str:
    path = asked.get(key, "")
    if not isinstance(path, str):
        raise NotDone("invalid_path", "A path is a text.")
    return path


def _look(place: Place) -> dict[str, Any]:
    found = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    return entry(place.name, found)


def _make(place: Place, *, fresh: bool) -> None:
    try:
        os.mkdir(place.name, 0o755, dir_fd=place.folder)
    except FileExistsError:
        if fresh:
            raise


def _entries(fd: int) -> Iterator[dict[str, Any]]:
    """Return what is in an open folder, by name; uploads on their way are not shown."""
    for name in sorted(map(os.fsencode, os.listdir(fd))):
        if name.startswith(PREFIX):
            continue
        try:
            yield entry(name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            continue
