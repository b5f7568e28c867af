"""What sessions use is told again and again, while any use something, and what changed twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from porthole_agent import watch as watching
from porthole_agent.news import News
from porthole_agent.runtimes.port import Capacity, Change, Inventory, Offer, Overview, Runtime, Use
from porthole_contract.link.reports import AgentObserved
from porthole_contract.template import SessionTemplate, SessionTemplateSpec


class Place:
    """A runtime whose one session has used a second more at each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.runs = True
        self.changed = asyncio.Event()

    async def overview(self) -> Overview:
        self.looks += 1
        uses = (Use(UUID(int=1), float(self.looks), 1, 1, 1, 1),) if self.runs else ()
        room = Capacity(9, self.looks, 1, 1, 1, 1)
        return Overview(UUID(int=2), (), room, draining=False, uses=uses)

    async def inventory(self) -> Inventory:
        return Inventory(await self.overview(), (), (), ())

    async def observe(self) -> AsyncIterator[Change]:
        await self.changed.wait()
        yield Offer(SessionTemplate(name="any", spec=SessionTemplateSpec(title="Any")), True)
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_USES_EVERY", "_SETTLED_AFTER"):
        monkeypatch.setattr(watching, name, 0.01)


@asynccontextmanager
async def watched(place: Place, news: News) -> AsyncIterator[None]:
    watch = watching.Watch(
        cast("Runtime", place), news, kind="local", program="test", every=timedelta(hours=1)
    )
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_uses_are_told_until_there_are_none() -> None:
    place, news = Place(), News()
    told: list[float] = []
    twice, over = asyncio.Event(), asyncio.Event()

    def owed() -> None:
        said: list[Any] = [one for one in news.take(10) if isinstance(one, AgentObserved)]
        told.extend(use.cpu_seconds for one in said for use in one.uses)
        if len(told) > 2:
            twice.set()
        if any(not one.uses for one in said):
            over.set()

    news.changed = owed
    async with watched(place, news), asyncio.timeout(20):
        await twice.wait()
        place.runs = False
        await over.wait()
    assert told == sorted(set(told))


async def test_what_changed_is_told_once_more_when_nothing_changes() -> None:
    place, news = Place(), News()
    place.runs = False
    told: list[int] = []
    first, over = asyncio.Event(), asyncio.Event()

    def owed() -> None:
        said = [one for one in news.take(10) if isinstance(one, AgentObserved)]
        told.extend(one.capacity.sessions_used for one in said)
        if told:
            first.set()
        if 3 in told:
            over.set()

    news.changed = owed
    async with watched(place, news):
        async with asyncio.timeout(20):
            await first.wait()
            place.changed.set()
            await over.wait()
        await asyncio.sleep(0.2)
        assert place.looks == 3, "once, and not for ever"
