"""A desktop's X server as a benchmark sees it: a window that moves, and where things are."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.support.outside import Desktop
from porthole_desktop.supervisor.x11 import Display

_MOVE = 1 | 0x3 << 8 | 2 << 12
"""_NET_MOVERESIZE_WINDOW: gravity north-west, x and y are given, by a pager."""
_STEP = 0.008
_WITHIN = 20.0


@dataclass(frozen=True)
class Box:
    """A rectangle of the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int


@asynccontextmanager
async def the_screen_of(session: str) -> AsyncIterator[Display]:
    """Connect to a session's X server, past everything of ours."""
    desktop = Desktop.of(session)
    path = Path(desktop.display)
    cookie = desktop.authority.read_bytes()[-16:]
    display = await Display.connect(int(path.name.removeprefix("X")), cookie, path.parent)
    try:
        yield display
    finally:
        display.close()


async def the_terminal(display: Display) -> int:
    """Wait until there is a window, and return it."""
    async with asyncio.timeout(_WITHIN):
        while not (found := await display.property(display.screen.root, "_NET_CLIENT_LIST")):
            await asyncio.sleep(0.05)
    (window,) = struct.unpack_from("<I", found)
    return int(window)


async def first_lines(session: str) -> Box:
    """Return where the terminal shows what is typed first."""
    async with the_screen_of(session) as display:
        x, y, width, _ = await display.place_of(await the_terminal(display))
        return Box(max(x, 0), max(y, 0), min(width, display.screen.width - max(x, 0)), 40)


async def across(session: str) -> Box:
    """Return a band through the middle of the screen, where a window that moves is seen."""
    async with the_screen_of(session) as display:
        return Box(0, display.screen.height // 2, display.screen.width, 8)


@asynccontextmanager
async def moving(session: str) -> AsyncIterator[None]:
    """Move the terminal to and fro, 125 times a second, for as long as the block runs."""
    async with the_screen_of(session) as display:
        window = await the_terminal(display)
        _, y, width, _ = await display.place_of(window)
        room = max(display.screen.width - width, 200)

        async def move() -> None:
            step = 0
            while True:
                step += 4
                x = abs(step % (2 * room) - room)
                await display.tell_window_manager(
                    window, "_NET_MOVERESIZE_WINDOW", (_MOVE, x, y, 0, 0)
                )
                await asyncio.sleep(_STEP)

        mover = asyncio.create_task(move())
        try:
            yield
            if mover.done():
                mover.result()
        finally:
            mover.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await mover
