"""A person's window of the console of a cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from e2e.support.console import Console, chromium, eventually, until_holds
from e2e.support.installed import Installed
from e2e.support.outside import Desktop

_MOST = 30.0
"""Seconds that a line may take while what leads to the desktop is replaced."""
_LISTENS = """() => {
  window.heard = new Set();
  const seen = "[data-testid=reconnecting] p, .progress .now p, .progress .now .name";
  new MutationObserver(() => {
    for (const one of document.querySelectorAll(seen)) window.heard.add(one.textContent);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Keeps all that is said while there is no picture."""


@asynccontextmanager
async def a_window(installed: Installed, prefix: str) -> AsyncIterator[Console]:
    """Sign a browser in; it takes the certificate that was made there."""
    with installed.client() as porthole:
        link = porthole.people.sign_in_link().url
    async with chromium() as browser:
        me = await Console.open(browser, prefix, ignore_https_errors=True)
        async with me.shot_if_it_fails():
            await me.sign_in(link)
            yield me
            assert me.failures == []


async def look_at(me: Console, installed: Installed, session: object, within: float) -> float:
    """Open a session's page; return the seconds until the desktop is there."""
    begun = time.monotonic()
    await me.page.goto(f"{installed.url}/#/sessions/{session}")
    await me.page.get_by_test_id("viewer-canvas").wait_for(state="attached")
    await me.until_state("open", within=within)
    return time.monotonic() - begun


def screen_of(desktop: Desktop, folder: Path) -> Callable[[], Image.Image]:
    """Return what takes pictures of a desktop's screen."""
    return partial(desktop.screen, folder / "screen.png")


async def types(me: Console, desktop: Desktop, text: str) -> None:
    """Type until the terminal is there to take it."""
    for name in ("early", "typed"):
        await me.type(f"echo {text} > {name}")
    await until_holds(desktop, "typed", f"{text}\n")


async def types_while(doing: Awaitable[object], me: Console, desktop: Desktop) -> list[float]:
    """Type line after line until something is done; return the seconds that each took.

    Keys typed while the picture is away are typed again, as a person does.
    """
    task = asyncio.ensure_future(doing)
    waits: list[float] = []
    while not task.done():
        begun, said = time.monotonic(), f"during-{len(waits)}"
        while desktop.read("typed") != f"{said}\n":
            assert time.monotonic() - begun < _MOST, f"{said} was typed and did nothing"
            if await me.state() == "open":
                await me.type(f"echo {said} > typed")
            await asyncio.sleep(0.2)
        waits.append(time.monotonic() - begun)
    await task
    return waits


async def comes_back(me: Console, who: str, kill: Callable[[], object]) -> list[str]:
    """Kill somebody behind the picture; return what is said until it is there again."""
    await me.page.evaluate(_LISTENS)
    await asyncio.to_thread(kill)

    async def back() -> bool:
        heard = await me.page.evaluate("() => window.heard.size")
        return bool(heard) and await me.state() == "open"

    await eventually(back, 40, f"the picture after the end of {who}")
    heard: list[str] = await me.page.evaluate("() => [...window.heard]")
    print(f"{who} was killed: {' / '.join(heard)}")
    return heard
