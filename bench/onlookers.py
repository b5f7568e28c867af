"""Those who look at a desktop: Chromium through everything, FreeRDP at the desktop's own socket.

Both look at pixels and know nothing of what drew them. Chromium looks as often as it draws;
FreeRDP's screen is looked at every two milliseconds for a key, and sixty times a second for
frames, as often as Chromium's.
"""

import asyncio
import struct
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from playwright.async_api import Browser, Page, StorageState, async_playwright

from bench.browser import CHROMIUM
from bench.instance import Instance
from bench.screens import Box
from porthole_desktop.supervisor.x11 import Display
from tests.support.rdp_client import RdpClient

KEYS = "asdfghjkl"
_FIRST = 38
"""The keycode of the first of them."""
_BACKSPACE = 22
_A_LINE = 40
_OPEN = "[data-testid=viewer-canvas][data-state=open]"
_WITHIN = 5.0
_LOOK = """([x, y, width, height]) => {
    window.bench?.stop();
    const canvas = document.querySelector('[data-testid=viewer-canvas] canvas');
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    function sum() {
        copy.drawImage(canvas, x, y, width, height, 0, 0, width, height);
        const pixels = new Uint32Array(copy.getImageData(0, 0, width, height).data.buffer);
        let found = 0;
        for (const pixel of pixels) found = (found * 31 + pixel) | 0;
        return found;
    }
    let pressed = null;
    let going = true;
    const note = (event) => {
        if (event.isTrusted && pressed === null) pressed = performance.now();
    };
    addEventListener('keydown', note, true);
    const stop = () => {
        going = false;
        removeEventListener('keydown', note, true);
    };
    const forget = (count) => {
        pressed = null;
        seen.times.length = count;
    };
    const seen = (window.bench = { times: [], frames: 0, stop, forget });
    let last = sum();
    requestAnimationFrame(function again() {
        const now = sum();
        if (now !== last) {
            last = now;
            seen.frames += 1;
            if (pressed !== null) seen.times.push(performance.now() - pressed);
            pressed = null;
        }
        if (going) requestAnimationFrame(again);
    });
}"""


class Onlooker(Protocol):
    """Somebody who looks at a desktop and types."""

    async def keys(self, box: Box, count: int) -> list[float]:
        """Type into the terminal; return the seconds from each key until `box` is another."""

    async def frames(self, box: Box, seconds: float) -> float:
        """Return how often in a second `box` became another."""


class InChromium:
    """A page of the console that shows a session."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def size(self) -> tuple[int, int]:
        """Return how large the picture is."""
        canvas = self.page.locator("[data-testid=viewer-canvas] canvas")
        width, height = await canvas.evaluate("canvas => [canvas.width, canvas.height]")
        return int(width), int(height)

    async def keys(self, box: Box, count: int) -> list[float]:
        """Type, by the browser's own clock; what is not seen within five seconds is an error."""
        page = self.page
        await page.locator("[data-testid=viewer-canvas] canvas").focus()
        await page.keyboard.press("Control+l")
        await page.wait_for_timeout(800)
        await page.evaluate(_LOOK, [box.x, box.y, box.width, box.height])
        for number in range(count):
            if number and number % _A_LINE == 0:
                await page.keyboard.press("Control+u")
                await page.wait_for_timeout(500)
                await page.evaluate("count => window.bench.forget(count)", number)
            await page.keyboard.press(KEYS[number % len(KEYS)])
            await page.wait_for_function(
                "count => window.bench.times.length >= count",
                arg=number + 1,
                timeout=_WITHIN * 1000,
            )
            await page.wait_for_timeout(60 + number % 7 * 6)  # not in step with frames
        times = await page.evaluate("window.bench.stop() ?? window.bench.times")
        await page.keyboard.press("Control+u")
        return [milliseconds / 1000 for milliseconds in times]

    async def frames(self, box: Box, seconds: float) -> float:
        """Count them in the page."""
        page = self.page
        await page.evaluate(_LOOK, [box.x, box.y, box.width, box.height])
        before = await page.evaluate("[window.bench.frames, performance.now()]")
        await page.wait_for_timeout(seconds * 1000)
        after = await page.evaluate("[window.bench.frames, performance.now()]")
        await page.evaluate("window.bench.stop()")
        return float((after[0] - before[0]) * 1000 / (after[1] - before[1]))


