"""Between Xvnc and xrdp: the same pictures, in rectangles that RDP's clients draw alike.

    python3 -I -B aligned.py RFB_SOCKET PORT

xrdp makes bitmaps of the rectangles that it is sent, padded to a width of a multiple of four
pixels, and there are clients that draw the padding's width wrongly (IronRDP 0.7 shears such a
picture). So every rectangle is made larger here, to multiples of four, from what was seen
before; at the right edge that helps if the screen's own width is one. xrdp connects over TCP
and no other way, so this listens on the loopback, and only to processes of its own user.

Run by its path, with nothing but the standard library.
"""

import asyncio
import contextlib
import os
import struct
import sys
from pathlib import Path
from typing import Final

GRAIN: Final = 4
"""Pixels that the left edge and the width of a rectangle are multiples of."""

RAW, COPY, CURSOR, SIZE, LAYOUT = 0, 1, -239, -223, -308
_CLIENT_LENGTHS: Final = {0: 20, 3: 10, 4: 8, 5: 6}
_CHUNK: Final = 2**18


class Broken(Exception):
    """One side said something that is not RFB 3.3 as xrdp and Xvnc speak it."""


class Picture:
    """What was last seen of the screen; `size` is that of a pixel in bytes."""

    def __init__(self, width: int, height: int, size: int) -> None:
        self.width = width
        self.height = height
        self.size = size
        self._pixels = bytearray(width * height * size)

    def paint(self, x: int, y: int, width: int, height: int, data: bytes) -> None:
        """Take over a rectangle.

        Raises:
            Broken: it is not on the screen.
        """
        if x + width > self.width or y + height > self.height:
            raise Broken("A rectangle is not on the screen.")
        row, line = width * self.size, self.width * self.size
        at = y * line + x * self.size
        for start in range(0, height * row, row or 1):
            self._pixels[at : at + row] = data[start : start + row]
            at += line

    def cut(self, x: int, y: int, width: int, height: int) -> bytes:
        """Return the pixels of a rectangle."""
        row, line = width * self.size, self.width * self.size
        at = y * line + x * self.size
        view = memoryview(self._pixels)
        return b"".join(view[start : start + row] for start in range(at, at + height * line, line))


