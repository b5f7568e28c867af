"""The picture behind the windows: dusk over a calm sea, seen through a porthole.

Drawn for the exact size of the screen, row by row. A row is made of runs of one colour
with a fine ordered dither against banding, so that a full screen costs tens of
milliseconds in plain Python; only the few pixels on the edge of a circle are blended one
by one.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

Colour = tuple[float, float, float]
"""Red, green, blue from 0 to 255."""

_WALL: Final[Sequence[tuple[float, Colour]]] = (
    (0.0, (16, 24, 40)),
    (0.55, (24, 38, 58)),
    (1.0, (14, 22, 36)),
)
_SKY: Final[Sequence[tuple[float, Colour]]] = (
    (0.0, (38, 66, 104)),
    (0.55, (112, 126, 150)),
    (0.85, (226, 170, 132)),
    (1.0, (246, 206, 150)),
)
_SEA: Final[Sequence[tuple[float, Colour]]] = (
    (0.0, (142, 128, 134)),
    (0.18, (66, 90, 120)),
    (1.0, (18, 36, 62)),
)
_RIM_LIGHT: Final[Colour] = (86, 106, 132)
_RIM_DARK: Final[Colour] = (34, 50, 72)
_SUN: Final[Colour] = (255, 232, 188)
_DITHER: Final = (0.0, 0.5, 0.125, 0.625, 0.75, 0.25, 0.875, 0.375)
_HORIZON: Final = 0.58
_GLITTER_ENDS, _TROUGH = 0.75, -0.35


def draw(width: int, height: int) -> list[bytes]:
    """Return `height` rows of `width` pixels, each pixel as the bytes B, G, R, 0."""
    radius = 0.30 * min(width, height)
    cx, cy = width / 2, height * 0.47
    rim = max(3.0, radius * 0.10)
    rows = []
    for y in range(height):
        row = bytearray(_run(_blend(_WALL, y / height), y, width))
        _disc(row, y, cx, cy, radius + rim, _mix(_RIM_LIGHT, _RIM_DARK, _share(y, cy, radius)))
        _disc(row, y, cx, cy, radius + rim * 0.35, _RIM_DARK)
        _disc(row, y, cx, cy, radius, _view(y, cy, radius))
        if y <= cy + radius * (2 * _HORIZON - 1):
            _disc(row, y, cx + radius * 0.28, cy + radius * 0.10, radius * 0.13, _SUN)
        else:
            _glitter(row, y, cx + radius * 0.28, cy, radius)
        rows.append(bytes(row))
    return rows


def _share(y: float, cy: float, radius: float) -> float:
    """Return where `y` lies in the window: 0 at its top, 1 at its bottom."""
    return min(1.0, max(0.0, (y - cy + radius) / (2 * radius)))


def _view(y: float, cy: float, radius: float) -> Colour:
    share = _share(y, cy, radius)
    if share < _HORIZON:
        return _blend(_SKY, share / _HORIZON)
    return _blend(_SEA, (share - _HORIZON) / (1 - _HORIZON))


def _glitter(row: bytearray, y: int, sun: float, cy: float, radius: float) -> None:
    """Lay a band of light on the water below the sun."""
    depth = (_share(y, cy, radius) - _HORIZON) / (1 - _HORIZON)
    wave = math.sin(y * 40 / radius) * math.sin(y * 17 / radius + 1)
    half = radius * (0.10 + 0.10 * depth) * (0.55 + 0.45 * wave)
    if depth < _GLITTER_ENDS and wave > _TROUGH and half >= 1:
        colour = _mix(_SUN, _view(y, cy, radius), 0.45 + 0.65 * depth)
        left, right = int(sun - half), int(sun + half)
        row[left * 4 : right * 4] = _run(colour, y, right - left)


def _disc(  # noqa: PLR0917 - a circle in a row has that many
    row: bytearray, y: int, cx: float, cy: float, radius: float, colour: Colour
) -> None:
    """Fill the part of a row that lies in a circle, with soft ends."""
    dy = y + 0.5 - cy
    if abs(dy) >= radius:
        return
    half = math.sqrt(radius * radius - dy * dy)
    width = len(row) // 4
    left, right = cx - half, cx + half
    first, last = max(0, math.ceil(left)), min(width, math.floor(right))
    if last > first:
        row[first * 4 : last * 4] = _run(colour, y, last - first)
    for x, cover in ((first - 1, first - left), (last, right - last)):
        if 0 <= x < width:
            old: Colour = (row[x * 4 + 2], row[x * 4 + 1], row[x * 4])
            row[x * 4 : x * 4 + 4] = _pixel(_mix(old, colour, min(1.0, cover)), 0.5)


def _run(colour: Colour, y: int, count: int) -> bytes:
    """Return `count` pixels of a colour, dithered by position."""
    shift = (y * 3) % len(_DITHER)
    tile = b"".join(_pixel(colour, _DITHER[(i + shift) % len(_DITHER)]) for i in range(8))
    return (tile * (count // 8 + 1))[: count * 4]


def _pixel(colour: Colour, dither: float) -> bytes:
    red, green, blue = colour
    return bytes((int(blue + dither), int(green + dither), int(red + dither), 0))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    share = min(1.0, max(0.0, share))
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def _blend(stops: Sequence[tuple[float, Colour]], at: float) -> Colour:
    for (start, low), (end, high) in pairwise(stops):
        if at <= end:
            return _mix(low, high, (at - start) / (end - start))
    return stops[-1][1]
