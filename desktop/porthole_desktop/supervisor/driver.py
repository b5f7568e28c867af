"""The channel `drive`: pictures of the screen, keys, pointer and clipboard, for programs.

Lines of JSON, some followed by raw bytes (`porthole_contract.stream.drive` has the grammar).
The gate has judged each request before it comes here; this side only refuses what it
cannot do. Everything is done through the X server, and so the same whatever protocol
viewers speak.

The channel `text` speaks the same, for what people write that is on no key of theirs: it has no
turn of its own and comes between the actions of programs, as people's keys do.
"""

import asyncio
import json
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from . import picture, windows
from .input import Input, NoSuchKey
from .selection import LARGEST, Clipboard, TooLong
from .x11 import Display, XError

_LONGEST_LINE: Final = 256 * 1024
_PART: Final = 32 * 1024
_DAMAGE_NON_EMPTY: Final = 3
_ALL_PLANES: Final = 0xFFFFFFFF
_PIXMAP_FORMAT: Final = 2
_LOOK_AGAIN: Final = 0.1
_WRITES: Final = ("text", "tap")


class Channel(Protocol):
    """Bytes to and from the gate, with back-pressure."""

    over: asyncio.Event
    """Set when nobody listens any more."""

    async def read(self) -> bytes:
        """Return what has come; empty: the channel is over."""

    async def write(self, data: bytes) -> None:
        """Send bytes, once there is room for them."""


_Answering = Callable[
    [Channel, dict[str, Any], bytes], Coroutine[Any, Any, tuple[dict[str, Any], bytes]]
]
"""Answers a request with a line, and raw bytes after it."""


