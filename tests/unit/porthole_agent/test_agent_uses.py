"""What sessions use is told again and again, while any use something."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from porthole_agent import watch as watching
from porthole_agent.news import News
from porthole_agent.runtimes.port import Capacity, Change, Inventory, Overview, Runtime, Use
from porthole_contract.link.reports import AgentObserved


class Place:
    """A runtime whose one session has used a second more at each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.runs = True

    async def overview(self) -> Overview:
        self.looks += 1
        uses = (Use(UUID(int=1), float(self.looks), 1, 1, 1, 1),) if self.runs else ()
        return Overview(UUID(int=2), (), Capacity(1, 1, 1, 1, 1, 1), draining=False, uses=uses)

    async def inventory(self) -> Inventory:
        return Inventory(await self.overview(), (), (), ())

    async def observe(self) -> AsyncIterator[Change]:
        await asyncio.Event().wait()
        yield cast("Change", None)


async def test_uses_are_told_until_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_USES_EVERY", "_SETTLED_AFTER"):
        monkeypatch.setattr(watching, name, 0.01)
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
    watch = watching.Watch(
        cast("Runtime", place), news, kind="local", program="test", every=timedelta(hours=1)
    )
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(20):
            await twice.wait()
            place.runs = False
            await over.wait()
        assert told == sorted(set(told))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
