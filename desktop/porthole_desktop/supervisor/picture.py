"""Pixels of an X server to a PNG, by the standard library alone. Pure.

Pixels are four bytes (B, G, R, unused) and rows are not padded. Whole pictures are worked
on at once, by slices and by integers of millions of bits: a loop over pixels would take a
second where this takes milliseconds.
"""

import struct
import zlib
from operator import itemgetter
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PIXEL: Final = 4
_LEVEL: Final = 1
"""Of zlib: desktops are flat, and whoever waits for a picture waits for this."""


def scaled(width: int, height: int, pixels: bytes, most: int) -> tuple[int, int, bytes]:
    """Return a picture no wider than `most`: its width, its height, its pixels."""
    while width >= 2 * most and height > 1:
        width, height, pixels = _halved(width, height, pixels)
    if width <= most:
        return width, height, pixels
    new_height = max(1, height * most // width)
    parts = [
        _picked((width, height), pixels, (most, new_height), (across, down))
        for across in (0.25, 0.75)
        for down in (0.25, 0.75)
    ]
    upper = _mean(parts[0], parts[1])
    return most, new_height, _mean(upper, _mean(parts[2], parts[3]))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return a picture as a PNG of eight bits a colour."""
    count = width * height
    colours = bytearray(3 * count)
    for place in range(3):
        colours[place::3] = pixels[2 - place : _PIXEL * count : _PIXEL]
    row = 3 * width
    view = memoryview(colours)
    deflate = zlib.compressobj(_LEVEL)
    packed = [
        part
        for at in range(0, row * height, row)
        for part in (deflate.compress(b"\0"), deflate.compress(view[at : at + row]))
        if part
    ]
    packed.append(deflate.flush())
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", b"".join(packed)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _halved(width: int, height: int, pixels: bytes) -> tuple[int, int, bytes]:
    """Return it half as wide and high: each pixel the mean of four; an odd edge is lost."""
    row = width * _PIXEL
    view = memoryview(pixels)
    upper = b"".join(view[at : at + row] for at in range(0, row * (height - 1), 2 * row))
    lower = b"".join(view[at : at + row] for at in range(row, row * height, 2 * row))
    new_width, new_height = width // 2, height // 2
    tall = memoryview(_mean(upper, lower))
    if width % 2:
        tall = memoryview(b"".join(tall[at : at + row - _PIXEL] for at in range(0, len(tall), row)))
    words = tall.cast("I")
    return new_width, new_height, _mean(words[0::2].tobytes(), words[1::2].tobytes())


def _picked(
    size: tuple[int, int], pixels: bytes, new: tuple[int, int], inside: tuple[float, float]
) -> bytes:
    """Return as many pixels as `new` says; `inside` is where in each of these to look."""
    (width, height), (across, down) = size, new
    columns = [int((x + inside[0]) * width / across) for x in range(across)]
    rows = [int((y + inside[1]) * height / down) for y in range(down)]
    words = memoryview(pixels).cast("I")
    pick = itemgetter(*columns) if across > 1 else lambda line: (line[columns[0]],)
    form = struct.Struct(f"{across}I")
    return b"".join(form.pack(*pick(words[y * width : (y + 1) * width])) for y in rows)


def _mean(one: bytes, other: bytes) -> bytes:
    """Return the mean of two pictures, byte by byte."""
    # (a & b) + ((a ^ b) >> 1), where no bit may fall from one byte into the next.
    size = len(one)
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    low = int.from_bytes(b"\xfe" * size, "little")
    return ((a & b) + (((a ^ b) & low) >> 1)).to_bytes(size, "little")
