"""A small RFB 3.8 viewer for tests: it really decodes, so a byte out of place shows.

    client = await RfbClient.greet(reader, writer)
    await client.refresh()                      # one full frame
    client.image().save("screen.png")           # as a PIL image
    client.type("hello\n"); client.click(100, 100); client.cut_text("text")

It is fed by anything with `readexactly` and `write`: a pair of asyncio streams, or a
WebSocket by way of `WebSocketStream`.
"""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Protocol, Self

from PIL import Image

RAW, COPY_RECT, TIGHT, ZRLE = 0, 1, 7, 16
DESKTOP_SIZE, LAST_RECT, CURSOR, EXTENDED_DESKTOP_SIZE = -223, -224, -239, -308
FENCE, CONTINUOUS_UPDATES, DESKTOP_NAME = -312, -313, -307
VMWARE_CURSOR, EXTENDED_CLIPBOARD = 0x574D5664, -1063131698
DEFAULT = (COPY_RECT, RAW, DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, LAST_RECT)

_TEXT, _CAPS, _REQUEST, _NOTIFY, _PROVIDE = 1, 1 << 24, 1 << 25, 1 << 27, 1 << 28
_KEYS = {"\n": 0xFF0D, "\t": 0xFF09, "\b": 0xFF08}


class Reader(Protocol):
    """Where bytes come from."""

    async def readexactly(self, n: int, /) -> bytes: ...


