"""What one agent has said, until it is dealt with: in order, in batches, in two lanes.

Somebody waits for what an agent says about streams and templates, so that goes past its
reports, of which there may be many. A batch counts as dealt with when both lanes are
through with it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from porthole_contract.errors import Refused
from porthole_contract.link.reports import InventoryPart, StreamRefused, WantTemplate
from porthole_control.link.inventory import Assembly
from porthole_control.link.reports import Reports, Speaker
from porthole_control.metrics import REPORT_LAG, REPORTS_WAITING

BATCH = 256
"""How many items are dealt with in one transaction at the most."""
MOST_WAITING = 8 * 1024 * 1024
"""Characters that were heard and not dealt with; above it nothing more should be read."""
URGENT = (StreamRefused, WantTemplate)


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that were said one after the other, in one conversation on one link."""

    speaker: Speaker
    conversation: UUID | None
    items: tuple[Any, ...]
    heard_at: float = field(default_factory=time.monotonic, compare=False)


class Heard:
    """What one agent has said.

    Args:
        reports: where it goes.
        dealt: told of each batch that is dealt with, and why the agent is not to be believed
            any longer (None if it is).

    Attributes:
        has_room: set while more may be read.
    """

    def __init__(self, reports: Reports, dealt: Callable[[Batch, Refused | None], None]) -> None:
        self._reports = reports
        self._dealt = dealt
        self._batches: deque[Batch] = deque()
        self._urgent: deque[tuple[Speaker, Sequence[Any]]] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._urgent_news = asyncio.Event()
        self._nothing_urgent = asyncio.Event()
        self._nothing_urgent.set()
        self._assembly = Assembly()
        self._assembled: UUID | None = None
        self.has_room = asyncio.Event()
        self.has_room.set()

    def add(self, batch: Batch, size: int) -> None:
        """Take in what was just said; `size` in characters."""
        for start in range(0, len(batch.items), BATCH):
            items = batch.items[start : start + BATCH]
            self._batches.append(Batch(batch.speaker, batch.conversation, items))
        REPORTS_WAITING.inc(len(batch.items))
        urgent = [item for item in batch.items if isinstance(item, URGENT)]
        if urgent:
            self._urgent.append((batch.speaker, urgent))
            self._nothing_urgent.clear()
            self._urgent_news.set()
        self._size += size
        if self._size > MOST_WAITING:
            self.has_room.clear()
        self._news.set()

    async def run(self) -> None:
        """Deal with what was said, until cancelled."""
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._deal_with_urgent())
                while True:
                    await self._news.wait()
                    self._news.clear()
                    while self._batches:
                        await self._deal_with_some()
                    self._size = 0
                    self.has_room.set()
        finally:
            # Said again by its agent, and counted again.
            REPORTS_WAITING.dec(sum(len(batch.items) for batch in self._batches))

    async def _deal_with_urgent(self) -> None:
        while True:
            await self._urgent_news.wait()
            self._urgent_news.clear()
            while self._urgent:
                speaker, items = self._urgent.popleft()
                await self._reports.deliver(speaker, items)
            self._nothing_urgent.set()

    async def _deal_with_some(self) -> None:
        """Deal with what has come meanwhile, as far as it belongs together."""
        first = self._batches[0]
        items: list[Any] = []
        count = 0
        for batch in self._batches:
            same = (batch.speaker, batch.conversation) == (first.speaker, first.conversation)
            if not same or (count and len(items) + len(batch.items) > BATCH):
                break
            items += batch.items
            count += 1
        reports = self._whole(first.conversation, items)
        refused = await self._reports.deliver(first.speaker, reports) if reports else None
        await self._nothing_urgent.wait()
        now = time.monotonic()
        for _ in range(count):
            REPORT_LAG.observe(now - self._batches.popleft().heard_at)
        REPORTS_WAITING.dec(len(items))
        self._dealt(Batch(first.speaker, first.conversation, tuple(items)), refused)

    def _whole(self, conversation: UUID | None, items: Sequence[Any]) -> list[Any]:
        """Return what is to be reported: inventories whole or not at all, nothing urgent."""
        if conversation != self._assembled:
            self._assembled, self._assembly = conversation, Assembly()
        out: list[Any] = []
        for item in items:
            if isinstance(item, InventoryPart):
                snapshot = self._assembly.add(item)
                out += [] if snapshot is None else [snapshot]
            elif not isinstance(item, URGENT):
                out.append(item)
        return out
