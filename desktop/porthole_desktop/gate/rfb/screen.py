"""What both directions of one conversation have to know of each other."""

from dataclasses import dataclass, field
from typing import Final

from porthole_desktop.gate.rfb.encodings import Encoding
from porthole_desktop.gate.rfb.pixels import PixelFormat

LARGEST_SIDE: Final = 16384
"""Pixels; the most that a framebuffer may be wide or high."""


@dataclass(slots=True)
class Screen:
    """The framebuffer and what was agreed on about it.

    `requested` is True once an update may be under way: from then on the size of a pixel
    must not change. `encodings` are all that the viewer has ever named and may arrive.
    """

    width: int
    height: int
    pixels: PixelFormat
    requested: bool = False
    encodings: set[int] = field(default_factory=lambda: {int(Encoding.RAW)})
