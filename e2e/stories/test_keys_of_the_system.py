"""Keys that a system keeps for itself are the desktop's while it fills the screen.

Somebody has a screen with a window manager that knows Alt+Tab, a browser with a window there,
and a keyboard: what is pressed goes through all of them, as it does at a desk.
"""

import asyncio
from functools import partial

import pytest

from e2e.support.console import Console, eventually, until_holds
from e2e.support.desk import at_a_desk
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from tests.support.own_screen import OwnScreen

OTHER = "another window"
LONG = "3"
"""Seconds: Chromium leaves full screen after one and a half."""


@pytest.mark.timeout(240)
async def test_keys_of_the_system(instance: Instance) -> None:
    async with at_a_desk("keys") as (me, mine):
        mine.start("xev", "-name", OTHER)
        await me.sign_in(instance.another_link())
        session = await me.new_session("desktop")
        await me.until_state("open", within=60)
        desktop = Desktop.of(session)
        press, uses = partial(_press, mine), partial(_uses, mine)

        # In a window they are the person's own: Alt+Tab goes to another window of theirs.
        await me.canvas.click()
        await asyncio.to_thread(mine.type, "xterm &\n")
        await _until_typed_into(mine, desktop, "/dev/pts/1")
        assert await uses("Porthole")
        await press("alt+Tab")
        await eventually(partial(uses, OTHER), 5, "Alt+Tab is the person's own")
        await press("alt+Tab")
        await eventually(partial(uses, "Porthole"), 5, "the browser is back")

        # Full screen, they are the desktop's: its second terminal goes, its first one comes.
        await me.press("full-screen")
        await eventually(partial(_fills, me), 5, "the desktop fills the screen")
        await me.canvas.focus()
        await press("alt+Tab")
        await _until_typed_into(mine, desktop, "/dev/pts/0")
        assert await uses("Porthole")
        await asyncio.to_thread(mine.type, "cat > escaped\n")
        await until_holds(desktop, "escaped", "")
        await press("Escape", "Return", "ctrl+d")
        await until_holds(desktop, "escaped", "\x1b\n")
        assert await _fills(me)
        await me.shoot("1-full")

        # Escape for long is the way out, and then all are the person's again.
        await asyncio.to_thread(mine.xdotool, "keydown", "Escape", "sleep", LONG)
        await asyncio.to_thread(mine.xdotool, "keyup", "Escape")
        await eventually(partial(_is_a_window, me), 5, "the desktop fills the screen no more")
        await press("alt+Tab")
        await eventually(partial(uses, OTHER), 5, "Alt+Tab is the person's own again")


async def _press(screen: OwnScreen, *keys: str) -> None:
    await asyncio.to_thread(screen.press, *keys)


async def _uses(screen: OwnScreen, title: str) -> bool:
    return title in await asyncio.to_thread(screen.active)


async def _until_typed_into(screen: OwnScreen, desktop: Desktop, terminal: str) -> None:
    async def is_it() -> bool:
        await asyncio.to_thread(screen.type, "tty > typed-into\n")
        await asyncio.sleep(0.3)
        return desktop.read("typed-into") == f"{terminal}\n"

    await eventually(is_it, 20, lambda: f"{terminal} takes no keys")


async def _fills(me: Console) -> bool:
    return bool(await me.page.evaluate("document.fullscreenElement !== null"))


async def _is_a_window(me: Console) -> bool:
    return not await _fills(me)
