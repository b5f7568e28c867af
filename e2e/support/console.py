"""The console in a real browser, by what a person sees and presses there."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from playwright.async_api import Browser, Locator, Page, async_playwright

from e2e.support.outside import Desktop
from tests.support.own_screen import OwnScreen

CHROMIUM = "/usr/bin/chromium"
OUT = Path(__file__).resolve().parents[1] / "out"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_CLOSES = 30.0  # seconds
NEAR = 8
"""What browsers ask for is Tight with JPEG. TigerVNC sends it once more, in a quality that it
takes for lossless: that leaves up to 5 of 255 between a pixel and its picture."""
POINTER = (100, 500)
CARET = (244, 201, 143)
"""The colour of the terminal's."""
_KEPT = "[data-testid=viewer-canvas] ~ .frame canvas"
# Not the element's screenshot: the canvas' own pixels, whatever is drawn over it.
_PIXELS = "canvas => canvas.toDataURL('image/png').slice('data:image/png;base64,'.length)"


async def eventually(
    look: Callable[[], Awaitable[Any]], within: float, what: Callable[[], str] | str
) -> Any:
    """Look again and again until there is something to see; return that."""
    end = time.monotonic() + within
    while not (found := await look()):
        said = what if isinstance(what, str) else what()
        assert time.monotonic() < end, f"{said}: not within {within} s"
        await asyncio.sleep(0.05)
    return found


async def until_holds(desktop: Desktop, name: str, text: str) -> None:
    """Wait until a file of the desktop's user holds this, seen from outside."""

    async def look() -> bool:
        return desktop.read(name) == text

    await eventually(look, 10, lambda: f"{name} holds {desktop.read(name)!r}, not {text!r}")


def difference(one: Image.Image, other: Image.Image, tolerance: int = 0) -> str:
    """Say how two pictures differ; empty if no pixel does by more than `tolerance` of 255."""
    if one.size != other.size:
        return f"{one.size} is not {other.size}"
    unlike = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    box = unlike.point(lambda value: 255 if value > tolerance else 0).getbbox()
    return "" if box is None else f"pixels within {box} differ by up to {unlike.getextrema()}"


def caret(screen: Callable[[], Image.Image]) -> tuple[int, int]:
    """Return where the terminal's caret is."""
    box = _caret(screen())
    assert box is not None, "the terminal shows no caret"
    return box[0], box[1]


async def until_terminal(screen: Callable[[], Image.Image]) -> None:
    """Wait until the terminal takes keys: a busy machine shows an empty desktop for a while."""

    async def look() -> bool:
        return _caret(await asyncio.to_thread(screen)) is not None

    await eventually(look, 20, "the terminal's caret")


def _caret(image: Image.Image) -> tuple[int, int, int, int] | None:
    bands = ImageChops.difference(image, Image.new("RGB", image.size, CARET)).split()
    unlike = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    return unlike.point(lambda value: 0 if value else 255).getbbox()


@asynccontextmanager
async def chromium(*more: str, on: OwnScreen | None = None) -> AsyncIterator[Browser]:
    """Run the browser: with a window on a screen, or with none."""
    where: dict[str, Any] = {} if on is None else {"headless": False, "env": on.env}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*_ARGUMENTS, *more], **where
        )
        try:
            yield browser
        finally:
            # One that does not answer any more goes with Playwright.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSES):
                    await browser.close()


