"""Has the screen really been drawn? Asked the way a viewer asks: over RFB.

A desktop is ready when somebody who connects sees something. So the supervisor connects
to its own `rfb.sock`, takes one full frame and looks whether it has several colours. Where
the X server speaks no RFB, it is asked what is on its screen.
"""

import asyncio
import struct
from pathlib import Path
from typing import Final

from .x11 import Display

COLOURS: Final = 4
"""Distinct colours that make a picture; an empty screen has one, two with a cursor."""
_SAMPLES: Final = 5000
_LINES: Final = 24
_LARGEST_NAME: Final = 4096


class NotRfb(Exception):
    """What listens there does not speak the RFB that we expect."""


async def colours(path: Path, timeout: float = 10.0) -> int:  # noqa: ASYNC109 - a bound of ours
    """Return how many distinct colours a sample of one full frame has.

    Raises:
        NotRfb: the server speaks something else.
        OSError: nobody listens there, or it hung up.
        TimeoutError: no frame came in time.
    """
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            return await _look(reader, writer)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("The RFB server hung up.") from None
        finally:
            writer.close()


async def colours_of(display: Display) -> int:
    """Return how many distinct colours some lines of the X server's screen have.

    Raises:
        XError: it is gone, or has another size by now.
    """
    root = display.screen.root
    _, _, width, height = await display.place_of(root)
    seen: set[bytes] = set()
    for line in range(_LINES):
        row = await display.pixels(root, 0, height * line // _LINES, width, 1)
        seen.update(row[at : at + 4] for at in range(0, len(row), 4))
    return len(seen)


async def _look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    if not (await reader.readexactly(12)).startswith(b"RFB 003."):
        raise NotRfb("The server does not greet with RFB 3.")
    writer.write(b"RFB 003.008\n")
    kinds = await reader.readexactly((await reader.readexactly(1))[0])
    if 1 not in kinds:
        raise NotRfb("The server does not offer security None.")
    writer.write(b"\x01")
    if await reader.readexactly(4) != bytes(4):
        raise NotRfb("The server refused security None.")
    writer.write(b"\x01")
    width, height, pixel, name = struct.unpack(">HHB15xI", await reader.readexactly(24))
    if name > _LARGEST_NAME:
        raise NotRfb("The server's name is too long.")
    await reader.readexactly(name)
    writer.write(struct.pack(">BxHi", 2, 1, 0))
    writer.write(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    size = pixel // 8
    if size not in (1, 2, 4):
        raise NotRfb("The server's pixels have no size that RFB knows.")
    kind, rectangles = struct.unpack(">BxH", await reader.readexactly(4))
    if kind != 0:
        raise NotRfb("The server's first message is not a frame.")
    seen: set[bytes] = set()
    for _ in range(rectangles):
        w, h, encoding = struct.unpack(">4xHHi", await reader.readexactly(12))
        if encoding != 0:
            raise NotRfb("The server answered with an encoding that was not asked for.")
        data = await reader.readexactly(w * h * size)
        step = size * max(1, w * h // _SAMPLES)
        seen.update(data[at : at + size] for at in range(0, len(data), step))
    return len(seen)
