"""What agents say, brought to those whom it concerns: in batches, each in one transaction.

A batch that the database cannot take now is kept and tried again: the agent, whose window
stays used, waits. A batch that it refuses for what stands in it is taken apart; the item
that is to blame is dropped with a line in the log, and only its sender is worse off.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog

from porthole_contract.errors import Refused
from porthole_control.db.database import Database, Unit
from porthole_control.db.trouble import is_passing
from porthole_control.failpoints import failpoint
from porthole_control.metrics import REPORTS, REPORTS_DROPPED

logger = structlog.get_logger(__name__)

_PAUSE = 0.25
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says it, and on which of its links."""

    agent: UUID
    epoch: int


Handler = Callable[[Unit, Speaker, Sequence[Any]], Awaitable[None]]
"""Deals with items of one type, in their order, inside the transaction it is given."""


class Reports:
    """Brings reports to their handlers.

    Args:
        database: where the transactions are.
        handle: deals with items of one type.
        at_once: how many transactions may be under way, so that agents which have much to
            say leave room for everybody else.
    """

    def __init__(self, database: Database, handle: Handler, *, at_once: int = 4) -> None:
        self._database = database
        self._handle = handle
        self._turn = asyncio.Semaphore(at_once)

    async def deliver(self, speaker: Speaker, items: Sequence[Any]) -> Refused | None:
        """Bring items to their handlers; returns when all are dealt with for good.

        Returns:
            Why the agent is not to be believed any longer; None if it is.
        """
        pause = _PAUSE
        while True:
            try:
                async with self._turn:
                    await self._in_one_transaction(speaker, items)
            except Exception as error:  # noqa: BLE001 - told apart below
                if not is_passing(error):
                    return await self._blame(speaker, items, error)
                logger.warning("reports_wait", agent=str(speaker.agent), error=_name(error))
            else:
                return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _in_one_transaction(self, speaker: Speaker, items: Sequence[Any]) -> None:
        async with self._database.unit() as unit:
            for _, run in groupby(items, type):
                await self._handle(unit, speaker, list(run))
            failpoint("written", *items)
        failpoint("committed", *items)
        for kind, run in groupby(items, type):
            REPORTS.labels(kind.__name__).inc(sum(1 for _ in run))

    async def _blame(
        self, speaker: Speaker, items: Sequence[Any], error: Exception
    ) -> Refused | None:
        if len(items) > 1:
            middle = len(items) // 2
            first = await self.deliver(speaker, items[:middle])
            return await self.deliver(speaker, items[middle:]) or first
        refused = error if isinstance(error, Refused) else None
        REPORTS_DROPPED.labels(type(items[0]).__name__).inc()
        logger.error(
            "report_dropped",
            agent=str(speaker.agent),
            kind=type(items[0]).__name__,
            why=str(error) if refused else type(error).__name__,
            exc_info=None if refused else error,
        )
        return refused


def _name(error: BaseException) -> str:
    return type(error).__name__
