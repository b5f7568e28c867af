"""The engine, and the unit of work: one request, one transaction.

A `Unit` carries the transaction's connection, its moment in time, and what shall be told
to others once (and only if) it has been committed. Doorbells are never rung inside the
transaction: NOTIFY takes a lock that all committing transactions would queue for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import structlog
from psycopg.types.json import set_json_loads
from pydantic_core import from_json, to_json
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from porthole_control.db.clock import DatabaseClock
from porthole_control.db.connecting import connect
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.db.position import Position
from porthole_control.metrics import DATABASE_SET_BACK

logger = structlog.get_logger(__name__)

# What is flushed outlives a crash; a standby has flushed nothing of its own.
_LOOK = """
    SELECT clock_timestamp(), system_identifier,
           CASE WHEN NOT pg_is_in_recovery()
                THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END
    FROM pg_control_system()
"""


def _dump(value: Any) -> str:
    return to_json(value).decode()


_Ask = Callable[[LiteralString], Awaitable[Sequence[Any] | None]]
"""Carries out a statement by itself, which may write; returns its only row, if it has one."""

Writer = Callable[["Unit", list[Any]], Awaitable[None]]
"""Writes rows that were collected during a unit of work."""


@dataclass(slots=True)
class Unit:
    """One unit of work.

    Attributes:
        connection: a connection inside this unit's transaction.
        now: the moment at which it began; all that it writes has this time.
    """

    connection: AsyncConnection
    now: datetime
    _bells: dict[Bell, set[UUID | None]] = field(default_factory=dict)
    _rows: dict[Writer, list[Any]] = field(default_factory=dict)

    def ring_after_commit(self, bell: Bell, about: UUID | None = None) -> None:
        """Have everybody who waits for `bell` look again, once this is committed.

        Args:
            bell: what there is to be looked at.
            about: whom it concerns, if not anybody.
        """
        self._bells.setdefault(bell, set()).add(about)

    def write_at_end(self, writer: "Writer", row: Any) -> None:
        """Write a row that nobody reads before the end, together with others of its kind.

        Args:
            writer: writes all of its rows in one statement, in their order.
            row: what it understands.
        """
        self._rows.setdefault(writer, []).append(row)

    async def _write(self) -> None:
        for writer, rows in self._rows.items():
            await writer(self, rows)
        self._rows.clear()


class Database:
    """Connections to one Postgres database.

    Args:
        conninfo: returns libpq's connection string; asked for every new connection.
        doorbell: rung after commits; None rings nothing.
        pool_size: connections kept open; as many again may be opened for a moment.
        if_set_back: a statement that is carried out, before anything else is, where the database
            knows less than it did.

    `Unit.now` is the database's time, whatever clock this machine has.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        *,
        doorbell: Doorbell | None = None,
        pool_size: int = 10,
        if_set_back: LiteralString | None = None,
    ) -> None:
        async def open_one() -> psycopg.AsyncConnection[Any]:
            # A process that was stopped keeps what it has locked: the rows of agents that others
            # take over, the turn to give sessions away, the cursor of all live lists.
            options = "-c idle_in_transaction_session_timeout=8s -c timezone=UTC"
            options += " -c statement_timeout=30s"
            connection = await connect(
                conninfo(), name="porthole", options=options, autocommit=True
            )
            set_json_loads(from_json, connection)

            async def ask(statement: LiteralString) -> Sequence[Any] | None:
                cursor = await connection.execute(statement)
                return await cursor.fetchone() if cursor.description else None

            try:
                await self._look(ask)
                await connection.set_autocommit(False)
            except BaseException:
                await connection.close()
                raise
            return connection

        self.engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=open_one,
            pool_size=pool_size,
            max_overflow=pool_size,
            # A caller is answered "try again" rather than kept waiting for its turn.
            pool_timeout=5,
            json_serializer=_dump,
            json_deserializer=from_json,
        )
        pool = self.engine.pool
        assert isinstance(pool, QueuePool), "an engine with `pool_size` has such a pool"
        self._pool = pool
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._doorbell = doorbell
        self._clock = DatabaseClock()
        self._position: Position | None = None
        self._if_set_back = if_set_back
        self._set_back = asyncio.Lock()
        self._times_set_back = 0

    async def look(self) -> None:
        """Look at the database's clock again, and how far it has come.

        No two clocks go alike for ever; and it is noticed that a database was set back only if
        it was looked at after what it lacks.
        """
        async with self._autocommit.connect() as connection:

            async def ask(statement: LiteralString) -> Sequence[Any] | None:
                result = await connection.exec_driver_sql(statement)
                return result.one() if result.returns_rows else None

            await self._look(ask)

    async def _look(self, ask: _Ask) -> None:
        earlier, asked, times = self._position, monotonic(), self._times_set_back
        row = await ask(_LOOK)
        assert row is not None, "it has one row"
        moment, system, written = row
        self._clock.told(moment, asked=asked, answered=monotonic())
        now = earlier if written is None else Position(system, written)
        if now is not None and now.lacks(earlier):
            async with self._set_back:
                # Another that looked when we did may have noticed; it has written since then, too.
                if self._times_set_back == times:
                    logger.warning("database_was_set_back", lacks=str(earlier), has=str(now))
                    if self._if_set_back is not None:
                        await ask(self._if_set_back)
                    self._position = now
                    self._times_set_back += 1
                    DATABASE_SET_BACK.inc()
            return
        # Of looks that overlap the first may answer last, and say what was so before.
        if now is None or self._times_set_back != times:
            return
        if not now.lacks(self._position):
            self._position = now

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """Run a transaction: committed at the end of the block, rolled back on any error."""
        async with self.engine.connect() as connection:
            unit = Unit(connection, self._clock())
            yield unit
            await unit._write()  # noqa: SLF001 - the two are one thing
            await connection.commit()
        if self._doorbell is not None:
            for bell, about in unit._bells.items():  # noqa: SLF001 - the two are one thing
                self._doorbell.ring(bell, about)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        """Run statements that each see the newest state; none may write.

        A reader needs no transaction: this saves it two round trips.
        """
        async with self._autocommit.connect() as connection:
            yield Unit(connection, self._clock())

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Unit]:
        """Run a single statement, which is a transaction by itself.

        As a unit of work it would take two round trips more.
        """
        async with self._autocommit.connect() as connection:
            yield Unit(connection, self._clock())

    def tell_use(self, used: Callable[[int], object], most: Callable[[int], object]) -> None:
        """Tell how many connections are in use, and how many may be."""
        used(self._pool.checkedout())
        most(self._pool.size() * 2)

    async def trouble(self) -> str | None:
        """Return why the database does not answer, in words; nothing if it does."""
        try:
            async with self.reading() as unit:
                await unit.connection.execute(text("select 1"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not answer
            said = error.orig if isinstance(error, DBAPIError) else error
            return next(iter(str(said).splitlines()), type(said).__name__)
        return None

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
