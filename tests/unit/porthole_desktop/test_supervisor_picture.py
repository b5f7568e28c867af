"""Pictures of the screen: every pixel as it was, and smaller ones as the eye would have them."""

import io
import random

import pytest
from PIL import Image, ImageChops, ImageStat

from porthole_desktop.supervisor import picture


def screen(width: int, height: int) -> Image.Image:
    """Return something with smooth parts, edges and noise."""
    made = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    noise = random.Random(7).randbytes(3 * (width // 2) * (height // 2))
    made.paste(Image.frombytes("RGB", (width // 2, height // 2), noise), (0, 0))
    return made


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGBA").tobytes("raw", "BGRA")


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (640, 480), (801, 601)])
def test_a_png_has_every_pixel(size: tuple[int, int]):
    image = screen(*size)
    made = Image.open(io.BytesIO(picture.png(*size, pixels(image))))
    made.load()
    assert made.mode == "RGB"
    assert made.tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(1280, 720), (801, 601), (333, 1000)])
@pytest.mark.parametrize("most", [320, 200, 64])
def test_a_smaller_picture_is_close_to_the_mean(size: tuple[int, int], most: int):
    image = screen(*size)
    width, height, made = picture.scaled(*size, pixels(image), most)
    assert width == most
    assert abs(height - size[1] * most / size[0]) <= 1
    assert len(made) == width * height * 4
    small = Image.open(io.BytesIO(picture.png(width, height, made)))
    wanted = image.resize((width, height), Image.Resampling.BOX)
    assert ImageStat.Stat(ImageChops.difference(small, wanted)).mean[0] < 15


@pytest.mark.parametrize("most", [1, 2, 15])
def test_very_small_ones_can_be_made(most: int):
    width, height, made = picture.scaled(100, 60, pixels(screen(100, 60)), most)
    assert (width, len(made)) == (most, width * height * 4)


def test_a_picture_that_is_small_enough_stays_as_it_is():
    made = pixels(screen(100, 60))
    assert picture.scaled(100, 60, made, 100) == (100, 60, made)
