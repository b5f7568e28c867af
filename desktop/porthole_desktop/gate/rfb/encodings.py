"""Encodings that pass: those whose rectangles can be sized without decoding them.

`RECTANGLES` may arrive as rectangles; `HINTS` only tell the server something about the
viewer and never arrive. SetEncodings is rewritten to these; so an honest server never
sends anything else, and what a dishonest one sends ends the stream.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final


class Encoding(IntEnum):
    """Encodings and pseudo-encodings by their number."""

    RAW = 0
    COPY_RECT = 1
    TIGHT = 7
    ZRLE = 16
    DESKTOP_SIZE = -223
    LAST_RECT = -224
    CURSOR = -239
    QEMU_KEYS = -258
    QEMU_LEDS = -261
    DESKTOP_NAME = -307
    EXTENDED_DESKTOP_SIZE = -308
    FENCE = -312
    CONTINUOUS_UPDATES = -313
    EXTENDED_CLIPBOARD = -1063131698
    VMWARE_CURSOR = 0x574D5664
    VMWARE_LEDS = 0x574D5668


RECTANGLES: Final = frozenset(
    {
        Encoding.RAW,
        Encoding.COPY_RECT,
        Encoding.TIGHT,
        Encoding.ZRLE,
        Encoding.DESKTOP_SIZE,
        Encoding.LAST_RECT,
        Encoding.CURSOR,
        Encoding.QEMU_KEYS,
        Encoding.QEMU_LEDS,
        Encoding.DESKTOP_NAME,
        Encoding.EXTENDED_DESKTOP_SIZE,
        Encoding.VMWARE_CURSOR,
        Encoding.VMWARE_LEDS,
    }
)
HINTS: Final = frozenset(
    {
        Encoding.FENCE,
        Encoding.CONTINUOUS_UPDATES,
        Encoding.EXTENDED_CLIPBOARD,
        *range(-32, -22),  # JPEG quality
        *range(-256, -246),  # compression level
        *range(-512, -411),  # fine JPEG quality
        *range(-768, -762),  # JPEG subsampling
    }
)


def admitted(wanted: Iterable[int]) -> list[int]:
    """Return those of `wanted` that pass, in their order, each once."""
    return [number for number in dict.fromkeys(wanted) if number in RECTANGLES or number in HINTS]