class Console:
    """One page of the console."""

    def __init__(self, page: Page, prefix: str) -> None:
        self.page = page
        self._prefix = prefix
        self._steps = cycle((0, 10))
        self.failures: list[str] = []
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    @classmethod
    async def open(
        cls, browser: Browser, prefix: str, size: tuple[int, int] = (1280, 800), **options: Any
    ) -> "Console":
        """Open a window of somebody who may use their clipboard."""
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        context.set_default_timeout(15_000)
        return cls(await context.new_page(), prefix)

    async def sibling(self, prefix: str) -> "Console":
        """Open another window of the same person: of two pages in one, only one is drawn."""
        signed_in = await self.page.context.storage_state()
        browser = self.page.context.browser
        assert browser is not None
        return await Console.open(browser, prefix, storage_state=signed_in)

    @property
    def canvas(self) -> Locator:
        """The live picture."""
        return self.page.locator("[data-testid=viewer-canvas] canvas")

    async def shoot(self, name: str) -> None:
        """Keep a screenshot for whoever wants to judge it."""
        OUT.mkdir(exist_ok=True)
        await self.page.screenshot(path=OUT / f"{self._prefix}-{name}.png")

    @asynccontextmanager
    async def shot_if_it_fails(self) -> AsyncIterator[None]:
        """Keep a last screenshot of a story that went wrong."""
        try:
            yield
        except BaseException:
            await self.shoot("failed")
            raise

    async def sign_in(self, link: str) -> None:
        """Open the link that signs in, and see the templates."""
        await self.page.goto(link)
        await self.page.get_by_test_id("new-session-desktop").wait_for()
        assert "token" not in self.page.url

    async def new_session(self, template: str) -> str:
        """Press "New session"; return the session's id."""
        await self.page.get_by_test_id(f"new-session-{template}").click()
        await self.page.get_by_test_id("viewer-canvas").wait_for(state="attached")
        return self.page.url.rpartition("/")[2]

    async def phase(self) -> str:
        """Return the phase that is shown."""
        return await self.page.get_by_test_id("phase").first.get_attribute("data-phase") or ""

    async def state(self) -> str:
        """Return what the viewer is doing."""
        return await self.page.get_by_test_id("viewer-canvas").get_attribute("data-state") or ""

    async def until_state(self, *states: str, within: float) -> float:
        """Wait until the viewer does one of these; return the seconds that it took."""
        begun = time.monotonic()
        seen = ""

        async def look() -> bool:
            nonlocal seen
            seen = await self.state()
            return seen in states

        await eventually(look, within, lambda: f"the viewer is {seen!r}, not {states}")
        return time.monotonic() - begun

    async def picture(self) -> Image.Image:
        """Return the live picture, pixel for pixel."""
        return await _pixels(self.canvas)

    async def kept_frame(self) -> Image.Image | None:
        """Return the last frame that stands there while the line is broken."""
        frames = await self.page.locator(_KEPT).all()
        return await _pixels(frames[0]) if frames else None

    async def light(self) -> str:
        """Return the colour of the light that says whether the page hears of changes."""
        dot = self.page.locator("[role=status] .dot").first
        return str(await dot.evaluate("dot => getComputedStyle(dot).backgroundColor"))

    async def press(self, *test_ids: str) -> None:
        """Press one thing after the other."""
        for test_id in test_ids:
            await self.page.get_by_test_id(test_id).click()

    async def type(self, line: str) -> None:
        """Type a line into whatever has the focus in the desktop."""
        await self.canvas.focus()
        await self.page.keyboard.type(line)
        await self.page.keyboard.press("Enter")

    async def point(self, x: int, y: int) -> tuple[float, float]:
        """Return where a pixel of the desktop is in the window."""
        box = await self.canvas.bounding_box()
        assert box is not None
        return box["x"] + x, box["y"] + y

    async def stir(self) -> None:
        """Move the pointer by a few pixels, as a hand does."""
        x, y = await self.point(POINTER[0] + next(self._steps), POINTER[1])
        await self.page.mouse.move(x, y)

    async def equals(
        self, screen: Callable[[], Image.Image], *, beside: "Console | None" = None
    ) -> None:
        """Check that the picture becomes the screen's, every pixel of it.

        It is looked at more than once: a clock may change between the two looks, and what is
        coarse on the way is refined when the screen is at rest, which TigerVNC notices when it
        hears of a viewer again. So somebody's hand is on the mouse. Whoever moves the pointer
        sees their own, to others it is drawn into the picture, where it does not count.

        Args:
            screen: takes a picture of the screen.
            beside: who moves the pointer; None: who looks.
        """
        said = "not looked"
        pictures: tuple[Image.Image, ...] = ()
        x, y = POINTER

        async def look() -> bool:
            nonlocal said, pictures
            await (beside or self).stir()
            await asyncio.sleep(0.2)
            pictures = await self.picture(), await asyncio.to_thread(screen)
            for picture in pictures if beside else ():
                picture.paste((0, 0, 0), (x - 24, y - 24, x + 48, y + 24))
            said = difference(*pictures, tolerance=NEAR)
            return not said

        try:
            await eventually(look, 15, lambda: f"canvas and screen: {said}")
        except AssertionError:
            for name, picture in zip(("canvas", "screen"), pictures, strict=True):
                picture.save(OUT / f"{self._prefix}-unlike-{name}.png")
            raise


async def _pixels(canvas: Locator) -> Image.Image:
    data = base64.b64decode(await canvas.evaluate(_PIXELS))
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")
