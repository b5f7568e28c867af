"""The little of the X protocol that the supervisor speaks itself.

Enough to read and set properties of windows, to paint the root window's background from
pixels and to read some, to hear that the screen has another size and to have windows moved;
so no helper program has to be installed for it, and nothing has to be guessed from sleeping.
Little-endian, 32 bits a pixel, one screen: what Xvnc and xorgxrdp are.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SOCKETS: Final = Path("/tmp/.X11-unix")  # noqa: S108 - where X puts them
CARDINAL: Final = 6
PIXMAP: Final = 20
STRING: Final = 31
WINDOW: Final = 33

_ERROR, _REPLY, _GENERIC_EVENT = 0, 1, 35
_CHANGE_ATTRIBUTES, _CONFIGURE_NOTIFY = 2, 22
_STRUCTURE_NOTIFY: Final = 1 << 17
_TO_WINDOW_MANAGER: Final = 1 << 19 | 1 << 20
_LARGEST_REQUEST: Final = 200_000
"""Bytes; every X server takes requests of 262,140."""
_TIMEOUT: Final = 10.0

Hearing = Callable[[int, bytes], None]
"""Told of an event: its kind, and its 32 bytes or more."""


class XError(Exception):
    """The X server refused, or is gone."""


@dataclass(frozen=True, slots=True)
class Screen:
    """The screen at the time of connecting: root window, depth, size in pixels."""

    root: int
    depth: int
    width: int
    height: int


class Display:
    """A connection to an X server; use `connect`.

    Answers find their requests by number, so several may be under way. Of events, the root
    window's sizes are kept; whoever asks for others sets `hear`, which is called with each.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._base = 0
        self._next = 0
        self._sent = 0
        self._sizes: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self.hear: Hearing = _ignore
        self.sized: Callable[[int, int], None] = _forget
        """Called with each new size of the screen that is watched (`watch_size`), at once."""
        self.lost = asyncio.Event()
        """Set when the X server has closed the connection."""
        self.keycodes = (0, 0)
        """The lowest and the highest code that a key may have."""
        self._big = False
        self._listening: asyncio.Task[None] | None = None
        self.screen = Screen(0, 0, 0, 0)

    @classmethod
    async def connect(cls, number: int, cookie: bytes, folder: Path = SOCKETS) -> Self:
        """Connect to display `number` on this machine with an MIT-MAGIC-COOKIE-1.

        Raises:
            XError: it does not let us in.
            OSError: nobody listens there.
        """
        display = cls(*await asyncio.open_unix_connection(folder / f"X{number}"))
        try:
            async with asyncio.timeout(_TIMEOUT):
                await display._greet(cookie)
        except (asyncio.IncompleteReadError, TimeoutError):
            display.close()
            raise XError("The X server closed the connection.") from None
        display._listening = asyncio.create_task(display._listen())
        return display

    def close(self) -> None:
        """Close the connection; pixmaps made on it go with it."""
        if self._listening is not None:
            self._listening.cancel()
        self._writer.close()

    async def atom(self, name: str) -> int:
        """Return the atom that stands for `name`."""
        data = name.encode()
        reply = await self.ask(16, 0, struct.pack("<Hxx", len(data)) + data)
        return int(struct.unpack_from("<I", reply, 8)[0])

    async def property(self, window: int, name: str) -> bytes:
        """Return the first kilobyte of a property's value; empty if it is not set."""
        body = struct.pack("<IIIII", window, await self.atom(name), 0, 0, 256)
        reply = await self.ask(20, 0, body)
        width, length = reply[1], struct.unpack_from("<I", reply, 16)[0]
        return reply[32 : 32 + length * (width // 8)]

    async def set_property(self, window: int, name: str, kind: int, value: bytes) -> None:
        """Replace a property: bytes for `STRING`, else 32-bit values."""
        width = 8 if kind == STRING else 32
        count = len(value) * 8 // width
        head = struct.pack("<IIIBxxxI", window, await self.atom(name), kind, width, count)
        self.send(18, 0, head + value)

    async def place_of(self, window: int) -> tuple[int, int, int, int]:
        """Return x and y on the screen, width and height of a window without its frame.

        Raises:
            XError: there is no such window any more.
        """
        size = await self.ask(14, 0, struct.pack("<I", window))
        width, height = struct.unpack_from("<HH", size, 16)
        place = await self.ask(40, 0, struct.pack("<IIhh", window, self.screen.root, 0, 0))
        x, y = struct.unpack_from("<hh", place, 12)
        return x, y, width, height

    async def pixels(self, window: int, x: int, y: int, width: int, height: int) -> bytes:
        """Return what a part of a window shows, as pixels of B, G, R, 0.

        Raises:
            XError: not all of it is on the screen.
        """
        body = struct.pack("<IhhHHI", window, x, y, width, height, 0xFFFFFFFF)
        return (await self.ask(73, 2, body))[32 : 32 + width * height * 4]

    async def keysyms(self) -> list[tuple[int, ...]]:
        """Return what is on each key, from the lowest code on."""
        lowest, highest = self.keycodes
        reply = await self.ask(101, 0, struct.pack("<BBxx", lowest, highest - lowest + 1))
        width = reply[1]
        flat = struct.unpack_from(f"<{(highest - lowest + 1) * width}I", reply, 32)
        return [flat[at : at + width] for at in range(0, len(flat), width)]

    async def tell_window_manager(self, window: int, name: str, values: tuple[int, ...]) -> None:
        """Send the window manager a client message of up to five 32-bit values."""
        event = struct.pack("<BBHII5i", 33, 32, 0, window, await self.atom(name), *_five(values))
        body = struct.pack("<II", self.screen.root, _TO_WINDOW_MANAGER) + event
        self.send(25, 0, body)
        await self.sync()

    async def watch_size(self) -> None:
        """Ask to be told of every new size of the screen (`next_size`)."""
        body = struct.pack("<III", self.screen.root, 1 << 11, _STRUCTURE_NOTIFY)
        self.send(_CHANGE_ATTRIBUTES, 0, body)
        await self.sync()

    async def next_size(self) -> tuple[int, int]:
        """Wait for a new size of the screen; of several, return the last.

        Raises:
            XError: the X server is gone.
        """
        size = await self._sizes.get()
        while size is not None and not self._sizes.empty():
            size = self._sizes.get_nowait()
        if size is None:
            raise XError("The X server closed the connection.")
        return size

    async def paint_root(self, width: int, height: int, rows: list[bytes]) -> None:
        """Make `rows` (of B, G, R, 0) the root window's background, and show it."""
        root, depth = self.screen.root, self.screen.depth
        pixmap, context = self.new_id(), self.new_id()
        self.send(53, depth, struct.pack("<IIHH", pixmap, root, width, height))
        self.send(55, 0, struct.pack("<III", context, pixmap, 0))
        step = max(1, _LARGEST_REQUEST // (width * 4))
        for top in range(0, height, step):
            part = rows[top : top + step]
            head = struct.pack("<IIHHhhBBxx", pixmap, context, width, len(part), 0, top, 0, depth)
            self.send(72, 2, head + b"".join(part))
            await self._writer.drain()
        self.send(_CHANGE_ATTRIBUTES, 0, struct.pack("<III", root, 1, pixmap))
        self.send(61, 0, struct.pack("<IhhHH", root, 0, 0, 0, 0))
        self.send(60, 0, struct.pack("<I", context))
        # Panels look for the picture behind them by these names.
        for name in ("_XROOTPMAP_ID", "ESETROOT_PMAP_ID"):
            await self.set_property(root, name, PIXMAP, struct.pack("<I", pixmap))
        await self.sync()
        if self._painted:
            self.send(54, 0, struct.pack("<I", self._painted))
        self._painted = pixmap

    _painted = 0

    async def sync(self) -> None:
        """Return when the X server has done all that was asked."""
        await self.ask(43, 0, b"")

    async def _greet(self, cookie: bytes) -> None:
        name = b"MIT-MAGIC-COOKIE-1"
        hello = struct.pack("<BxHHHHxx", 0x6C, 11, 0, len(name), len(cookie))
        self._writer.write(hello + _pad(name) + _pad(cookie))
        head = await self._reader.readexactly(8)
        answer = await self._reader.readexactly(struct.unpack_from("<H", head, 6)[0] * 4)
        if head[0] != 1:
            reason = answer[: head[1]].decode(errors="replace").strip()
            raise XError(f"The X server does not let us in: {reason}.")
        self._base = struct.unpack_from("<I", answer, 4)[0]
        vendor, formats = struct.unpack_from("<H", answer, 16)[0], answer[21]
        at = 32 + (vendor + 3) // 4 * 4 + formats * 8
        root, width, height = struct.unpack_from("<I16xHH", answer, at)
        self.keycodes = (answer[26], answer[27])
        self.screen = Screen(root, answer[at + 38], width, height)

    async def _listen(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(32)
                kind = head[0] & 0x7F
                if kind in {_REPLY, _GENERIC_EVENT}:
                    more = struct.unpack_from("<I", head, 4)[0] * 4
                    head += await self._reader.readexactly(more)
                if kind in {_ERROR, _REPLY}:
                    self._answer(kind, head)
                else:
                    self._happened(kind, head)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.lost.set()
            self._sizes.put_nowait(None)
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(XError("The X server closed the connection."))

    def _answer(self, kind: int, head: bytes) -> None:
        answer = self._waiting.pop(struct.unpack_from("<H", head, 2)[0], None)
        if answer is None or answer.done():
            return  # an error of what has no answer, or one that nobody waits for any more
        if kind == _REPLY:
            answer.set_result(head)
        else:
            answer.set_exception(XError(f"The X server refused: error {head[1]}."))

    def _happened(self, kind: int, head: bytes) -> None:
        if kind == _CONFIGURE_NOTIFY:
            window, width, height = struct.unpack_from("<I8xHH", head, 8)
            if window == self.screen.root:
                self._sizes.put_nowait((width, height))
                self.sized(width, height)
        self.hear(kind, head)

    def new_id(self) -> int:
        """Return an id for something that is made on this connection."""
        self._next += 1
        return self._base + self._next

    def send(self, opcode: int, detail: int, body: bytes) -> None:
        """Send a request that has no answer, or whose answer nobody wants."""
        body = _pad(body)
        length = len(body) // 4 + 1
        if length < 1 << 16:
            head = struct.pack("<BBH", opcode, detail, length)
        elif self._big:
            head = struct.pack("<BBHI", opcode, detail, 0, length + 1)
        else:
            raise XError("The request is larger than this X server takes.")
        self._sent = (self._sent + 1) & 0xFFFF
        self._writer.write(head + body)

    async def ask(self, opcode: int, detail: int, body: bytes) -> bytes:
        """Send a request and return its answer, header included.

        Raises:
            XError: the X server refused, does not answer, or is gone.
        """
        if self.lost.is_set():
            raise XError("The X server closed the connection.")
        self.send(opcode, detail, body)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        number = self._sent
        self._waiting[number] = answer
        try:
            await self._writer.drain()
            async with asyncio.timeout(_TIMEOUT):
                return await answer
        except (OSError, TimeoutError):
            raise XError("The X server does not answer.") from None
        finally:
            self._waiting.pop(number, None)

    async def extension(self, name: str) -> tuple[int, int]:
        """Return an extension's opcode and the number of its first event.

        Raises:
            XError: this X server has none of that name.
        """
        data = name.encode()
        reply = await self.ask(98, 0, struct.pack("<Hxx", len(data)) + data)
        if not reply[8]:
            raise XError(f"The X server has no extension {name}.")
        return reply[9], reply[10]

    async def allow_big_requests(self) -> None:
        """Have the X server take requests of more than 262,140 bytes from here on."""
        opcode, _ = await self.extension("BIG-REQUESTS")
        await self.ask(opcode, 0, b"")
        self._big = True


def _ignore(kind: int, event: bytes) -> None:
    del kind, event


def _forget(width: int, height: int) -> None:
    del width, height


def _five(values: tuple[int, ...]) -> tuple[int, ...]:
    return (*values, 0, 0, 0, 0, 0)[:5]


def authority(number: int, cookie: bytes) -> bytes:
    """Return an Xauthority file that lets whoever reads it onto display `number`."""
    # 65535 (FamilyWild) fits any address, so that a renamed host keeps its windows.
    fields = (b"", str(number).encode(), b"MIT-MAGIC-COOKIE-1", cookie)
    return b"\xff\xff" + b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
