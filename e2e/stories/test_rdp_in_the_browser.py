"""A desktop over RDP in a real browser: seen as the X server has it, typed into, copied from.

RemoteFX loses a little, so pictures are compared as such are: by their noise (PSNR), and by where
they fit best, which shows lines that lean however little they do.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from e2e.support.alike import becomes
from e2e.support.console import Console, caret, chromium, eventually, until_holds
from e2e.support.fingers import Phone
from e2e.support.instance import Instance
from e2e.support.killing import kill
from e2e.support.outside import Desktop, processes_of
from e2e.support.window import comes_back

TEXT = "Grüße, 世界 → 'quoted' $HOME"
ODD = ((1001, 703), (1117, 641), (1278, 799))
Screen = Callable[[], Image.Image]


@pytest.mark.timeout(300)
async def test_rdp_in_the_browser(instance: Instance, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        me = await Console.open(browser, "rdp")
        await stack.enter_async_context(me.shot_if_it_fails())
        asked: list[str] = []
        refused: list[str] = []
        me.page.on("request", lambda request: asked.append(request.url))
        me.page.on(
            "console",
            lambda said: refused.append(said.text) if "Content Security" in said.text else None,
        )
        await me.sign_in(instance.another_link())
        assert not [url for url in asked if "rdp-" in url or url.endswith(".wasm")]
        session = await me.new_session("rdp")
        await me.until_state("open", within=60)
        assert len([url for url in asked if url.endswith(".wasm")]) == 1
        desktop = Desktop.of(session)
        screen = partial(desktop.screen, tmp_path / "screen.png")
        await becomes(me, screen)
        await me.shoot("1-opened")

        async with _a_file(me, desktop, "typed", "plain words 123"):
            await me.page.keyboard.type("plain words 123")
        await becomes(me, screen)
        await me.shoot("2-typed")
        await _copies_both_ways(me, desktop, screen)
        await me.shoot("3-copied")

        for width, height in ODD:
            await me.page.set_viewport_size({"width": width, "height": height})
            await _takes_the_windows_size(me)
            await becomes(me, screen)
            await me.shoot(f"4-{width}x{height}")

        await me.page.reload()
        await me.until_state("open", within=15)
        await becomes(me, screen)
        async with _a_file(me, desktop, "again", "after it"):
            await me.page.keyboard.type("after it")

        for who in ("xrdp", "gate", "Xorg"):
            await comes_back(me, who, partial(_killed, instance, session, who))
            desktop = Desktop.of(session)  # with Xorg, it is another one
            await becomes(me, partial(desktop.screen, tmp_path / "screen.png"))

        await _watches(me, desktop)
        await _on_a_phone(me, desktop, partial(desktop.screen, tmp_path / "screen.png"))

        instance.porthole("session", "delete", session, "--wait")
        await me.page.get_by_text("has ended").first.wait_for()
        await me.shoot("6-ended")
        assert (me.failures, refused) == ([], [])


def _killed(instance: Instance, session: str, who: str) -> None:
    if who == "xrdp":  # a process for the viewer, and one that waits for more
        for pid, words in processes_of(session).items():
            if "/usr/sbin/xrdp " in words:
                os.kill(pid, signal.SIGKILL)
    else:
        kill(instance, who, session)


async def _watches(me: Console, desktop: Desktop) -> None:
    """Who only watches types nothing, and may use it again."""
    await me.press("picture", "only-watch")
    await me.page.get_by_test_id("view-only").wait_for()
    await me.until_state("open", within=15)
    await me.type("echo > watched")
    await me.press("picture", "only-watch")
    await me.page.get_by_test_id("view-only").wait_for(state="detached")
    await me.until_state("open", within=15)
    async with _a_file(me, desktop, "at-last", "mine again"):
        await me.page.keyboard.type("mine again")
    assert desktop.read("watched") is None
    await me.shoot("5-at-last")


async def _on_a_phone(me: Console, desktop: Desktop, screen: Screen) -> None:
    async with Phone.beside(me, "rdp-phone", "dark") as phone:
        await phone.tap(await phone.at(0.4, 0.4))
        await phone.write("echo by thumb > thumb")
        await until_holds(desktop, "thumb", "by thumb\n")
        await phone.long_press(await phone.at(0.94, 0.5), screen)
        await phone.shoot("1-long-press")
        await phone.spread(await phone.at(0.5, 0.5), 40, 160)
        assert await phone.zoom() > 2
        await phone.shoot("2-pinched")
        # There is one viewer; who was there is told so, and does not fight for it.
        await me.until_state("stopped", within=5)
        await me.page.get_by_text("Another viewer has taken this desktop over.").wait_for()


@asynccontextmanager
async def _a_file(me: Console, desktop: Desktop, name: str, text: str) -> AsyncIterator[None]:
    """What is typed meanwhile goes into a file, which then holds this text."""
    # Nothing that takes Shift: scancodes are sent, and Playwright presses no Shift by itself.
    await me.type(f"tee {name}")
    await until_holds(desktop, name, "")
    yield
    await me.page.keyboard.press("Enter")
    await me.page.keyboard.press("Control+d")
    await until_holds(desktop, name, f"{text}\n")


async def _copies_both_ways(me: Console, desktop: Desktop, screen: Screen) -> None:
    """Text goes to the desktop and is pasted there; a word selected there comes back."""
    await me.page.evaluate("text => navigator.clipboard.writeText(text)", TEXT)
    await me.page.evaluate("document.activeElement?.blur()")
    await me.type("tee pasted")
    await until_holds(desktop, "pasted", "")
    before = await asyncio.to_thread(caret, screen)
    await me.page.keyboard.press("Shift+Insert")

    async def moves_on() -> bool:
        return await asyncio.to_thread(caret, screen) != before

    # The terminal asks the desktop, and the desktop the browser: keys would overtake the text.
    await eventually(moves_on, 5, "the pasted text")
    await me.page.keyboard.press("Enter")
    await me.page.keyboard.press("Control+d")
    await until_holds(desktop, "pasted", f"{TEXT}\n")

    await me.type("clear")
    async with _a_file(me, desktop, "word", "42times"):
        await me.page.keyboard.type("42times")
    x, y = await asyncio.to_thread(caret, screen)
    # One line up, in the first word of the line.
    word = await me.point(x - 90, y - 9)

    async def is_copied() -> bool:
        # Again, as a person would: on a busy machine two clicks may be too far apart for one.
        await me.page.mouse.dblclick(*word)
        await asyncio.sleep(0.5)
        text = await me.page.evaluate("() => navigator.clipboard.readText()")
        return bool(text == "42times")

    await eventually(is_copied, 10, "the word on the browser's clipboard")


async def _takes_the_windows_size(me: Console) -> None:
    """Wait until the desktop's screen is as large as the window leaves it room."""

    async def look() -> bool:
        room = await me.page.get_by_test_id("viewer-canvas").bounding_box()
        assert room is not None
        if await me.state() != "open":
            return False
        width, height = (await me.picture()).size
        return 0 <= room["width"] - width < 4 and 0 <= room["height"] - height < 2

    await eventually(look, 20, "the window's size")
