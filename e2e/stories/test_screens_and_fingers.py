"""One desktop on many screens: a dense one, two of different size, and a phone's with fingers.

What the X server has is looked at from outside, and what somebody sees is compared with it
pixel for pixel.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.async_api import Browser, CDPSession

from e2e.support.console import Console, chromium, difference, eventually, until_holds
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from e2e.support.viewers import api

Screen = Callable[[], Image.Image]
Place = tuple[float, float]
PHONE = (390, 844)


@pytest.mark.timeout(240)
async def test_screens_and_fingers(instance: Instance, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        me = await Console.open(browser, "screens", (900, 640), device_scale_factor=2)
        await stack.enter_async_context(me.shot_if_it_fails())
        await me.sign_in(instance.another_link())
        session = await me.new_session("desktop")
        await me.until_state("open", within=60)
        desktop = Desktop.of(session)
        screen = partial(desktop.screen, tmp_path / "screen.png")

        await _is_sharp(me, desktop, screen)
        await _shows_how_the_line_is(me, desktop)
        await _serves_two_sizes(me, screen)
        mine = await stack.enter_async_context(api(instance.url, instance.admin_token()))
        await _sleeps_only_if_nobody_says_no(me, mine, session)
        for scheme in ("dark", "light"):
            async with _phone(browser, me, scheme) as phone:
                await phone.until_state("open", within=15)
                await _has_fingers(phone, desktop, screen, scheme)
        assert me.failures == []


async def _is_sharp(me: Console, desktop: Desktop, screen: Screen) -> None:
    """Of as many pixels as the screen has, with things of their usual size; then of fewer."""
    for scale, grain, button in ((200, 2.0, ""), (150, 1.5, "scale-150")):
        if button:
            await me.press("picture", button)
        await _is_as_large_as_its_place(me, screen, grain)
        await me.equals(screen)

        async def is_told(dpi: float = 96 * scale / 100) -> bool:
            return f"Xft.dpi:\\t{dpi:.0f}\\n" in _resources(desktop)

        await eventually(is_told, 5, f"{scale} % in the X resources")
        await me.shoot(f"1-{scale}")


def _resources(desktop: Desktop) -> str:
    shown = subprocess.run(
        ["xprop", "-root", "-notype", "RESOURCE_MANAGER"],
        env={"DISPLAY": desktop.display, "XAUTHORITY": str(desktop.authority), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout
    return shown.replace("Xft.dpi: ", "Xft.dpi:\\t")


async def _is_as_large_as_its_place(me: Console, screen: Screen, grain: float) -> None:
    place = await me.page.get_by_test_id("stage").bounding_box()
    assert place is not None
    wanted = int(place["width"] * grain), int(place["height"] * grain)

    async def is_so() -> bool:
        return (await asyncio.to_thread(screen)).size == wanted

    await eventually(is_so, 10, f"a screen of {wanted}")
    box = await me.canvas.bounding_box()
    assert box is not None
    assert abs(box["width"] - place["width"]) < 1.5
    assert abs(box["height"] - place["height"]) < 1.5


async def _shows_how_the_line_is(me: Console, desktop: Desktop) -> None:
    """Its figures appear once there is something to measure."""
    await me.press("picture", "figures")
    for number in range(3):
        await me.type(f"echo {number} > shown")
        await until_holds(desktop, "shown", f"{number}\n")
        await asyncio.sleep(0.3)
    line = me.page.get_by_test_id("line")
    await line.get_by_text("key to picture").wait_for()
    words = await line.inner_text()
    print(f"the line: {words}")
    assert "frames/s" in words
    assert "line " in words
    await me.shoot("2-line")


async def _serves_two_sizes(me: Console, screen: Screen) -> None:
    """Whoever gave their window its size last has it; others see it all, made to fit."""
    other = await me.sibling("screens-other")
    await other.page.set_viewport_size({"width": 1200, "height": 560})
    await other.page.goto(me.page.url)
    await other.until_state("open", within=15)
    await _is_as_large_as_its_place(other, screen, 1.0)
    await me.equals(screen)
    place = await me.page.get_by_test_id("stage").bounding_box()
    box = await me.canvas.bounding_box()
    assert place is not None
    assert box is not None
    assert box["width"] <= place["width"] + 1
    assert box["height"] <= place["height"] + 1
    size = (await asyncio.to_thread(screen)).size
    assert abs(box["width"] / box["height"] - size[0] / size[1]) < 0.01
    await me.shoot("3-anothers-size")
    await me.page.set_viewport_size({"width": 960, "height": 600})
    await _is_as_large_as_its_place(me, screen, 1.5)
    await other.equals(screen)
    await other.page.close()


async def _sleeps_only_if_nobody_says_no(
    me: Console, mine: httpx.AsyncClient, session: str
) -> None:
    await me.page.mouse.move(2, 2)
    patched = await mine.patch(f"/sessions/{session}", json={"idle": {"after": "12s"}})
    assert patched.status_code == 202, patched.text
    notice = me.page.get_by_test_id("idle-notice")
    await notice.wait_for(timeout=20_000)
    assert "is put to sleep within 3 seconds" in await notice.inner_text()
    await me.shoot("4-idle")
    await me.press("stay")
    # It would have slept by then.
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert await me.phase() == "Running"
        await asyncio.sleep(0.2)
    await mine.patch(f"/sessions/{session}", json={"idle": None})


@asynccontextmanager
async def _phone(browser: Browser, me: Console, scheme: str) -> AsyncIterator[Console]:
    phone = await Console.open(
        browser,
        f"phone-{scheme}",
        PHONE,
        device_scale_factor=3,
        has_touch=True,
        is_mobile=True,
        color_scheme=scheme,
        storage_state=await me.page.context.storage_state(),
    )
    async with phone.shot_if_it_fails():
        await phone.page.goto(me.page.url)
        yield phone
    assert phone.failures == []
    await phone.page.close()


async def _has_fingers(phone: Console, desktop: Desktop, screen: Screen, scheme: str) -> None:
    touch = await phone.page.context.new_cdp_session(phone.page)
    box = await phone.canvas.bounding_box()
    assert box is not None
    size = (await asyncio.to_thread(screen)).size
    root = box["x"] + box["width"] * 0.94, box["y"] + box["height"] * 0.5
    middle = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.4

    await _fingers(touch, "touchStart", middle)
    await _fingers(touch, "touchEnd")
    await _types_on_the_screens_keyboard(phone, desktop, scheme)

    # A long press opens the desktop's menu, and a tap beside it closes it.
    before = await asyncio.to_thread(screen)
    await _fingers(touch, "touchStart", root)
    await _until_it_differs(screen, before, "a menu under a finger that stays")
    await phone.shoot("2-long-press")
    await _fingers(touch, "touchEnd")
    await _fingers(touch, "touchStart", (box["x"] + 4, box["y"] + 4))
    await _fingers(touch, "touchEnd")

    # Two fingers scroll what is under them.
    await phone.press("keyboard-button")
    await phone.page.keyboard.type("seq 200; echo > counted\n")
    await until_holds(desktop, "counted", "\n")
    before = await asyncio.to_thread(screen)
    x, y = middle
    await _fingers(touch, "touchStart", (x - 30, y), (x + 30, y))
    for step in range(1, 12):
        await _fingers(touch, "touchMove", (x - 30, y + 20 * step), (x + 30, y + 20 * step))
    await _fingers(touch, "touchEnd")
    await _until_it_differs(screen, before, "a terminal scrolled back")

    # Spread, they make the picture larger; the desktop keeps its size.
    for apart in range(40, 200, 16):
        kind = "touchStart" if apart == 40 else "touchMove"
        await _fingers(touch, kind, (x - apart / 2, y), (x + apart / 2, y))
    await _fingers(touch, "touchEnd")
    stage = phone.page.get_by_test_id("viewer-canvas")
    assert float(await stage.get_attribute("data-zoom") or 0) > 2
    await phone.shoot("3-pinched")
    assert (await asyncio.to_thread(screen)).size == size
    await phone.press("picture")
    await phone.shoot("4-menu")
    await phone.page.keyboard.press("Escape")
    (desktop.root / "home/user/counted").unlink()


async def _types_on_the_screens_keyboard(phone: Console, desktop: Desktop, scheme: str) -> None:
    await phone.press("keyboard-button")
    await phone.page.get_by_label("Type into the desktop").wait_for(state="attached")
    # A phone's keyboard tells text, all of a word at once.
    await phone.page.keyboard.insert_text(f"echo by {scheme} thumb > thumb")
    await phone.page.keyboard.press("Enter")
    await until_holds(desktop, "thumb", f"by {scheme} thumb\n")
    await phone.shoot("1-typed")
    await phone.press("keyboard-button")


async def _until_it_differs(screen: Screen, before: Image.Image, what: str) -> None:
    async def does() -> bool:
        return difference(before, await asyncio.to_thread(screen)) != ""

    await eventually(does, 10, what)


async def _fingers(touch: CDPSession, kind: str, *places: Place) -> None:
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    await touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
