"""The viewer's own meter against what is seen from beside it: key to picture, pictures a second."""

import re
from statistics import median

from playwright.async_api import Page, async_playwright

from bench.browser import CHROMIUM
from bench.figures import Figure
from bench.instance import Instance

_KEYS = "abcdefghijk"
_KEPT = 5
"""Of so many keys the meter tells the middle."""
_SECONDS = 3
_READY = "[data-testid=viewer-canvas][data-state=open]"
# The pixels themselves, as often as the browser draws: no word of what drew them.
_BESIDE = """() => {
    const canvas = document.querySelector('[data-testid=viewer-canvas] canvas');
    const copy = new OffscreenCanvas(800, 500).getContext('2d', { willReadFrequently: true });
    function sum() {
        copy.drawImage(canvas, 0, 0);
        const pixels = copy.getImageData(0, 0, 800, 500).data;
        let found = 0;
        for (let i = 0; i < pixels.length; i += 12) found = (found * 31 + pixels[i]) | 0;
        return found;
    }
    const seen = (window.beside = { times: [], frames: 0 });
    let pressed = null;
    addEventListener('keydown', (event) => {
        if (event.isTrusted) pressed = performance.now();
    }, true);
    let last = sum();
    requestAnimationFrame(function again() {
        const now = sum();
        if (now !== last) {
            last = now;
            seen.frames += 1;
            if (pressed !== null) seen.times.push(performance.now() - pressed);
            pressed = null;
        }
        requestAnimationFrame(again);
    });
}"""


async def measure(instance: Instance) -> list[Figure]:
    """Measure both at once, of the same keys and the same pictures."""
    session = await instance.session(template="desktop", name="bench")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(instance.sign_in)
        await page.get_by_test_id("new-session-desktop").wait_for()
        await page.goto(f"{instance.url}/#/sessions/{session}")
        await page.locator(_READY).wait_for()
        await page.get_by_test_id("picture").click()
        await page.get_by_test_id("figures").click()
        canvas = page.locator("[data-testid=viewer-canvas] canvas")
        await canvas.focus()
        await page.keyboard.type("clear\n")
        await page.wait_for_timeout(1500)
        await page.evaluate(_BESIDE)
        for key in _KEYS:
            await page.keyboard.press(key)
            await page.wait_for_timeout(350)
        await page.wait_for_timeout(1200)
        times = await page.evaluate("window.beside.times")
        told = await _told(page, r"key to picture (\d+) ms")
        await page.keyboard.press("Control+u")
        await page.keyboard.type("while :; do date +%N; sleep 0.04; done\n")
        await page.wait_for_timeout(3000)
        shown, counted = [], []
        for _ in range(_SECONDS):
            before = await page.evaluate("[window.beside.frames, performance.now()]")
            await page.wait_for_timeout(1000)
            after = await page.evaluate("[window.beside.frames, performance.now()]")
            counted.append((after[0] - before[0]) * 1000 / (after[1] - before[1]))
            shown.append(await _told(page, r"(\d+) frames/s"))
        await browser.close()
    return [
        Figure(
            name="the meter's key to picture",
            unit="ms",
            value=told,
            baseline=median(times[-_KEPT:]),
            against="pixels seen to change, in the same page",
            goal=1.2,
            better="less",
            judged="ratio",
        ),
        Figure(
            name="the meter's pictures a second",
            unit="/s",
            value=median(shown),
            baseline=median(counted),
            against="pixels seen to change, in the same page",
            goal=0.9,
            better="more",
            judged="ratio",
        ),
    ]


async def _told(page: Page, pattern: str) -> float:
    words = await page.get_by_test_id("line").inner_text()
    found = re.search(pattern, words)
    assert found is not None, words
    return float(found[1])
