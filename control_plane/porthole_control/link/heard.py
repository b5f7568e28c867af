"""What one agent has said, until it is dealt with: in order, in batches, in two lanes.

Somebody waits for what an agent says about streams and templates, so that goes past its
reports, of which there may be many. A batch counts as dealt with when both lanes are
through with it. Each lane is a task while there is something in it, and nothing otherwise:
most agents have nothing to say most of the time.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
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

_Lane = asyncio.Task[None]


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
        failed: told of an error that nobody has foreseen; `go_on` deals with the rest.
    """

    def __init__(
        self,
        reports: Reports,
        dealt: Callable[[Batch, Refused | None], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._reports = reports
        self._dealt = dealt
        self._failed = failed
        self._batches: list[Batch] = []
        self._urgent: list[tuple[Speaker, Sequence[Any]]] = []
        self._size = 0
        self._lane: _Lane | None = None
        self._urgent_lane: _Lane | None = None
        self._assembly = Assembly()
        self._assembled: UUID | None = None

    def add(self, batch: Batch, size: int) -> None:
        """Take in what was just said; `size` in characters."""
        for start in range(0, len(batch.items), BATCH):
            items = batch.items[start : start + BATCH]
            self._batches.append(Batch(batch.speaker, batch.conversation, items))
        REPORTS_WAITING.inc(len(batch.items))
        self._size += size
        urgent = [item for item in batch.items if isinstance(item, URGENT)]
        if urgent:
            self._urgent.append((batch.speaker, urgent))
            self._urgent_lane = self._urgent_lane or self._begin(self._deal_with_urgent())
        self.go_on()

    def go_on(self) -> None:
        """Deal with what is there, also with what an error has left."""
        if self._batches and self._lane is None:
            self._lane = self._begin(self._deal_with_all())

    async def room(self) -> None:
        """Return when more may be read."""
        while self._size > MOST_WAITING and self._lane is not None:
            await asyncio.wait({self._lane})

    async def close(self) -> None:
        """Deal with nothing any more; what was not dealt with is said again, and counted again."""
        lanes = [lane for lane in (self._lane, self._urgent_lane) if lane is not None]
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        REPORTS_WAITING.dec(sum(len(batch.items) for batch in self._batches))
        self._batches.clear()

    # The lanes ---------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> _Lane:
        lane = asyncio.create_task(work, name="link-heard")
        lane.add_done_callback(self._ended)
        return lane

    def _ended(self, lane: _Lane) -> None:
        if not lane.cancelled() and (error := lane.exception()) is not None:
            self._failed(error)

    async def _deal_with_all(self) -> None:
        try:
            while self._batches:
                await self._deal_with_some()
            self._size = 0
        finally:
            self._lane = None

    async def _deal_with_urgent(self) -> None:
        try:
            while self._urgent:
                speaker, items = self._urgent.pop(0)
                await self._reports.deliver(speaker, items)
        finally:
            self._urgent_lane = None

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
        if self._urgent_lane is not None:
            await asyncio.wait({self._urgent_lane})
        now = time.monotonic()
        for batch in self._batches[:count]:
            REPORT_LAG.observe(now - batch.heard_at)
        del self._batches[:count]
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