def aligned(x: int, width: int, screen: int) -> tuple[int, int]:
    """Return left edge and width of the rectangle that is sent instead."""
    left = x - x % GRAIN
    right = min(screen, -(-(x + width) // GRAIN) * GRAIN)
    return left, right - left


class Between:
    """One connection of xrdp, carried to Xvnc."""

    def __init__(
        self,
        xrdp: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        xvnc: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._from_xrdp, self._to_xrdp = xrdp
        self._from_xvnc, self._to_xvnc = xvnc
        self._picture = Picture(0, 0, 4)
        self._size = 4

    async def carry(self) -> None:
        """Carry both ways until one side leaves."""
        ways = {asyncio.create_task(self._out()), asyncio.create_task(self._back())}
        done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in left:
            way.cancel()
        await asyncio.wait(ways)
        for way in done:
            way.result()

    async def _out(self) -> None:
        """Carry what xrdp says; it is not told how to ask for copies, which have any edge."""
        read, write = self._from_xrdp.readexactly, self._to_xvnc.write
        for length in (12, 1):  # each is an answer to what came before
            write(await read(length))
        while True:
            kind = (await read(1))[0]
            if kind == 2:  # noqa: PLR2004 - SetEncodings
                head = await read(3)
                count = struct.unpack_from(">H", head, 1)[0]
                wanted = struct.unpack(f">{count}i", await read(4 * count))
                kept = [encoding for encoding in wanted if encoding != COPY]
                write(struct.pack(f">BxH{len(kept)}i", 2, len(kept), *kept))
            elif kind in _CLIENT_LENGTHS:
                body = await read(_CLIENT_LENGTHS[kind] - 1)
                if kind == 0:
                    self._size = body[3] // 8
                    self._picture = Picture(self._picture.width, self._picture.height, self._size)
                write(bytes((kind,)) + body)
            elif kind == 6:  # noqa: PLR2004 - ClientCutText
                head = await read(7)
                write(bytes((kind,)) + head + await read(struct.unpack_from(">I", head, 3)[0]))
            elif kind == 251:  # noqa: PLR2004 - SetDesktopSize
                head = await read(7)
                write(bytes((kind,)) + head + await read(16 * head[5]))
            else:
                raise Broken(f"xrdp sent a message of the kind {kind}.")
            await self._to_xvnc.drain()

    async def _back(self) -> None:
        """Carry what Xvnc says, with larger rectangles."""
        read, write = self._from_xvnc.readexactly, self._to_xrdp.write
        for length in (12, 4):
            write(await read(length))
        start = await read(24)
        write(start + await read(struct.unpack_from(">I", start, 20)[0]))
        width, height = struct.unpack_from(">HH", start)
        self._picture = Picture(width, height, self._size)
        while True:
            kind = (await read(1))[0]
            if kind == 0:
                head = await read(3)
                write(b"\0" + head)
                for _ in range(struct.unpack_from(">H", head, 1)[0]):
                    await self._rectangle()
            elif kind == 2:  # noqa: PLR2004 - Bell
                write(b"\x02")
            elif kind == 3:  # noqa: PLR2004 - ServerCutText
                head = await read(7)
                write(b"\x03" + head + await read(struct.unpack_from(">I", head, 3)[0]))
            else:
                raise Broken(f"Xvnc sent a message of the kind {kind}.")
            await self._to_xrdp.drain()

    async def _rectangle(self) -> None:
        read, write = self._from_xvnc.readexactly, self._to_xrdp.write
        head = await read(12)
        x, y, width, height, encoding = struct.unpack(">HHHHi", head)
        picture = self._picture
        if encoding == RAW:
            data = await read(width * height * picture.size)
            picture.paint(x, y, width, height, data)
            left, wide = aligned(x, width, picture.width)
            if wide != width:
                data = picture.cut(left, y, wide, height)
            write(struct.pack(">HHHHi", left, y, wide, height, RAW) + data)
        elif encoding == CURSOR:
            write(head + await read(width * height * picture.size + (width + 7) // 8 * height))
        elif encoding in (SIZE, LAYOUT):
            more = b""
            if encoding == LAYOUT:
                more = await read(4)
                more += await read(16 * more[0])
            if (width, height) != (picture.width, picture.height):
                self._picture = Picture(width, height, picture.size)
            write(head + more)
        else:
            raise Broken(f"Xvnc sent a rectangle of the encoding {encoding}.")


def owner_of(peer: tuple[str, int], table: str) -> int | None:
    """Return the uid of the socket whose own address is `peer`, after /proc/net/tcp and tcp6."""
    host = struct.unpack("<I", bytes(int(part) for part in peer[0].split(".")))[0]
    wanted = f"{host:08X}:{peer[1]:04X}"
    mapped = "0000000000000000FFFF0000" + wanted  # who asked by a socket for IPv6, as xrdp does
    for line in table.splitlines():
        words = line.split()
        if words[1] in (wanted, mapped):
            return int(words[7])
    return None


def owner(peer: tuple[str, int]) -> int | None:
    """Return the uid of the socket whose own address is `peer`; None: there is none."""
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    return owner_of(peer, "".join(table.read_text() for table in tables if table.exists()))


async def serve(rfb: Path, port: int) -> None:
    """Listen on the loopback for processes of our own user."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if owner(writer.get_extra_info("peername")[:2]) != os.getuid():
                return
            xvnc = await asyncio.open_unix_connection(str(rfb), limit=_CHUNK)
            try:
                await Between((reader, writer), xvnc).carry()
            finally:
                xvnc[1].close()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of them left
        except Broken as error:
            sys.stderr.write(f"{error}\n")
        finally:
            writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", port, limit=_CHUNK)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
