"""Pixel formats: how many bytes a pixel takes, plainly and in Tight."""

import struct
from dataclasses import dataclass
from typing import Final, Self

LENGTH: Final = 16
_FORMAT: Final = struct.Struct(">BBBBHHHBBB3x")
_FULL: Final = 255


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What sizes depend on: bytes of a pixel, and of a pixel in Tight."""

    size: int
    tight_size: int

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read the sixteen bytes of a PIXEL_FORMAT.

        Raises:
            ValueError: there is no such format.
        """
        bits, depth, _, true_colour, red, green, blue, *shifts = _FORMAT.unpack(raw)
        if bits not in {8, 16, 32} or not 1 <= depth <= bits:
            raise ValueError(f"There are no pixels of {bits} bits with a depth of {depth}.")
        if true_colour and any(shift >= bits for shift in shifts):
            raise ValueError("A colour lies outside its pixel.")
        small = (
            bits == 32  # noqa: PLR2004 - the rule of Tight, as it is written
            and depth == 24  # noqa: PLR2004 - bits of true colour
            and true_colour
            and red == green == blue == _FULL
        )
        return cls(bits // 8, 3 if small else bits // 8)
