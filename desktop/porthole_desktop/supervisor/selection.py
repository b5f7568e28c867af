"""The clipboard of an X server, as text or PNG: what is copied is read, other things are offered.

X keeps no clipboard: who copies answers whoever pastes. So to write it is to own the
selection and to answer; to read it is to ask its owner, who hands over long texts in parts
(INCR).
"""

import asyncio
import contextlib
import itertools
import struct
from typing import Final

from .x11 import Display, XError

LARGEST: Final = 2**20
"""Bytes of UTF-8, or of a PNG."""
_READ_SECONDS: Final = 3.0
_PART: Final = 64 * 1024
_ATOM: Final = 4
_PROPERTY_NOTIFY, _SELECTION_CLEAR, _SELECTION_REQUEST, _SELECTION_NOTIFY = 28, 29, 30, 31
_PROPERTY_CHANGES: Final = 1 << 22
_NEW_VALUE: Final = 0
_OFFERED: Final = ("UTF8_STRING", "text/plain;charset=utf-8", "text/plain", "STRING", "TEXT")
_IMAGE: Final = "image/png"
_PLACES: Final = ("PORTHOLE_1", "PORTHOLE_2", "PORTHOLE_3", "PORTHOLE_4")
"""Where owners put what is asked for, in turns: one that is late is not taken for the next one."""


class TooLong(Exception):
    """What was copied is longer than `LARGEST`."""


class Clipboard:
    """The selection `CLIPBOARD`, by a window of ours that nobody sees; use `open`.

    Args:
        display: told of events by `heard`.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._window = 0
        self._atoms: dict[str, int] = {}
        self._content = b""
        self._offers: tuple[str, ...] = _OFFERED
        self._events: asyncio.Queue[bytes] = asyncio.Queue()
        self._places = itertools.cycle(_PLACES)

    async def open(self) -> None:
        """Make the window, learn the names."""
        display = self._display
        self._window = display.new_id()
        place = struct.pack(
            "<IIhhHHHHIII",
            self._window,
            display.screen.root,
            0,
            0,
            1,
            1,
            0,
            2,
            0,
            1 << 11,
            _PROPERTY_CHANGES,
        )
        display.send(1, 0, place)
        for name in ("CLIPBOARD", "TARGETS", "INCR", *_PLACES, _IMAGE, *_OFFERED):
            self._atoms[name] = await display.atom(name)

    def heard(self, kind: int, event: bytes) -> None:
        """Take an event."""
        if kind == _SELECTION_REQUEST:
            self._hand_over(event)
        elif kind in {_SELECTION_NOTIFY, _PROPERTY_NOTIFY}:
            self._events.put_nowait(event)
        elif kind == _SELECTION_CLEAR:
            self._content = b""

    async def write(self, content: bytes, *, image: bool = False) -> None:
        """Have programs paste this text, or this PNG.

        Raises:
            XError: the X server does not let us.
        """
        self._content, self._offers = content, (_IMAGE,) if image else _OFFERED
        clipboard = self._atoms["CLIPBOARD"]
        self._display.send(22, 0, struct.pack("<III", self._window, clipboard, 0))
        if await self._owner() != self._window:
            raise XError("The clipboard was taken by another program.")

    async def read(self, *, image: bool = False) -> bytes:
        """Return what was copied last, in UTF-8 or as PNG; empty if nothing of the kind was.

        Raises:
            TooLong: it is longer than `LARGEST`.
            XError: its owner does not answer.
        """
        owner = await self._owner()
        if owner == self._window:
            return self._content if image == (_IMAGE in self._offers) else b""
        if owner == 0:
            return b""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                if image:
                    return await self._ask(_IMAGE) or b""
                return await self._ask("UTF8_STRING") or await self._ask("STRING") or b""
        except TimeoutError:
            raise XError("The program that has copied something does not hand it over.") from None

    async def _owner(self) -> int:
        reply = await self._display.ask(23, 0, struct.pack("<I", self._atoms["CLIPBOARD"]))
        return int(struct.unpack_from("<I", reply, 8)[0])

    async def _ask(self, target: str) -> bytes | None:
        while not self._events.empty():
            self._events.get_nowait()
        atoms = self._atoms
        place = atoms[next(self._places)]
        wanted = (self._window, atoms["CLIPBOARD"], atoms[target], place, 0)
        self._display.send(24, 0, struct.pack("<IIIII", *wanted))
        if not await self._is_handed_over(atoms[target], place):
            return None  # it has no text of that kind
        kind, text = await self._take(place)
        if kind == atoms["INCR"]:
            text = await self._take_parts(place)
        if len(text) > LARGEST:
            raise TooLong
        if target == _IMAGE:
            return text
        if target == "STRING":
            return text.decode("latin-1").encode()
        return text.decode(errors="replace").encode()

    async def _is_handed_over(self, target: int, place: int) -> bool:
        """Wait for the owner's answer; return whether it has what is asked for."""
        while True:
            event = await self._events.get()
            if event[0] & 0x7F == _SELECTION_NOTIFY:
                of, at = struct.unpack_from("<II", event, 16)
                if of == target and at in {place, 0}:
                    return bool(at)

    async def _take_parts(self, place: int) -> bytes:
        """Taking a property away asks for the next part; an empty one is the end."""
        parts = bytearray()
        while True:
            event = await self._events.get()
            changed, state = struct.unpack_from("<I4xB", event, 8)
            if event[0] & 0x7F != _PROPERTY_NOTIFY or state != _NEW_VALUE:
                continue
            if changed != place:
                continue
            _, part = await self._take(place)
            if not part:
                return bytes(parts)
            parts += part
            if len(parts) > LARGEST:
                raise TooLong

    async def _take(self, place: int) -> tuple[int, bytes]:
        """Return a property's type and value, and delete it."""
        body = struct.pack("<IIIII", self._window, place, 0, 0, (LARGEST + _PART) // 4)
        reply = await self._display.ask(20, 1, body)
        kind, _, length = struct.unpack_from("<III", reply, 8)
        return kind, reply[32 : 32 + length * (reply[1] // 8)]

    def _hand_over(self, event: bytes) -> None:
        """Answer a program that pastes."""
        time, _, requestor, selection, target, place = struct.unpack_from("<IIIIII", event, 4)
        place = place or target
        atoms = self._atoms
        if target == atoms["TARGETS"]:
            offered = [atoms["TARGETS"], *(atoms[name] for name in self._offers)]
            self._put(requestor, place, _ATOM, 32, struct.pack(f"<{len(offered)}I", *offered))
        elif target in {atoms[name] for name in self._offers}:
            content = self._content
            if target == atoms["STRING"]:
                content = content.decode(errors="replace").encode("latin-1", "replace")
            kind = atoms["UTF8_STRING"] if target == atoms["TEXT"] else target
            try:
                self._put(requestor, place, kind, 8, content)
            except XError:
                place = 0
        else:
            place = 0
        told = struct.pack(
            "<BxHIIIII8x", _SELECTION_NOTIFY, 0, time, requestor, selection, target, place
        )
        with contextlib.suppress(XError):
            self._display.send(25, 0, struct.pack("<II", requestor, 0) + told)

    def _put(self, window: int, name: int, kind: int, width: int, value: bytes) -> None:
        count = len(value) * 8 // width
        head = struct.pack("<IIIBxxxI", window, name, kind, width, count)
        self._display.send(18, 0, head + value)
