"""A person, a browser and a desktop, while others are there who must not matter.

From the link that `porthole up` prints to a session that has ended: what the browser shows is
what the X server has on its screen, what is typed arrives, what is copied arrives on the other
side, and whatever breaks the line is over in a moment.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image

from e2e.support.console import Console, caret, chromium, difference, eventually, until_holds
from e2e.support.instance import Instance
from e2e.support.line import Line
from e2e.support.outside import Desktop, cgroup_of
from e2e.support.viewers import Neighbour, api, create, stalled, until_phase
from tests.support.leftovers import Leftovers

TEXT = "Grüße, 世界 → 'quoted' $HOME"
_COPY_A_PICTURE = """async () => {
  const canvas = new OffscreenCanvas(123, 45);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "teal";
  pen.fillRect(0, 0, 60, 45);
  const png = await canvas.convertToBlob({type: "image/png"});
  await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
}"""
PROMISE = 2.0  # seconds in which a viewer is back


@pytest.mark.timeout(240)
async def test_a_desktop_in_the_browser(instance: Instance, tmp_path: Path) -> None:
    before = Leftovers.of(instance.home)
    other = instance.token("story", "--user", "neighbour")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        # The browser believes that it speaks with the instance itself.
        line = await enter(Line.open(instance.port))
        to_line = f"MAP 127.0.0.1:{instance.port} 127.0.0.1:{line.port}"
        browser = await enter(chromium(f"--host-resolver-rules={to_line}"))
        mine = await enter(api(instance.url, instance.admin_token()))
        theirs = await enter(api(instance.url, other))

        me = await Console.open(browser, "desktop")
        await enter(me.shot_if_it_fails())
        await me.sign_in(instance.link)
        assert line.taken[instance.port], "the browser goes by the line"
        await me.shoot("1-signed-in")
        session = await _opens_a_session(me)
        desktop = Desktop.of(session)
        screen = partial(desktop.screen, tmp_path / "screen.png")

        async with AsyncExitStack() as company:
            # A session of another owner, and somebody at work in it all the time.
            apart = await create(theirs, template="desktop")
            neighbour = await company.enter_async_context(Neighbour.at_work(theirs, apart))
            assert (await theirs.get(f"/sessions/{session}")).status_code == 404
            # One who looks and does not read what comes.
            await company.enter_async_context(stalled(mine, session))
            # One who only watches.
            watcher = await me.sibling("watcher")
            await _watches(watcher, me.page.url)

            await me.equals(screen)
            await _types(me, watcher, desktop, screen)
            await _copies_both_ways(me, desktop, screen)
            await _pictures_both_ways(me, desktop)
            await _resizes(me, screen)
            await _loses_the_line(me, line, screen)
            await me.page.reload()
            await me.until_state("open", within=10)
            await me.equals(screen)
            await me.shoot("7-reloaded")

            assert (await mine.get(f"/sessions/{apart}")).status_code == 404
            assert TEXT not in neighbour.seen.clipboard
            assert len(neighbour.waits) > 5
            print(f"the neighbour waited {max(neighbour.waits):.2f} s at the most")
            assert max(neighbour.waits) < 5
            await watcher.page.close()

        await _survives_its_control_plane(me, instance, screen)
        await _ends(me, session)
        ended = await until_phase(mine, session, "Terminated", within=20)
        assert ended["restarts"] == 0
        assert (await theirs.delete(f"/sessions/{apart}")).status_code == 202
        await until_phase(theirs, apart, "Terminated", within=20)
        assert me.failures + watcher.failures == []
    left = Leftovers.of(instance.home)
    assert left.without_processes() == before.without_processes()
    assert cgroup_of(session) is None


async def _opens_a_session(me: Console) -> str:
    """Press the button; every phase is shown on the way to the picture."""
    begun = time.monotonic()
    session = await me.new_session("desktop")
    phases: list[str] = []
    while await me.state() != "open":
        phase = await me.phase()
        if phase not in phases:
            phases.append(phase)
            await me.shoot(f"2-{phase.lower()}")
        assert time.monotonic() - begun < 60, f"no picture after {phases}"
        await asyncio.sleep(0.02)
    print(
        f"{' -> '.join(phases)}, and the picture {time.monotonic() - begun:.1f} s after the click"
    )
    assert phases in (["Pending", "Starting", "Running"], ["Starting", "Running"])
    assert await me.phase() == "Running"
    return session


async def _watches(watcher: Console, address: str) -> None:
    await watcher.page.goto(address)
    await watcher.until_state("open", within=15)
    await watcher.press("picture", "only-watch")
    await watcher.page.get_by_test_id("view-only").wait_for()
    await watcher.until_state("open", within=10)


async def _types(
    me: Console, watcher: Console, desktop: Desktop, screen: Callable[[], Image.Image]
) -> None:
    """What is typed arrives; what somebody types who only watches does not."""
    await me.type("echo typed in a browser > typed")
    await until_holds(desktop, "typed", "typed in a browser\n")
    await watcher.type("echo typed by a watcher > typed")
    await watcher.page.mouse.click(*await watcher.point(600, 50), button="right")
    await me.type("echo and typed again >> typed")
    both = "typed in a browser\nand typed again\n"
    await until_holds(desktop, "typed", both)
    await me.equals(screen)
    await watcher.equals(screen, beside=me)
    await me.shoot("3-typed")
    await watcher.shoot("3-typed")


async def _copies_both_ways(
    me: Console, desktop: Desktop, screen: Callable[[], Image.Image]
) -> None:
    """Text goes to the desktop and is pasted there; a word selected there comes back."""
    await me.page.evaluate("text => navigator.clipboard.writeText(text)", TEXT)
    await me.page.evaluate("document.activeElement?.blur()")
    before = await asyncio.to_thread(caret, screen)
    await me.type("cat > pasted")

    async def moves_on() -> bool:
        return await asyncio.to_thread(caret, screen) != before

    await eventually(moves_on, 5, "the caret on the next line")
    before = await asyncio.to_thread(caret, screen)
    await me.page.keyboard.press("Shift+Insert")
    # The terminal asks the desktop, and the desktop the browser: keys would overtake the text.
    await eventually(moves_on, 5, "the pasted text")
    await me.page.keyboard.press("Enter")
    await me.page.keyboard.press("Control+d")
    await until_holds(desktop, "pasted", f"{TEXT}\n")

    await me.type("clear; echo $((6 * 7))times; echo done > cleared")
    await until_holds(desktop, "cleared", "done\n")
    x, y = await asyncio.to_thread(caret, screen)
    # One line up, at the beginning of the line.
    word = await me.point(x - 120, y - 9)
    copied = "() => navigator.clipboard.readText()"

    async def is_copied() -> bool:
        # Again, as a person would: on a busy machine two clicks may be too far apart for one.
        await me.page.mouse.dblclick(*word)
        await asyncio.sleep(0.5)
        return await me.page.evaluate(copied) == "42times"

    await eventually(is_copied, 10, "the word on the browser's clipboard")
    await me.press("clipboard")
    await me.page.get_by_test_id("clipboard-panel").wait_for()
    await me.shoot("4-copied")
    await me.press("clipboard")


async def _pictures_both_ways(me: Console, desktop: Desktop) -> None:
    """One that was copied here is pasted there; one that was copied there is taken by hand."""
    await me.page.evaluate(_COPY_A_PICTURE)
    await me.page.evaluate("document.activeElement?.blur()")
    await me.canvas.focus()
    xclip = "xclip -selection clipboard -t image/png"

    async def is_there() -> bool:
        await me.type(f"{xclip} -o > pasted.png 2>&1")
        await asyncio.sleep(0.3)
        found = desktop.root / "home/user/pasted.png"
        with contextlib.suppress(OSError), Image.open(found) as picture:  # or none yet
            return picture.size == (123, 45)
        return False

    await eventually(is_there, 10, "the picture in the desktop")
    await me.page.evaluate("() => navigator.clipboard.writeText('')")
    await me.type(f"{xclip} -i < pasted.png")
    await me.press("clipboard", "clipboard-picture")
    await me.page.get_by_text("The picture is on this device").wait_for()
    types = "async () => (await navigator.clipboard.read())[0].types"
    assert await me.page.evaluate(types) == ["image/png"]
    await me.press("clipboard")


async def _resizes(me: Console, screen: Callable[[], Image.Image]) -> None:
    """The desktop takes the window's size, whatever that is."""
    for width, height in ((1000, 640), (1440, 900)):
        await me.page.set_viewport_size({"width": width, "height": height})
        box = await me.page.get_by_test_id("viewer-canvas").bounding_box()
        assert box is not None
        wanted = round(box["width"]), round(box["height"])

        async def follows(wanted: tuple[int, int] = wanted) -> bool:
            return (await asyncio.to_thread(screen)).size == wanted

        await eventually(follows, 10, f"a screen of {wanted}")
        await me.equals(screen)
        await me.shoot(f"5-{width}x{height}")