@dataclass(frozen=True)
class Chromium:
    """A browser of somebody who has signed in."""

    browser: Browser
    url: str
    state: StorageState

    @classmethod
    @asynccontextmanager
    async def of(cls, instance: Instance) -> AsyncIterator["Chromium"]:
        """Run it; an instance has one link to sign in by."""
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**CHROMIUM)
            try:
                page = await browser.new_page()
                await page.goto(instance.sign_in)
                await page.get_by_test_id("new-session-desktop").wait_for()
                state = await page.context.storage_state()
                await page.close()
                yield cls(browser, instance.url, state)
            finally:
                await browser.close()

    @asynccontextmanager
    async def showing(self, session: str, over: str = "") -> AsyncIterator[InChromium]:
        """Show a session in a window of its own: of two pages in one only one is drawn."""
        context = await self.browser.new_context(
            viewport={"width": 1280, "height": 800}, storage_state=self.state
        )
        try:
            page = await context.new_page()
            await page.goto(f"{self.url}/#/sessions/{session}{over and f'?over={over}'}")
            await page.locator(_OPEN).wait_for(timeout=40_000)
            await page.wait_for_timeout(1500)  # the screen takes the window's size
            await page.locator(_OPEN).wait_for(timeout=20_000)
            yield InChromium(page)
        finally:
            await context.close()


class InFreeRdp:
    """FreeRDP on a screen of its own."""

    def __init__(self, display: Display, test: int) -> None:
        self._display = display
        self._test = test

    @classmethod
    @asynccontextmanager
    async def at(
        cls, instance: Instance, session: str, size: tuple[int, int]
    ) -> AsyncIterator["InFreeRdp"]:
        """Connect it to the desktop's own socket, with nothing of ours in between."""
        (path,) = (instance.home / "agent" / "sessions" / session).glob("**/rdp.sock")
        with tempfile.TemporaryDirectory(prefix="ph-") as made, RdpClient(Path(made)) as client:
            short = Path(made) / "s"  # its path is longer than a socket's may be
            short.symlink_to(path.parent)
            client.connect(str(short / path.name), f"{size[0]}x{size[1]}")
            await asyncio.to_thread(client.wait_picture)
            display = await Display.connect(int(client.display[1:]), b"")
            try:
                test, _ = await display.extension("XTEST")
                yield cls(display, test)
            finally:
                display.close()

    async def keys(self, box: Box, count: int) -> list[float]:
        """Type, as if by that screen's keyboard."""
        self._fake(6, 0, box.x + box.width // 2, box.y + box.height // 2)
        self._click()
        await asyncio.sleep(0.5)
        times = []
        for number in range(count):
            if number % _A_LINE == 0:
                await self._rub_out(number and _A_LINE)
            before = await self._pixels(box)
            begun = time.perf_counter()
            self._stroke(_FIRST + number % len(KEYS))
            while await self._pixels(box) == before:
                if time.perf_counter() - begun > _WITHIN:
                    raise TimeoutError(f"Key {number + 1} of {count} was not seen.")
                await asyncio.sleep(0.002)
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.06 + number % 7 * 0.006)
        await self._rub_out(count % _A_LINE or _A_LINE)
        return times

    async def frames(self, box: Box, seconds: float) -> float:
        """Look as often as a browser draws."""
        count, before, begun = 0, await self._pixels(box), time.perf_counter()
        due = begun
        while due < begun + seconds:
            due += 1 / 60
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now = await self._pixels(box)
            count += now != before
            before = now
        return count / (time.perf_counter() - begun)

    async def _pixels(self, box: Box) -> bytes:
        root = self._display.screen.root
        return await self._display.pixels(root, box.x, box.y, box.width, box.height)

    def _click(self) -> None:
        self._fake(4, 1)
        self._fake(5, 1)

    def _stroke(self, key: int) -> None:
        self._fake(2, key)
        self._fake(3, key)

    async def _rub_out(self, count: int) -> None:
        """Take back so many letters; a key that is held with another may be lost."""
        for _ in range(count):
            self._stroke(_BACKSPACE)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)

    def _fake(self, kind: int, detail: int, x: int = 0, y: int = 0) -> None:
        """Make an event (XTEST, FakeInput): 2 and 3 are keys, 4 and 5 buttons, 6 the pointer."""
        body = struct.pack("<BBxxII8xhh8x", kind, detail, 0, self._display.screen.root, x, y)
        self._display.send(self._test, 2, body)
