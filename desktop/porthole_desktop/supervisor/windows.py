"""Windows follow the screen: what would stick out after it became smaller is brought back.

A window manager keeps a corner of every window in reach and no more, and a viewer's browser
window changes its size more often than a monitor does. What is maximised or full screen the
window manager fits itself.

Names and values: Extended Window Manager Hints 1.5, "Root Window Properties" and
"_NET_MOVERESIZE_WINDOW".
"""

import struct
from dataclasses import dataclass
from typing import Final

from .x11 import Display, XError

_HELD: Final = ("_NET_WM_STATE_FULLSCREEN", "_NET_WM_STATE_MAXIMIZED_HORZ", "_NET_WM_STATE_HIDDEN")
_NORMAL: Final = ("_NET_WM_WINDOW_TYPE_NORMAL", "_NET_WM_WINDOW_TYPE_DIALOG")
# Gravity north-west: x and y are the frame's. Bits 8 to 11: all four are given; 13: by a pager.
_MOVE_AND_RESIZE: Final = 1 | 0xF << 8 | 2 << 12


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int


def fitted(box: Box, area: Box) -> Box:
    """Return `box` moved into `area`, and made smaller where it is larger than that."""
    width, height = min(box.width, area.width), min(box.height, area.height)
    return Box(
        x=max(area.x, min(box.x, area.x + area.width - width)),
        y=max(area.y, min(box.y, area.y + area.height - height)),
        width=width,
        height=height,
    )


async def bring_into_view(display: Display) -> None:
    """Bring every window into the part of the screen that panels leave to windows."""
    root = display.screen.root
    area = _cardinals(await display.property(root, "_NET_WORKAREA"))
    if len(area) < 4:  # noqa: PLR2004 - x, y, width, height of the first workspace
        return
    for window in _cardinals(await display.property(root, "_NET_CLIENT_LIST")):
        try:
            await _bring(display, window, Box(*area[:4]))
        except XError:
            continue  # it was closed meanwhile


async def titles(display: Display) -> list[str]:
    """Return the titles of all windows that the window manager has taken up."""
    found: list[str] = []
    for window in _cardinals(await display.property(display.screen.root, "_NET_CLIENT_LIST")):
        try:
            title = await display.property(window, "_NET_WM_NAME")
            title = title or await display.property(window, "WM_NAME")
        except XError:
            continue  # it was closed meanwhile
        found.append(title.decode(errors="replace"))
    return found


async def _bring(display: Display, window: int, area: Box) -> None:
    states = _cardinals(await display.property(window, "_NET_WM_STATE"))
    if not {await display.atom(name) for name in _HELD}.isdisjoint(states):
        return
    kinds = _cardinals(await display.property(window, "_NET_WM_WINDOW_TYPE"))
    if kinds and kinds[0] not in {await display.atom(name) for name in _NORMAL}:
        return
    edges = _cardinals(await display.property(window, "_NET_FRAME_EXTENTS"))
    left, right, top, bottom = edges if len(edges) == 4 else (0, 0, 0, 0)  # noqa: PLR2004 - its four
    x, y, width, height = await display.place_of(window)
    frame = Box(x - left, y - top, width + left + right, height + top + bottom)
    wanted = fitted(frame, area)
    if wanted != frame:
        inner = (max(1, wanted.width - left - right), max(1, wanted.height - top - bottom))
        values = (_MOVE_AND_RESIZE, wanted.x, wanted.y, *inner)
        await display.tell_window_manager(window, "_NET_MOVERESIZE_WINDOW", values)


def _cardinals(value: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(value) // 4}I", value[: len(value) // 4 * 4])