class CannotDo(Exception):
    """A request is not done: `code` for programs, a sentence for people.

    Attributes:
        at: the number of the action that it was about, if it was about one.
    """

    def __init__(self, code: str, sentence: str, at: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.at = at


class Driver:
    """Drives one desktop.

    Args:
        connect: returns a new connection to its X server.
        rescale: has its things so large, in percent, from now on.

    Raises:
        XError: (of `connect`) there is none yet.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        rescale: Callable[[Display, int], Coroutine[Any, Any, None]],
    ) -> None:
        self._connect = connect
        self._rescale = rescale
        self._desk: _Desk | None = None
        self._turn = asyncio.Lock()  # held by a program for one request
        self._opening = asyncio.Lock()
        self.keys = asyncio.Lock()
        """Held by who is at the keys and the pointer, for one action."""

    async def serve(self, channel: Channel) -> None:
        """Serve a program until its channel is over; what it still holds is let go of."""
        await self._serve(channel, self._in_turn)

    async def write(self, channel: Channel) -> None:
        """Serve a person who writes, until the channel is over."""
        await self._serve(channel, self._between)

    async def _serve(self, channel: Channel, answered: _Answering) -> None:
        lines = _Lines(channel)
        try:
            while (line := await lines.line()) is not None:
                request = _read(line)
                raw = await lines.raw(_size(request)) if "bytes" in request else b""
                done = await _unless(channel.over, answered(channel, request, raw))
                if done is None:
                    return
                answer, data = done
                await channel.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
                for at in range(0, len(data), _PART):
                    await channel.write(data[at : at + _PART])
        finally:
            if self._desk is not None and not self._desk.display.lost.is_set():
                async with self.keys:
                    await self._desk.input.let_go(channel)

    async def _in_turn(
        self, channel: Channel, request: dict[str, Any], raw: bytes
    ) -> tuple[dict[str, Any], bytes]:
        async with self._turn:
            return await self._answer(channel, request, raw)

    async def _between(
        self, channel: Channel, request: dict[str, Any], raw: bytes
    ) -> tuple[dict[str, Any], bytes]:
        if not _only_writes(request):
            return _failed(request["id"], "unknown_request", "Nothing but text comes here."), b""
        return await self._answer(channel, request, raw)

    async def _answer(
        self, channel: Channel, request: dict[str, Any], raw: bytes
    ) -> tuple[dict[str, Any], bytes]:
        number = request["id"]
        try:
            fields, data = await self._do(channel, request, raw)
        except CannotDo as fault:
            where = {} if fault.at is None else {"at": fault.at}
            answer = {"type": "failed", "id": number, "code": fault.code, "message": str(fault)}
            return answer | where, b""
        except (XError, OSError) as error:
            sentence = f"The desktop's screen cannot be reached: {error}"
            return _failed(number, "screen_unreachable", sentence), b""
        return {**fields, "id": number}, data

    async def _do(
        self, channel: Channel, request: dict[str, Any], raw: bytes
    ) -> tuple[dict[str, Any], bytes]:
        desk = await self._open()
        match request:
            case {"type": "screenshot"}:
                width = request.get("width")
                return await desk.picture(width if isinstance(width, int) else None)
            case {"type": "act", "actions": [*actions]}:
                return await desk.act(actions, channel), b""
            case {"type": "read_clipboard" | "read_image" as what}:
                try:
                    found = await desk.clipboard.read(image=what == "read_image")
                except TooLong:
                    sentence = f"What was copied is longer than {LARGEST} bytes."
                    raise CannotDo("clipboard_too_long", sentence) from None
                return {"type": "clipboard", "bytes": len(found)}, found
            case {"type": "write_clipboard" | "write_image" as what}:
                await desk.clipboard.write(raw, image=what == "write_image")
                return {"type": "done"}, b""
            case _:
                raise CannotDo("unknown_request", "This desktop knows no such request.")

    async def _open(self) -> "_Desk":
        async with self._opening:
            if self._desk is None or self._desk.display.lost.is_set():
                desk = _Desk(await self._connect(), self._rescale, self.keys)
                try:
                    await desk.open()
                except BaseException:
                    desk.display.close()
                    raise
                self._desk = desk
            return self._desk

    def close(self) -> None:
        """Leave the X server."""
        if self._desk is not None:
            self._desk.display.close()


class _Desk:
    """One connection to the X server, and what is done through it."""

    def __init__(
        self,
        display: Display,
        rescale: Callable[[Display, int], Coroutine[Any, Any, None]],
        keys: asyncio.Lock,
    ) -> None:
        self.display = display
        self._keys = keys
        self._rescale = rescale
        self.input = Input(display)
        self.clipboard = Clipboard(display)
        self._damage = (0, 0)
        self._damaged = 0
        self._changed = asyncio.Event()
        display.hear = self._hear

    async def open(self) -> None:
        """Find what is needed of the X server."""
        await self.display.allow_big_requests()
        await self.input.open()
        await self.clipboard.open()
        self._damage = await self.display.extension("DAMAGE")
        await self.display.ask(self._damage[0], 0, struct.pack("<II", 1, 1))

    async def picture(self, most: int | None) -> tuple[dict[str, Any], bytes]:
        """Return a picture of the screen, no wider than `most`."""
        root = self.display.screen.root
        size = await self.display.ask(14, 0, struct.pack("<I", root))
        width, height = struct.unpack_from("<HH", size, 16)
        body = struct.pack("<IhhHHI", root, 0, 0, width, height, _ALL_PLANES)
        pixels = (await self.display.ask(73, _PIXMAP_FORMAT, body))[32:]
        if len(pixels) != width * height * 4:
            raise CannotDo("screen_unknown", "The screen has pixels of another size.")
        return await asyncio.get_running_loop().run_in_executor(
            None, _packed, width, height, pixels, most
        )

    async def act(self, actions: list[Any], owner: object) -> dict[str, Any]:
        """Do actions for someone, one after another."""
        still: bool | None = None
        for at, action in enumerate(actions):
            try:
                found = await self._act(action, owner)
            except (KeyError, TypeError, AttributeError, struct.error) as error:
                sentence = f"This action cannot be: {error!r}"[:300]
                raise CannotDo("unknown_action", sentence, at) from None
            except NoSuchKey as error:
                raise CannotDo("unknown_key", str(error), at) from None
            except CannotDo as fault:
                fault.at = at
                raise
            still = found if found is not None else still
        return {"type": "done"} if still is None else {"type": "done", "still": still}

    async def _act(self, action: dict[str, Any], owner: object) -> bool | None:
        match action["do"]:
            case "text" | "tap" | "press" | "release" | "move" | "button":
                async with self._keys:
                    self.input.owner = owner
                    await self._use(action)
            case "pause":
                await asyncio.sleep(action["seconds"])
            case "scale":
                await self._rescale(self.display, action["percent"])
            case "still":
                return await self._still(action["quiet"], action["within"])
            case "window":
                await self._window(action["title"], action["within"])
            case _:
                raise KeyError(action["do"])
        return None

    async def _use(self, action: dict[str, Any]) -> None:
        """Do something with keys or pointer."""
        match action["do"]:
            case "text":
                await self.input.text(action["text"])
            case "move":
                await self.input.move(action["x"], action["y"])
            case "button":
                await self.input.button(action["button"], down=action["down"])
            case how:
                down, up = how != "release", how != "press"
                await self.input.press(action["keys"], down=down, up=up)

    async def _window(self, title: str, within: float) -> None:
        """Wait until there is a window with `title` in its title."""
        try:
            async with asyncio.timeout(within):
                while True:
                    there = await windows.titles(self.display)
                    if any(title.casefold() in one.casefold() for one in there):
                        return
                    await asyncio.sleep(_LOOK_AGAIN)
        except TimeoutError:
            sentence = f"No window with {title!r} in its title has come within {within:g} s."
            raise CannotDo("no_window", sentence) from None

    async def _still(self, quiet: float, within: float) -> bool:
        """Wait until nothing was drawn for a while; return whether it came to that."""
        opcode, _ = self._damage
        self._damaged = self.display.new_id()
        body = struct.pack("<IIBxxx", self._damaged, self.display.screen.root, _DAMAGE_NON_EMPTY)
        self.display.send(opcode, 1, body)
        try:
            async with asyncio.timeout(within):
                while True:
                    self._changed.clear()
                    self.display.send(opcode, 3, struct.pack("<III", self._damaged, 0, 0))
                    try:
                        async with asyncio.timeout(quiet):
                            await self._changed.wait()
                    except TimeoutError:
                        await self.display.sync()
                        if not self._changed.is_set():
                            return True
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        finally:
            self.display.send(opcode, 2, struct.pack("<I", self._damaged))

    def _hear(self, kind: int, event: bytes) -> None:
        if kind == self._damage[1] and self._damage[1]:
            if struct.unpack_from("<I", event, 8)[0] == self._damaged:
                self._changed.set()
        else:
            self.clipboard.heard(kind, event)


async def _unless(
    over: asyncio.Event, work: Coroutine[Any, Any, tuple[dict[str, Any], bytes]]
) -> tuple[dict[str, Any], bytes] | None:
    """Return what `work` does; None if nobody waits for it any more, and then it is stopped."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


class _Lines:
    """Lines, and raw bytes between them, out of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._rest = bytearray()

    async def line(self) -> bytes | None:
        """Return the next line; None: the channel is over."""
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > _LONGEST_LINE or not await self._more():
                return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    async def raw(self, count: int) -> bytes:
        """Return so many bytes."""
        while len(self._rest) < count:
            if not await self._more():
                raise ConnectionResetError("The channel ended in the middle of a text.")
        raw = bytes(self._rest[:count])
        del self._rest[:count]
        return raw

    async def _more(self) -> bool:
        data = await self._channel.read()
        self._rest += data
        return bool(data)


def _packed(
    width: int, height: int, pixels: bytes, most: int | None
) -> tuple[dict[str, Any], bytes]:
    if most is not None and most >= 1:
        width, height, pixels = picture.scaled(width, height, pixels, most)
    data = picture.png(width, height, pixels)
    return {"type": "picture", "width": width, "height": height, "bytes": len(data)}, data


def _read(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("id"), int):
        raise ConnectionResetError("A line of the channel is no request.")
    return request


def _only_writes(request: dict[str, Any]) -> bool:
    """Return whether a request does nothing but write."""
    actions = request.get("actions")
    return (
        request.get("type") == "act"
        and isinstance(actions, list)
        and all(isinstance(one, dict) and one.get("do") in _WRITES for one in actions)
    )


def _size(request: dict[str, Any]) -> int:
    size = request["bytes"]
    if not isinstance(size, int) or not 0 <= size <= LARGEST:
        raise ConnectionResetError("A text of that size cannot be.")
    return size


def _failed(number: int, code: str, sentence: str) -> dict[str, Any]:
    return {"type": "failed", "id": number, "code": code, "message": sentence[:500]}