class Writer(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


class RfbClient:
    """A viewer with a framebuffer of 32 bits a pixel (B, G, R, unused)."""

    def __init__(self, reader: Reader, writer: Writer, size: tuple[int, int], name: str) -> None:
        self.reader = reader
        self.writer = writer
        self.width, self.height = size
        self.name = name
        self.clipboard: list[str] = []
        self.bells = 0
        self.rectangles: list[tuple[int, int, int, int, int]] = []
        self.screens = b""
        self.extended = False
        self._offered = ""
        self.updates = 0
        self._pixels = bytearray(self.width * self.height * 4)
        self._zrle = zlib.decompressobj()
        self._tight = [zlib.decompressobj() for _ in range(4)]

    @classmethod
    async def greet(
        cls, reader: Reader, writer: Writer, encodings: Iterable[int] = DEFAULT
    ) -> Self:
        """Do the whole handshake, set a pixel format and `encodings`."""
        assert await reader.readexactly(12) == b"RFB 003.008\n"
        writer.write(b"RFB 003.008\n")
        kinds = await reader.readexactly((await reader.readexactly(1))[0])
        if not kinds:
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            raise ConnectionError((await reader.readexactly(length)).decode())
        assert 1 in kinds
        writer.write(b"\x01")
        assert await reader.readexactly(4) == bytes(4)
        writer.write(b"\x01")
        width, height = struct.unpack(">HH", await reader.readexactly(4))
        await reader.readexactly(16)
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        name = (await reader.readexactly(length)).decode()
        client = cls(reader, writer, (width, height), name)
        # 32 bits, depth 24, little-endian, true colour, 8 bits each at 16, 8, 0
        client.set_pixel_format(struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        client.set_encodings(encodings)
        return client

    def set_pixel_format(self, raw: bytes) -> None:
        self.writer.write(b"\x00\x00\x00\x00" + raw)

    def set_encodings(self, encodings: Iterable[int]) -> None:
        numbers = list(encodings)
        self.writer.write(struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers))

    def request(self, *, incremental: bool = True) -> None:
        self.writer.write(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def key(self, keysym: int, *, down: bool) -> None:
        self.writer.write(struct.pack(">BB2xI", 4, down, keysym))

    def press(self, keysym: int) -> None:
        self.key(keysym, down=True)
        self.key(keysym, down=False)

    def type(self, text: str) -> None:
        """Press the keys that write `text` (ASCII, return, tab)."""
        for char in text:
            self.press(_KEYS.get(char, ord(char)))

    def pointer(self, x: int, y: int, buttons: int = 0) -> None:
        self.writer.write(struct.pack(">BBHH", 5, buttons, x, y))

    def click(self, x: int, y: int, button: int = 1) -> None:
        self.pointer(x, y)
        self.pointer(x, y, 1 << (button - 1))
        self.pointer(x, y)

    def cut_text(self, text: str) -> None:
        data = text.encode("latin-1")
        self.writer.write(struct.pack(">B3xI", 6, len(data)) + data)

    def copy(self, text: str) -> None:
        """Offer any text by the extended clipboard; the server asks for it when it wants it."""
        self._offered = text
        self._extended(_NOTIFY | _TEXT)

    def _extended(self, flags: int, data: bytes = b"") -> None:
        self.writer.write(struct.pack(">B3xiI", 6, -4 - len(data), flags) + data)

    def _extended_clipboard(self, data: bytes) -> None:
        (flags,) = struct.unpack_from(">I", data)
        if flags & _CAPS:
            self.extended = True
            self._extended(_CAPS | _TEXT | _REQUEST | _NOTIFY | _PROVIDE, bytes(4))
        elif flags & _NOTIFY and flags & _TEXT:
            self._extended(_REQUEST | _TEXT)
        elif flags & _REQUEST:
            text = self._offered.encode() + b"\0"
            packed = zlib.compress(struct.pack(">I", len(text)) + text)
            self._extended(_PROVIDE | _TEXT, packed)
        elif flags & _PROVIDE:
            plain = zlib.decompressobj().decompress(data[4:])
            (length,) = struct.unpack_from(">I", plain)
            self.clipboard.append(plain[4 : 4 + length].rstrip(b"\0").decode())

    def resize(self, width: int, height: int) -> None:
        """Ask for another size of the screen; it comes with a later update."""
        screen = struct.pack(">IHHHHI", 1, 0, 0, width, height, 0)
        self.writer.write(struct.pack(">BxHHBx", 251, width, height, 1) + screen)

    async def message(self) -> int:
        """Read one message and act on it; return its type."""
        (kind,) = await self.reader.readexactly(1)
        if kind == 0:
            await self._update()
        elif kind == 1:
            _, count = struct.unpack(">xHH", await self.reader.readexactly(5))
            await self.reader.readexactly(6 * count)
        elif kind == 2:
            self.bells += 1
        elif kind == 3:
            (length,) = struct.unpack(">3xi", await self.reader.readexactly(7))
            data = await self.reader.readexactly(abs(length))
            if length >= 0:
                self.clipboard.append(data.decode("latin-1"))
            else:
                self._extended_clipboard(data)
        elif kind == 248:
            flags, length = struct.unpack(">3xIB", await self.reader.readexactly(8))
            data = await self.reader.readexactly(length)
            if flags & 0x80000000:
                head = struct.pack(">B3xIB", 248, flags & 0x3, length)
                self.writer.write(head + data)
        elif kind != 150:
            raise AssertionError(f"message of type {kind}")
        return kind

    async def update(self, seconds: float = 10) -> None:
        """Ask for what changed and read until it has come."""
        self.request()
        async with asyncio.timeout(seconds):
            while await self.message() != 0:
                pass

    async def refresh(self, seconds: float = 10) -> None:
        """Read one whole frame.

        A server may answer the first request with the size of the screen alone.
        """
        area, size = 0, (0, 0)
        async with asyncio.timeout(seconds):
            while area < self.width * self.height:
                if size != (self.width, self.height):
                    area, size = 0, (self.width, self.height)
                    self.request(incremental=False)
                else:
                    self.request()
                while await self.message() != 0:
                    pass
                area += sum(w * h for _, _, w, h, kind in self.rectangles if kind >= 0)

    async def until(self, seen: Any, seconds: float = 10) -> None:
        """Read messages, asking for updates, until `seen(client)` is true."""
        self.request()
        async with asyncio.timeout(seconds):
            while not seen(self):
                if await self.message() == 0:
                    self.request()

    async def settle(self, seconds: float = 0.5) -> None:
        """Read what comes until nothing has come for `seconds`."""
        self.request()
        with contextlib.suppress(TimeoutError):
            while True:
                # Only waiting for the first byte may be given up: the rest belongs together.
                async with asyncio.timeout(seconds):
                    first = await self.reader.readexactly(1)
                self.reader = _Pushback(first, self.reader)
                if await self.message() == 0:
                    self.request()

    def image(self) -> Image.Image:
        """Return the framebuffer."""
        size = (self.width, self.height)
        return Image.frombytes("RGB", size, bytes(self._pixels), "raw", "BGRX")

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        at = (y * self.width + x) * 4
        blue, green, red = self._pixels[at : at + 3]
        return red, green, blue

    def close(self) -> None:
        self.writer.close()

    async def _update(self) -> None:
        (count,) = struct.unpack(">xH", await self.reader.readexactly(3))
        self.rectangles = []
        self.updates += 1
        while count:
            count -= 0 if count == 0xFFFF else 1
            x, y, w, h, kind = struct.unpack(">HHHHi", await self.reader.readexactly(12))
            self.rectangles.append((x, y, w, h, kind))
            if kind == LAST_RECT:
                return
            await self._rectangle(x, y, w, h, kind)

    async def _rectangle(self, x: int, y: int, w: int, h: int, kind: int) -> None:
        read = self.reader.readexactly
        if kind == RAW:
            self._put(x, y, w, h, await read(w * h * 4))
        elif kind == COPY_RECT:
            sx, sy = struct.unpack(">HH", await read(4))
            rows = [self._row(sx, sy + i, w) for i in range(h)]
            self._put(x, y, w, h, b"".join(rows))
        elif kind == ZRLE:
            (length,) = struct.unpack(">I", await read(4))
            self._zrle_rectangle(x, y, w, h, self._zrle.decompress(await read(length)))
        elif kind == TIGHT:
            self._put(x, y, w, h, await self._tight_rectangle(w, h))
        else:
            await self._pseudo(y, w, h, kind)

    async def _pseudo(self, y: int, w: int, h: int, kind: int) -> None:
        read = self.reader.readexactly
        if kind == DESKTOP_SIZE:
            self._resize(w, h)
        elif kind == EXTENDED_DESKTOP_SIZE:
            (screens,) = struct.unpack(">B3x", await read(4))
            self.screens = await read(16 * screens)
            if y == 0:
                self._resize(w, h)
        elif kind == CURSOR:
            await read(w * h * 4 + (w + 7) // 8 * h)
        elif kind == VMWARE_CURSOR:
            (alpha,) = struct.unpack(">Bx", await read(2))
            await read(w * h * (4 if alpha else 8))
        elif kind == DESKTOP_NAME:
            (length,) = struct.unpack(">I", await read(4))
            self.name = (await read(length)).decode()
        else:
            raise AssertionError(f"rectangle of encoding {kind}")

    def _resize(self, w: int, h: int) -> None:
        if (w, h) != (self.width, self.height):
            self.width, self.height = w, h
            self._pixels = bytearray(w * h * 4)

    def _row(self, x: int, y: int, w: int) -> bytes:
        at = (y * self.width + x) * 4
        return bytes(self._pixels[at : at + w * 4])

    def _put(self, x: int, y: int, w: int, h: int, data: bytes) -> None:
        assert len(data) == w * h * 4
        for i in range(h):
            at = ((y + i) * self.width + x) * 4
            self._pixels[at : at + w * 4] = data[i * w * 4 : (i + 1) * w * 4]

    async def _compact(self) -> bytes:
        length = 0
        for shift in (0, 7, 14):
            (byte,) = await self.reader.readexactly(1)
            length |= (byte & (0x7F if shift < 14 else 0xFF)) << shift
            if not byte & 0x80:
                break
        return await self.reader.readexactly(length)

    async def _tight_rectangle(self, w: int, h: int) -> bytes:
        read = self.reader.readexactly
        (control,) = await read(1)
        for i in range(4):
            if control & (1 << i):
                self._tight[i] = zlib.decompressobj()
        method = control >> 4
        if method == 8:
            return _turn(await read(3)) * (w * h)
        if method == 9:
            image = Image.open(BytesIO(await self._compact())).convert("RGB")
            return image.tobytes("raw", "BGRX")
        palette = b""
        if method & 4:
            (kind,) = await read(1)
            assert kind in {0, 1}
            if kind == 1:
                (count,) = await read(1)
                palette = await read((count + 1) * 3)
        row = w * 3
        if palette:
            row = (w + 7) // 8 if len(palette) == 6 else w
        if row * h < 12:
            data = await read(row * h)
        else:
            data = self._tight[method & 3].decompress(await self._compact())
        assert len(data) == row * h
        return _tight_colours(data, palette, w, h) if palette else _turn(data)

    def _zrle_rectangle(self, x: int, y: int, w: int, h: int, data: bytes) -> None:
        source = BytesIO(data)
        for ty in range(0, h, 64):
            for tx in range(0, w, 64):
                tw, th = min(64, w - tx), min(64, h - ty)
                self._put(x + tx, y + ty, tw, th, _zrle_tile(source, tw, th))
        assert not source.read(1)


def _tight_colours(data: bytes, palette: bytes, w: int, h: int) -> bytes:
    colours = [_turn(palette[i : i + 3]) for i in range(0, len(palette), 3)]
    if len(colours) > 2:
        return b"".join(colours[i] for i in data)
    row, out = (w + 7) // 8, []
    for y in range(h):
        line = data[y * row : (y + 1) * row]
        out += [colours[line[x >> 3] >> (7 - (x & 7)) & 1] for x in range(w)]
    return b"".join(out)


def _zrle_tile(source: BytesIO, w: int, h: int) -> bytes:
    (kind,) = source.read(1)
    count = kind & 0x7F
    palette = [_widen(source.read(3)) for _ in range(count)] if count != 1 else []
    if kind == 0:
        return _widen(source.read(w * h * 3))
    if kind == 1:
        return _widen(source.read(3)) * (w * h)
    if kind < 128:
        bits = 1 if count == 2 else 2 if count <= 4 else 4
        out = []
        for _ in range(h):
            line = source.read((w * bits + 7) // 8)
            for x in range(w):
                at = x * bits
                out.append(palette[line[at >> 3] >> (8 - bits - (at & 7)) & ((1 << bits) - 1)])
        return b"".join(out)
    out, left = [], w * h
    while left:
        if kind == 128:
            colour, run = _widen(source.read(3)), True
        else:
            (index,) = source.read(1)
            colour, run = palette[index & 0x7F], bool(index & 0x80)
        length = 1
        while run:
            (more,) = source.read(1)
            length += more
            run = more == 255
        out.append(colour * length)
        left -= length
    return b"".join(out)


def _widen(data: bytes) -> bytes:
    """Make pixels of four bytes (B, G, R, unused) out of ZRLE's three (B, G, R)."""
    out = bytearray(len(data) // 3 * 4)
    out[0::4], out[1::4], out[2::4] = data[0::3], data[1::3], data[2::3]
    return bytes(out)


def _turn(data: bytes) -> bytes:
    """The same out of Tight's, which are R, G, B."""
    out = bytearray(len(data) // 3 * 4)
    out[0::4], out[1::4], out[2::4] = data[2::3], data[1::3], data[0::3]
    return bytes(out)


class _Pushback:
    """A reader with one byte put back."""

    def __init__(self, first: bytes, reader: Any) -> None:
        self._first = first
        self._reader: Any = reader._reader if isinstance(reader, _Pushback) else reader

    async def readexactly(self, n: int, /) -> bytes:
        if self._first and n:
            first, self._first = self._first, b""
            return first + bytes(await self._reader.readexactly(n - 1))
        return bytes(await self._reader.readexactly(n))


class WebSocketStream:
    """Reads and writes a WebSocket of `websockets.asyncio` as a stream of bytes."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._buffer = bytearray()
        self._sending: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()

    async def readexactly(self, n: int, /) -> bytes:
        while len(self._buffer) < n:
            message = await self._socket.recv()
            assert isinstance(message, bytes)
            self._buffer += message
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    def write(self, data: bytes, /) -> None:
        task = asyncio.get_running_loop().create_task(self._send(data))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, data: bytes) -> None:
        async with self._order:
            await self._socket.send(data)

    def close(self) -> None:
        task = asyncio.get_running_loop().create_task(self._socket.close())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
