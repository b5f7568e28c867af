"""How far apart two pictures are: by their noise, and by where they fit best."""

import math

from PIL import Image, ImageChops, ImageStat

BAND = 32
"""Lines that are looked at together; a lean of a pixel a line shows in any of them."""


def unlike(one: Image.Image, other: Image.Image, noise: float) -> str:
    """Say how two pictures differ by more than `noise` (dB), or lean; empty if they do not."""
    if one.size != other.size:
        return f"{one.size} is not {other.size}"
    if (found := psnr(one, other)) < noise:
        return f"PSNR {found:.1f} dB"
    width, height = one.size
    for top in range(0, height - BAND, BAND):
        errors = {
            shift: _error(
                one.crop((4, top, width - 4, top + BAND)),
                other.crop((4 + shift, top, width - 4 + shift, top + BAND)),
            )
            for shift in range(-4, 5)
        }
        best = min(errors, key=lambda shift: errors[shift])
        # Where a band is the same all along, every shift fits.
        if best != 0 and errors[0] > errors[best] + 1:
            return f"lines {top} to {top + BAND} fit best when shifted by {best}"
    return ""


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Return how little noise there is between two pictures of one size, in dB."""
    error = _error(one, other)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _error(one: Image.Image, other: Image.Image) -> float:
    """Return the mean of the squares of what differs, over all pixels and colours."""
    squares = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    return sum(squares) / (3 * one.width * one.height)
