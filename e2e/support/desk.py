"""Somebody at a desk: a screen with a window manager, a keyboard, a browser in a window.

What is pressed there goes through all of them before the console hears of it.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from e2e.support.console import Console, chromium
from tests.support.own_screen import OwnScreen


@asynccontextmanager
async def at_a_desk(prefix: str, *, layout: str = "us") -> AsyncIterator[tuple[Console, OwnScreen]]:
    """Have a page of the console, and the screen and keyboard that it is used with.

    Args:
        prefix: of the pictures that are kept.
        layout: of the keyboard, as X knows it.
    """
    with tempfile.TemporaryDirectory(prefix="ph-") as folder, OwnScreen(Path(folder)) as mine:
        mine.start("openbox")
        mine.run("setxkbmap", layout)
        async with chromium(on=mine) as browser:
            context = await browser.new_context(no_viewport=True)
            context.set_default_timeout(15_000)
            me = Console(await context.new_page(), prefix)
            async with me.shot_if_it_fails():
                yield me, mine
            assert me.failures == []
