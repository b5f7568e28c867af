"""What somebody types arrives as they meant it, whatever keyboard they sit at.

Keys of the third level, dead keys and input methods give text that no key of the desktop's
own layout says. Chromium is told of them as its operating system would tell it.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession

from e2e.support.console import Console, chromium, eventually, until_holds, until_terminal
from e2e.support.instance import Instance
from e2e.support.line import Line
from e2e.support.outside import Desktop

SHIFT, CONTROL = 1, 4
"""As X11 writes that they are held."""
ALT_GR = {"key": "AltGraph", "code": "AltRight", "location": 2}
JAPANESE = "日本語の文です。いろはにほへとちりぬるをわかよたれそつねならむ"
"""More characters than a keyboard has keys without a meaning."""


@asynccontextmanager
async def a_file(me: Console, desktop: Desktop, name: str, text: str) -> AsyncIterator[None]:
    """What is typed meanwhile goes into a file, which then holds this text."""
    # Nothing that takes Shift: over RDP keys go by their place, and nobody presses one here.
    await me.type(f"tee {name}")
    await until_holds(desktop, name, "")
    yield
    await me.page.keyboard.press("Enter")
    await me.page.keyboard.press("Control+d")
    await until_holds(desktop, name, f"{text}\n")


@pytest.mark.timeout(240)
async def test_typing_in_the_browser(instance: Instance, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        line = await enter(Line.open(instance.port))
        to_line = f"MAP 127.0.0.1:{instance.port} 127.0.0.1:{line.port}"
        browser = await enter(chromium(f"--host-resolver-rules={to_line}"))
        me = await Console.open(browser, "typing")
        await enter(me.shot_if_it_fails())
        await me.sign_in(instance.another_link())
        session = await me.new_session("desktop")
        await me.until_state("open", within=60)
        desktop = Desktop.of(session)
        await until_terminal(partial(desktop.screen, tmp_path / "screen.png"))
        keys = await me.page.context.new_cdp_session(me.page)

        async with a_file(me, desktop, "altgr", "ada@example.org {€}"):
            await me.page.keyboard.type("ada")
            await _press(keys, "@", "KeyQ", ALT_GR)
            await me.page.keyboard.type("example.org ")
            for key, code in (("{", "Digit7"), ("€", "KeyE"), ("}", "Digit0")):
                await _press(keys, key, code, ALT_GR)

        await _composed(me, keys, desktop)
        await _keys_of_the_menu(me, desktop)
        await _keys_let_go_of_elsewhere(me, desktop)

        await _keys_held_as_the_line_breaks(me, desktop, line)
        await _clicks_with_a_key_held(instance, session, me, desktop)
        assert me.failures == []


@pytest.mark.timeout(240)
async def test_what_the_browser_composes_arrives_over_rdp(
    instance: Instance, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(Line.open(instance.port))
        to_line = f"MAP 127.0.0.1:{instance.port} 127.0.0.1:{line.port}"
        browser = await stack.enter_async_context(chromium(f"--host-resolver-rules={to_line}"))
        me = await Console.open(browser, "composing-rdp")
        await stack.enter_async_context(me.shot_if_it_fails())
        await me.sign_in(instance.another_link())
        session = await me.new_session("rdp")
        await me.until_state("open", within=60)
        desktop = Desktop.of(session)
        await until_terminal(partial(desktop.screen, tmp_path / "screen.png"))
        keys = await me.page.context.new_cdp_session(me.page)
        await _composed(me, keys, desktop)

        # Keys and text follow each other as they were typed.
        async with a_file(me, desktop, "keys", "abc いい 😀 d"):
            await me.page.keyboard.type("abc ")
            await _compose(keys, "い", "いい")
            await me.page.keyboard.type(" ")
            await keys.send("Input.insertText", {"text": "😀"})
            await me.page.keyboard.type(" d")
        await _keys_held_as_the_line_breaks(me, desktop, line)
        await _clicks_with_a_key_held(instance, session, me, desktop)
        instance.porthole("session", "delete", session, "--wait")
        assert me.failures == []


async def _composed(me: Console, keys: CDPSession, desktop: Desktop) -> None:
    """What comes of several keys arrives as the text that it is."""
    # Windows and X11 report the dead key, then the letter that it makes.
    async with a_file(me, desktop, "dead", "écoute"):
        await _key(keys, "rawKeyDown", "Dead", "Equal")
        await _key(keys, "keyUp", "Dead", "Equal")
        await _press(keys, "é", "KeyE")
        await me.page.keyboard.type("coute")

    # macOS composes it as an input method does.
    async with a_file(me, desktop, "composed", "ñu"):
        await _compose(keys, "~", "ñ")
        await me.page.keyboard.type("u")

    async with a_file(me, desktop, "japanese", f"{JAPANESE} ok"):
        for said in ("n", "に", "にh", "にほ", "にほん", "日本", "日本語"):
            await _compose(keys, said)
        await me.shoot("1-composing")
        await _compose(keys, JAPANESE, JAPANESE)
        await me.page.keyboard.type(" ok")
    await me.shoot("2-typed")


async def _keys_of_the_menu(me: Console, desktop: Desktop) -> None:
    """What the browser or its system would take for itself is in a menu."""
    async with a_file(me, desktop, "menu", "kept "):
        await me.page.keyboard.type("kept gone")
        await me.press("keys")
        await me.shoot("3-keys")
        await me.page.get_by_role("menuitem", name="Ctrl + W").click()


async def _keys_let_go_of_elsewhere(me: Console, desktop: Desktop) -> None:
    """A modifier that is let go of elsewhere is not held when somebody is back."""
    await me.canvas.focus()
    await me.page.keyboard.down("Control")
    await me.page.get_by_test_id("clipboard").focus()
    await me.page.keyboard.up("Control")
    async with a_file(me, desktop, "left", "ef"):
        await me.page.keyboard.type("ef")

    # Nor is one that is held while the window is left.
    await me.canvas.focus()
    await me.page.keyboard.down("Control")
    await me.page.evaluate("window.dispatchEvent(new Event('blur'))")
    await me.page.evaluate("document.activeElement.blur()")
    await me.page.keyboard.up("Control")
    async with a_file(me, desktop, "away", "gh"):
        await me.page.keyboard.type("gh")


async def _keys_held_as_the_line_breaks(me: Console, desktop: Desktop, line: Line) -> None:
    """A modifier that is held while the line breaks is not held when it is back: not even where
    nobody there has noticed that it broke."""
    for breaks, typed in ((line.cut, "cd"), (line.lose, "gh")):
        await me.canvas.focus()
        await me.page.keyboard.down("Control")
        breaks()
        await me.until_state("reconnecting", within=10)
        line.mend()
        await me.until_state("open", within=15)
        await me.page.keyboard.up("Control")
        async with a_file(me, desktop, f"after-{typed}", typed):
            await me.page.keyboard.type(typed)


async def _clicks_with_a_key_held(
    instance: Instance, session: str, me: Console, desktop: Desktop
) -> None:
    """A click while a modifier is held chooses one file more; it does not let go of the key."""
    watch = "xev -event button -geometry 300x200+20+60 > clicks & sleep 1"
    await asyncio.to_thread(instance.porthole, "session", "exec", session, "--", "sh", "-c", watch)
    box = await me.canvas.bounding_box()
    assert box is not None
    for key in ("Control", "Shift"):
        await me.page.keyboard.down(key)
        await me.page.mouse.click(box["x"] + 150, box["y"] + 150)
        await me.page.keyboard.up(key)

    seen = ""

    async def were_held() -> bool:
        nonlocal seen
        seen = desktop.read("clicks") or ""
        states = re.findall(r"ButtonPress.*?state (0x\w+)", seen, re.DOTALL)
        return [int(state, 16) & (CONTROL | SHIFT) for state in states] == [CONTROL, SHIFT]

    await eventually(were_held, 10, lambda: f"clicks with keys held: {seen}")


async def _key(keys: CDPSession, kind: str, key: str, code: str, **more: Any) -> None:
    about = {"type": kind, "key": key, "code": code, **more}
    await keys.send("Input.dispatchKeyEvent", about)


async def _press(
    keys: CDPSession, key: str, code: str, modifier: dict[str, Any] | None = None
) -> None:
    """Press and release a key that writes `key`, with a modifier held."""
    held = modifier or {}
    if held:
        await _key(keys, "rawKeyDown", **held)
    await _key(keys, "keyDown", key, code, text=key)
    await _key(keys, "keyUp", key, code)
    if held:
        await _key(keys, "keyUp", **held)


async def _compose(keys: CDPSession, said: str, chosen: str = "") -> None:
    """Compose as an input method does; at the end comes what was chosen."""
    about = {"text": said, "selectionStart": len(said), "selectionEnd": len(said)}
    await _key(keys, "rawKeyDown", "Process", "KeyN", windowsVirtualKeyCode=229)
    await keys.send("Input.imeSetComposition", about)
    await _key(keys, "keyUp", "n", "KeyN")
    if chosen:
        await keys.send("Input.insertText", {"text": chosen})
