"""A person in front of a browser: from the click to the picture, and back after a loss."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

from bench.figures import Figure
from bench.instance import Instance

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM: dict[str, Any] = {"executable_path": "/usr/bin/chromium", "args": list(_ARGUMENTS)}
"""How the browser is launched."""
_TRIES = 7
_PAINTED = """() => {
    const canvas = document.querySelector('[data-testid=viewer-canvas] canvas');
    if (!canvas || !canvas.width) return false;
    if (document.querySelector('[data-testid=reconnecting]')) return false;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, 64).data;
    for (let i = 0; i < pixels.length; i += 404)
        if (pixels[i] + pixels[i + 1] + pixels[i + 2]) return true;
    return false;
}"""


class Wire:
    """A way to the instance that can be cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Wire"]:
        """Carry connections while the block runs."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Cut every connection; new ones are carried."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, far_writer}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.transport.abort()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        self._open -= {writer, far_writer}


async def _direct_first_frame(instance: Instance, session: str) -> float:
    """Return the seconds to the first whole frame at the desktop's own socket."""
    begun = time.perf_counter()
    async with instance.direct(session) as client:
        await client.refresh()
        return time.perf_counter() - begun


async def _until_painted(page: Page) -> None:
    await page.wait_for_function(_PAINTED, polling="raf", timeout=20_000)


async def measure(instance: Instance) -> list[Figure]:
    """Measure click -> first frame, and loss -> frame."""
    session = await instance.session(template="desktop", name="bench")
    opened, returned, direct = [], [], []
    async with (
        Wire(urlsplit(instance.url).port or 80).laid() as wire,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(**CHROMIUM)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(instance.sign_in.replace(instance.url, f"http://127.0.0.1:{wire.port}"))
        for number in range(_TRIES):
            row = page.get_by_test_id("session-row").filter(has_text="bench")
            button = (
                row.get_by_role("link", name="Open")
                .or_(row.get_by_role("button", name="Open"))
                .first
            )
            await button.wait_for()
            begun = time.perf_counter()
            await button.click()
            await _until_painted(page)
            if number:  # the first one also loads the viewer's code
                opened.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            wire.cut()
            await page.get_by_test_id("reconnecting").wait_for(timeout=5000)
            await _until_painted(page)
            returned.append(time.perf_counter() - begun)
            direct.append(await _direct_first_frame(instance, session))
            await page.goto(f"http://127.0.0.1:{wire.port}/#/")
        await browser.close()
    shared = {
        "unit": "ms",
        "baseline": median(direct) * 1000,
        "against": "a first frame at the desktop's socket",
        "better": "less",
        "judged": "value",
    }
    return [
        Figure(name="click to first frame", value=median(opened) * 1000, goal=500, **shared),  # type: ignore[arg-type]
        Figure(name="viewer back after a loss", value=median(returned) * 1000, goal=2000, **shared),  # type: ignore[arg-type]
    ]
