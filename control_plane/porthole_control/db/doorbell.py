"""A doorbell through Postgres: "something changed, look again", to every replica.

A bell carries no message, so a lost one costs time and nothing else: whoever waits also
looks from time to time (`Hearing.next` takes a timeout). Only in the process that rings it is
heard whom that concerns, to spare it looking at all others. Rings go out over a connection of
their own in autocommit, merged while one is under way. The listening connection proves
itself alive by ringing itself: a connection that is open but dead is found and replaced.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from time import monotonic
from typing import Self
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg import sql

from porthole_control.db.connecting import connect

logger = structlog.get_logger(__name__)

_NOTIFY = "SELECT pg_notify(bell, '') FROM unnest(%s::text[]) AS bell"
_PROVE_EVERY = 5.0
_PROVE_WITHIN = 5.0
_LONGEST_PAUSE = 5.0


class Bell(StrEnum):
    """What there is to be looked at again."""

    COMMANDS = "porthole_commands"  # the queue has something to send
    EVENTS = "porthole_events"  # live lists have news
    STREAMS = "porthole_streams"  # a stream waits for its other leg, or has to end
    ACCESS = "porthole_access"  # a token, an agent or a key was revoked
    WAITING = "porthole_waiting"  # sessions that wait for an agent may go on
    LINKS = "porthole_links"  # an agent has linked; older links of it are over


class Hearing:
    """One listener's view of a bell; rings between two calls of `next` are merged.

    Attributes:
        about: whom the rings concern that the last `next` has returned for; None: anybody.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._told: set[UUID | None] = set()
        self.about: frozenset[UUID] | None = None

    def tell(self, about: UUID | None = None) -> None:
        """Note that the bell rang, and whom it concerns, if that is known."""
        self._told.add(about)
        self._rung.set()

    async def next(self, within: float) -> bool:
        """Wait for the next ring, or `within` seconds; return whether it rang."""
        # Not `wait_for`: before Python 3.12 it can lose a cancellation that comes with a ring.
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._rung.wait()
        rang = self._rung.is_set()
        self._rung.clear()
        told, self._told = self._told, set()
        named = frozenset(one for one in told if one is not None)
        self.about = named if named and None not in told else None
        return rang


class Doorbell:
    """Rings and hears bells; runs while its `async with` block does.

    Args:
        conninfo: libpq's connection string, or what makes a new one for each connection.
    """

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._conninfo = conninfo
        self._to_ring: set[Bell] = set()
        self._ringer: int | None = None
        self._wake = asyncio.Event()
        self._hearings: dict[Bell, set[Hearing]] = {bell: set() for bell in Bell}
        self._proof = f"porthole_proof_{uuid4().hex}"
        self._tasks: list[asyncio.Task[None]] = []
        self.listening = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to ring and to listen."""
        self._tasks = [
            asyncio.create_task(self._again_and_again(self._ring), name="doorbell-ring"),
            asyncio.create_task(self._again_and_again(self._listen), name="doorbell-listen"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End both; a ring that has not gone out is found by the others' polls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ring(self, bell: Bell, about: Iterable[UUID | None] = (None,)) -> None:
        """Ring `bell` for every process, this one included; returns at once.

        Args:
            bell: what there is to be looked at.
            about: whom it concerns, None for anybody. Only this process hears that, and need
                not look at all others.
        """
        self._to_ring.add(bell)
        self._wake.set()
        for one in about:  # whoever waits in here need not wait for the way round
            self._tell(bell, one)

    @contextmanager
    def hearing(self, *bells: Bell) -> Iterator[Hearing]:
        """Hear any of `bells` for as long as the block runs."""
        hearing = Hearing()
        for bell in bells:
            self._hearings[bell].add(hearing)
        try:
            yield hearing
        finally:
            for bell in bells:
                self._hearings[bell].discard(hearing)

    def _tell(self, bell: Bell, about: UUID | None = None) -> None:
        for hearing in self._hearings[bell]:
            hearing.tell(about)

    async def _again_and_again(
        self, work: Callable[[psycopg.AsyncConnection[tuple[object, ...]]], Awaitable[None]]
    ) -> None:
        pause = 0.1
        while True:
            try:
                async with await connect(
                    self._conninfo(), name="porthole-doorbell", autocommit=True
                ) as connection:
                    pause = 0.1
                    await work(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                logger.warning("doorbell_lost", error=str(error), again_in=pause)
            self.listening.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ring(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._ringer = connection.info.backend_pid
            bells, self._to_ring = self._to_ring, set()
            try:
                async with asyncio.timeout(_PROVE_WITHIN):
                    await connection.execute(_NOTIFY, [sorted(bells)])
            except BaseException:
                self._to_ring |= bells
                self._wake.set()
                raise

    async def _listen(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        for channel in (*Bell, self._proof):
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self.listening.set()
        for bell in Bell:  # what rang while nobody listened
            self._tell(bell)
        prove = sql.SQL("NOTIFY {}").format(sql.Identifier(self._proof))
        while True:
            # A connection that is open but dead raises here, and another takes its place.
            async with asyncio.timeout(_PROVE_WITHIN):
                await connection.execute(prove)
                while self._proof not in await self._heard(connection, monotonic() + 1):
                    pass
            until = monotonic() + _PROVE_EVERY
            while monotonic() < until:
                await self._heard(connection, until)

    async def _heard(
        self, connection: psycopg.AsyncConnection[tuple[object, ...]], until: float
    ) -> set[str]:
        """Wait for the next rings, no longer than `until`; pass them on and return them."""
        heard = set()
        left = max(until - monotonic(), 0.0)
        # Runs to its end: who leaves in between loses what came in the same packet.
        async for note in connection.notifies(timeout=left, stop_after=1):
            # Our own rings were told in here when they began.
            if note.pid != self._ringer:
                heard.add(note.channel)
        for channel in heard - {self._proof}:
            self._tell(Bell(channel))
        return heard
