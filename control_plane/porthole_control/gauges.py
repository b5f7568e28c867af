"""What metrics say of the database: looked at when somebody asks, and no more often than that.

Three statements, each over a bounded number of rows, at most one look in `CALM_SECONDS` however
many ask, and none that takes longer than `PATIENCE_SECONDS`: who watches must not be what hurts.
"""

import asyncio
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from porthole_contract.lifecycle import LASTING, LIVE
from porthole_control import metrics
from porthole_control.agents import repository as agents
from porthole_control.commands import repository as commands
from porthole_control.commands.rules import OPEN
from porthole_control.db.database import Database
from porthole_control.sessions import repository as sessions

logger = structlog.get_logger(__name__)

CALM_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 2.0
HEALTH: Final = ("linked", "draining", "away")


class Gauges:
    """Sets the gauges whose values stand in the database.

    Args:
        database: where they stand.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._looked_at: float | None = None

    async def look(self) -> None:
        """Set them as they are now, or leave them if they were set a moment ago.

        A database that does not answer is a value, too: what was known stays as it was.
        """
        async with self._turn:
            now = asyncio.get_running_loop().time()
            self._database.tell_use(
                metrics.DATABASE_CONNECTIONS.set, metrics.DATABASE_CONNECTIONS_MOST.set
            )
            if self._looked_at is not None and now - self._looked_at < CALM_SECONDS:
                return
            self._looked_at = now
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._look()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                logger.warning("gauges_not_set", why=type(error).__name__)
                metrics.DATABASE_UP.set(0)
            else:
                metrics.DATABASE_UP.set(1)

    async def _look(self) -> None:
        async with self._database.reading() as unit:
            queue = await commands.depth(unit.connection, unit.now)
            phases = await sessions.depth(unit.connection, unit.now)
            health = await agents.health(unit.connection)
        for state in OPEN:
            line = queue.get(str(state))
            metrics.COMMANDS.labels(str(state)).set(0 if line is None else line.count)
            metrics.OLDEST_COMMAND.labels(str(state)).set(0 if line is None else line.age)
        metrics.WAITING_FOR_LINKED.set(max((line.due for line in queue.values()), default=0.0))
        for phase in LIVE:
            there = phases.get(str(phase))
            metrics.SESSIONS.labels(str(phase)).set(0 if there is None else there.count)
            if phase not in LASTING:
                age = 0.0 if there is None else there.age
                metrics.SESSIONS_OVERDUE.labels(str(phase)).set(age)
        metrics.SESSIONS_WAITING.set(sum(line.unassigned for line in phases.values()))
        for kind in HEALTH:
            metrics.AGENTS.labels(kind).set(health.by_kind.get(kind, 0))
        metrics.AGENTS_LINKED.set(health.linked)
        metrics.IDENTITIES_SHARED.set(health.contested)
        metrics.AGENTS_UNHEARD.set(health.unheard)
