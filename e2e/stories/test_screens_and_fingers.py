"""One desktop on many screens: a dense one, two of different size, and a phone's with fingers.

What the X server has is looked at from outside, and what somebody sees is compared with it
pixel for pixel.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image

from e2e.support.console import Console, chromium, eventually, until_holds
from e2e.support.fingers import Phone, until_it_differs
from e2e.support.instance import Instance
from e2e.support.outside import Desktop
from e2e.support.viewers import api

Screen = Callable[[], Image.Image]
FEW = 10
"""Pictures a second, if few are chosen."""
_SET_ENCODINGS = b"\x02"
_QUALITY = -32
"""The encoding that asks for JPEG of the lowest quality (RFB's registry); the best is 9 above."""


@pytest.mark.timeout(240)
async def test_screens_and_fingers(instance: Instance, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        me = await Console.open(browser, "screens", (900, 640), device_scale_factor=2)
        await stack.enter_async_context(me.shot_if_it_fails())
        asked = _encodings_asked(me)
        await me.sign_in(instance.another_link())
        session = await me.new_session("desktop")
        await me.until_state("open", within=60)
        desktop = Desktop.of(session)
        screen = partial(desktop.screen, tmp_path / "screen.png")

        await _is_sharp(me, desktop, screen)
        await _shows_how_the_line_is(me, desktop)
        await _spends_as_much_as_is_chosen(me, asked)
        await _fills_the_screen(me, screen)
        await _serves_two_sizes(me, screen)
        mine = await stack.enter_async_context(api(instance.url, instance.admin_token()))
        await _sleeps_only_if_nobody_says_no(me, mine, session)
        async with Phone.beside(me, "phone-dark", "dark") as phone:
            await _has_fingers(phone, desktop, screen)
        async with Phone.beside(me, "phone-light", "light") as phone:
            await phone.press("picture")
            await phone.shoot("1-menu")
        assert me.failures == []


async def _is_sharp(me: Console, desktop: Desktop, screen: Screen) -> None:
    """Of as many pixels as the screen has, with things of their usual size; then of fewer."""
    for scale, grain, button in ((200, 2.0, ""), (150, 1.5, "scale-150")):
        if button:
            await me.press("picture", button)
        await _is_as_large_as_its_place(me, screen, grain)
        await me.equals(screen)

        dpi = f"Xft.dpi: {96 * scale // 100}\\n"
        await me.type("xprop -root -notype RESOURCE_MANAGER > resources")

        async def is_told(dpi: str = dpi) -> bool:
            return dpi in (desktop.read("resources") or "")

        await eventually(is_told, 5, f"{dpi} in the X resources")
        await me.shoot(f"1-{scale}")


async def _is_as_large_as_its_place(me: Console, screen: Screen, grain: float) -> None:
    seen = ""

    async def is_so() -> bool:
        nonlocal seen
        place = await me.page.get_by_test_id("stage").bounding_box()
        box = await me.canvas.bounding_box()
        size = (await asyncio.to_thread(screen)).size
        seen = f"a screen of {size}, shown in {box}, within {place}"
        if place is None or box is None:
            return False
        sides = ("width", "height")
        fills = all(abs(box[side] - place[side]) < 1.5 for side in sides)
        return fills and size == tuple(int(place[side] * grain) for side in sides)

    await eventually(is_so, 10, lambda: seen)


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


def _encodings_asked(me: Console) -> list[tuple[int, ...]]:
    """Return what the viewer asks the desktop for (RFB, SetEncodings), the newest last."""
    asked: list[tuple[int, ...]] = []

    def sent(data: str | bytes) -> None:
        if isinstance(data, bytes) and data[:1] == _SET_ENCODINGS:
            (count,) = struct.unpack_from(">H", data, 2)
            asked.append(struct.unpack_from(f">{count}i", data, 4))

    me.page.on("websocket", lambda socket: socket.on("framesent", sent))
    return asked


async def _spends_as_much_as_is_chosen(me: Console, asked: list[tuple[int, ...]]) -> None:
    """How good pictures are, and how many there are."""
    for chosen, quality in (("light", 2), ("balanced", 6), ("sharp", 9)):
        await me.press("picture", f"quality-{chosen}")

        async def is_asked(level: int = _QUALITY + quality) -> bool:
            return level in asked[-1]

        await eventually(is_asked, 5, f"a quality of {quality}")
    await me.press("picture", "quality-automatic")
    line = me.page.get_by_test_id("line")

    async def pictures() -> int:
        return int((await line.inner_text()).partition(" frames/s")[0].split()[-1])

    async def are_few() -> bool:
        return 3 <= await pictures() <= FEW + 1

    async def are_many() -> bool:
        return await pictures() > FEW + 1

    await me.type("while sleep 0.02; do echo $RANDOM; done")
    await eventually(are_many, 10, "many pictures a second")
    await me.press("picture", "few-frames")
    await eventually(are_few, 10, "few pictures a second")
    await me.press("picture", "few-frames")
    await eventually(are_many, 10, "many pictures a second again")
    await me.canvas.focus()
    await me.page.keyboard.press("Control+c")
    await me.type("clear")


async def _fills_the_screen(me: Console, screen: Screen) -> None:
    """Nothing but the desktop is left; the bar waits above the edge."""
    await me.press("full-screen")
    stage = me.page.get_by_test_id("stage")

    async def fills() -> bool:
        box = await stage.bounding_box()
        return box is not None and (box["y"], box["height"]) == (0, 640)

    await eventually(fills, 5, "a desktop as high as the screen")
    await _is_as_large_as_its_place(me, screen, 1.5)
    await me.shoot("3-full")
    await me.page.evaluate("document.exitFullscreen()")
    await _is_as_large_as_its_place(me, screen, 1.5)


async def _serves_two_sizes(me: Console, screen: Screen) -> None:
    """Whoever gave their window its size last has it; others see it all, made to fit."""
    other = await me.sibling("screens-other")
    await other.page.set_viewport_size({"width": 1200, "height": 560})
    await other.page.goto(me.page.url)
    await other.until_state("open", within=15)
    await _is_as_large_as_its_place(other, screen, 1.0)
    await me.equals(screen, beside=other)
    place = await me.page.get_by_test_id("stage").bounding_box()
    box = await me.canvas.bounding_box()
    assert place is not None
    assert box is not None
    assert box["width"] <= place["width"] + 1
    assert box["height"] <= place["height"] + 1
    size = (await asyncio.to_thread(screen)).size
    assert abs(box["width"] / box["height"] - size[0] / size[1]) < 0.01
    await me.shoot("4-anothers-size")
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
    await me.shoot("5-idle")
    await me.press("stay")
    # It would have slept by then.
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert await me.phase() == "Running"
        await asyncio.sleep(0.2)
    await mine.patch(f"/sessions/{session}", json={"idle": None})


async def _has_fingers(phone: Phone, desktop: Desktop, screen: Screen) -> None:
    size = (await asyncio.to_thread(screen)).size
    x, y = middle = await phone.at(0.5, 0.4)
    await phone.tap(middle)
    await phone.write("echo by thumb > thumb; seq 200; echo > counted", pointing=middle)
    await until_holds(desktop, "thumb", "by thumb\n")
    await until_holds(desktop, "counted", "\n")
    await phone.shoot("1-written")

    # Two fingers scroll what is under them.
    before = await asyncio.to_thread(screen)
    await phone.touch((x - 30, y), (x + 30, y))
    for step in range(1, 12):
        await phone.slide((x - 30, y + 20 * step), (x + 30, y + 20 * step))
    await phone.lift()
    await until_it_differs(screen, before, "a terminal scrolled back")

    # A long press opens the desktop's menu, and a tap beside it closes it.
    await phone.long_press(await phone.at(0.94, 0.5), screen)
    await phone.shoot("2-long-press")
    await phone.tap(await phone.at(0.97, 0.05))

    # Spread, two fingers make the picture larger; the desktop keeps its size.
    await phone.spread(middle, 40, 200)
    assert await phone.zoom() > 2
    await phone.shoot("3-pinched")
    assert (await asyncio.to_thread(screen)).size == size
    await phone.spread(middle, 300, 40)
    assert await phone.zoom() == 1
    await phone.press("picture")
    await phone.shoot("4-menu")
