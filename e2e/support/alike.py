"""How far apart two pictures are: by their noise, and by where they fit best."""

import asyncio
import math
from collections.abc import Callable

from PIL import Image, ImageChops, ImageStat

from e2e.support.console import OUT, Console, eventually

NOISE = 35.0
"""dB: RemoteFX loses a little, and this is the most that a picture may differ."""
BAND = 32
"""Lines that are looked at together; a lean of a pixel a line shows in any of them."""


async def becomes(me: Console, screen: Callable[[], Image.Image]) -> None:
    """Check that a picture becomes the screen's: little noise, and no line that leans."""
    said = ""
    pictures: tuple[Image.Image, ...] = ()

    async def look() -> bool:
        nonlocal said, pictures
        await asyncio.sleep(0.3)
        pictures = await me.picture(), await asyncio.to_thread(screen)
        said = await asyncio.to_thread(unlike, *pictures)
        return not said

    try:
        await eventually(look, 15, lambda: f"canvas and screen: {said}")
    except AssertionError:
        OUT.mkdir(exist_ok=True)
        for name, picture in zip(("canvas", "screen"), pictures, strict=True):
            picture.save(OUT / f"rdp-unlike-{name}.png")
        raise


def unlike(one: Image.Image, other: Image.Image) -> str:
    """Say how two pictures differ by more than `NOISE`, or lean; empty if they do not."""
    if one.size != other.size:
        return f"{one.size} is not {other.size}"
    if (found := psnr(one, other)) < NOISE:
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
