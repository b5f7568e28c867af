"""A phone: its screen, its keyboard, and fingers on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from PIL import Image
from playwright.async_api import CDPSession

from e2e.support.console import Console, difference, eventually

PHONE = (390, 844)
Screen = Callable[[], Image.Image]
Place = tuple[float, float]


class Phone(Console):
    """A window of a phone's size, of somebody who has signed in elsewhere."""

    _touch: CDPSession

    @classmethod
    @asynccontextmanager
    async def beside(cls, me: Console, prefix: str, scheme: str) -> AsyncIterator["Phone"]:
        """Open what `me` looks at on a phone, in the colours of `scheme`."""
        browser = me.page.context.browser
        assert browser is not None
        phone = await cls.open(
            browser,
            prefix,
            PHONE,
            device_scale_factor=3,
            has_touch=True,
            is_mobile=True,
            color_scheme=scheme,
            storage_state=await me.page.context.storage_state(),
        )
        assert isinstance(phone, cls)
        phone._touch = await phone.page.context.new_cdp_session(phone.page)
        async with phone.shot_if_it_fails():
            await phone.page.goto(me.page.url)
            await phone.until_state("open", within=15)
            yield phone
        assert phone.failures == []
        await phone.page.close()

    async def at(self, right: float, down: float) -> Place:
        """Return a place on the picture, as parts of it from its upper left corner."""
        box = await self.canvas.bounding_box()
        assert box is not None
        return box["x"] + box["width"] * right, box["y"] + box["height"] * down

    async def touch(self, *places: Place) -> None:
        """Put fingers there."""
        await self._fingers("touchStart", *places)

    async def slide(self, *places: Place) -> None:
        """Move them there."""
        await self._fingers("touchMove", *places)

    async def lift(self) -> None:
        """Take them away."""
        await self._fingers("touchEnd")

    async def tap(self, place: Place) -> None:
        """Touch for a moment."""
        await self.touch(place)
        await self.lift()

    async def long_press(self, place: Place, screen: Screen) -> None:
        """Leave a finger there until the screen shows something else."""
        before = await asyncio.to_thread(screen)
        await self.touch(place)
        await until_it_differs(screen, before, "what a long press opens")
        await self.lift()

    async def spread(self, place: Place, begin: int, end: int) -> None:
        """Move two fingers around a place from so far apart to so far."""
        x, y = place
        steps = [begin + (end - begin) * step / 10 for step in range(11)]
        for number, apart in enumerate(steps):
            put = self.slide if number else self.touch
            await put((x - apart / 2, y), (x + apart / 2, y))
        await self.lift()

    async def write(self, line: str, pointing: Place | None = None) -> None:
        """Write a line on the phone's own keyboard, which tells all of it at once.

        Args:
            line: what to write.
            pointing: where to tap while the keyboard is there, which has to stay.
        """
        await self.press("keyboard-button")
        await self.page.get_by_label("Type into the desktop").wait_for(state="attached")
        if pointing is not None:
            await self.tap(pointing)
        await self.page.keyboard.insert_text(line)
        await self.page.keyboard.press("Enter")
        await self.press("keyboard-button")

    async def zoom(self) -> float:
        """Return how much larger than its place the picture is."""
        area = self.page.get_by_test_id("viewer-canvas")
        return float(await area.get_attribute("data-zoom") or 0)

    async def _fingers(self, kind: str, *places: Place) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        await self._touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


async def until_it_differs(screen: Screen, before: Image.Image, what: str) -> None:
    """Wait until the screen is not as it was."""

    async def does() -> bool:
        return difference(before, await asyncio.to_thread(screen)) != ""

    await eventually(does, 10, what)