async def _loses_the_line(me: Console, line: Line, screen: Callable[[], Image.Image]) -> None:
    """The line breaks for a moment, then for longer; the last frame stands until it is back."""
    line.cut()
    line.mend()
    await me.until_state("reconnecting", within=5)
    took = await me.until_state("open", within=10)
    print(f"the line broke and the picture was back {took:.2f} s later")
    assert took < PROMISE
    await me.equals(screen)

    last = await me.picture()
    lit = await me.light()
    line.cut()
    await me.until_state("reconnecting", within=5)
    kept = await eventually(me.kept_frame, 5, "the last frame")
    assert difference(kept, last) == ""
    await asyncio.sleep(2.5)
    await me.shoot("6-line-cut")
    assert await me.state() == "reconnecting"
    assert await me.light() != lit
    line.mend()
    took = await me.until_state("open", within=15)
    print(f"it was cut for longer, and back {took:.2f} s after it was mended")

    async def is_lit() -> bool:
        return await me.light() == lit

    await eventually(is_lit, 10, "the light")
    await me.equals(screen)


async def _survives_its_control_plane(
    me: Console, instance: Instance, screen: Callable[[], Image.Image]
) -> None:
    """The process that carries the picture is killed; the desktop does not know of it."""
    began = time.monotonic()
    await asyncio.to_thread(instance.kill, "control-plane")
    await me.until_state("reconnecting", within=5)
    assert await me.kept_frame() is not None
    while not await _is_ready(instance):  # noqa: ASYNC110 - another process sets no event of ours
        await asyncio.sleep(0.05)
    ready = time.monotonic()
    await me.until_state("open", within=30)
    print(
        f"the control plane was killed, ready again {ready - began:.1f} s later,"
        f" and the picture back {time.monotonic() - ready:.1f} s after that"
    )
    await me.equals(screen)


async def _is_ready(instance: Instance) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{instance.url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


async def _ends(me: Console, session: str) -> None:
    await me.press("end-session")
    await me.shoot("8-ending")
    await me.press("confirm-end-session")

    async def is_over() -> bool:
        return await me.phase() == "Terminated"

    await eventually(is_over, 20, "the end of the session")
    await me.shoot("9-ended")
    assert cgroup_of(session) is None
