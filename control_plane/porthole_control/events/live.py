"""Live lists: what changes is read once per process and told to all who listen.

The newest entries are kept in memory with what each subject was when they were read, so
that a hundred listeners cost as many look-ups as one. Who resumes further back reads from
the database until they have caught up.
"""

import asyncio
from bisect import bisect_right
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass

import structlog
from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError

from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.events import repository
from porthole_control.events.repository import Entry, Position
from porthole_control.metrics import LISTENERS

logger = structlog.get_logger(__name__)

Renderer = Callable[[Unit, Collection[str]], Awaitable[Mapping[str, object]]]
"""Returns what these subjects of one kind are now, as JSON or a model, without those that are
gone."""

_BATCH = 500
_KEPT = 5_000
_POLL_SECONDS = 1.0
_WITHHELD_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell: where in the feed it stands, whose it is, and its JSON.

    Attributes:
        data: what the subject is now; None: it is gone.
    """

    position: Position
    owner: str | None
    kind: str
    subject: str
    data: str | None


def _owner_of(value: object) -> object:
    """Return whose a subject is now; None: everybody's."""
    return value.get("owner") if isinstance(value, Mapping) else getattr(value, "owner", None)


class Live:
    """Reads the feed while anybody listens.

    Args:
        database: where the feed is.
        renderers: per kind, what looks its subjects up.
    """

    def __init__(self, database: Database, renderers: Mapping[str, Renderer]) -> None:
        self._database = database
        self._renderers = renderers
        self._recent: list[News] = []
        self._from: Position | None = None
        self._read_to: Position | None = None
        self._listeners = 0
        self._began = asyncio.Event()
        self._more = asyncio.Condition()

    async def run(self, doorbell: Doorbell) -> None:
        """Read what is new and tell it, until cancelled."""
        with doorbell.hearing(Bell.EVENTS) as hearing:
            while True:
                await self._began.wait()
                pause = _POLL_SECONDS
                try:
                    if await self._read_on():
                        pause = _WITHHELD_SECONDS
                except (SQLAlchemyError, OSError, TimeoutError) as error:
                    logger.warning("feed_unreadable", error=type(error).__name__)
                if not self._listeners:
                    self._began.clear()
                    self._recent, self._from, self._read_to = [], None, None
                    continue
                await hearing.next(pause)

    async def _read_on(self) -> bool:
        """Read to the end; return whether something is withheld still."""
        async with self._database.reading() as unit:
            if self._read_to is None:
                self._read_to = self._from = await repository.newest_position(unit.connection)
                async with self._more:
                    self._more.notify_all()
            while True:
                entries, withheld = await repository.read_feed(
                    unit.connection, self._read_to, limit=_BATCH
                )
                if not entries:
                    return withheld
                news = await self._render(unit, entries)
                async with self._more:
                    self._recent.extend(news)
                    if len(self._recent) > _KEPT:
                        dropped = self._recent[: -_KEPT // 2]
                        self._recent = self._recent[-_KEPT // 2 :]
                        self._from = dropped[-1].position
                    self._read_to = entries[-1].position
                    self._more.notify_all()
                if withheld:
                    return True

    async def _render(self, unit: Unit, entries: Sequence[Entry]) -> list[News]:
        wanted: dict[str, set[str]] = {}
        for entry in entries:
            wanted.setdefault(entry.kind, set()).add(entry.subject)
        # By their owner, too: to whom something has belonged until now, it is gone.
        found: dict[tuple[str, str, object], str] = {}
        for kind, subjects in wanted.items():
            if renderer := self._renderers.get(kind):
                for subject, value in (await renderer(unit, subjects)).items():
                    found[kind, subject, _owner_of(value)] = to_json(value).decode()
        # Of several changes of one thing in a batch, only the last has something to tell.
        last = {(entry.kind, entry.subject, entry.owner): entry for entry in entries}
        return [
            News(e.position, e.owner, e.kind, e.subject, found.get((e.kind, e.subject, e.owner)))
            for e in entries
            if last[e.kind, e.subject, e.owner] is e
        ]

    async def listen(
        self, owner: str, after: Position | None, *, patience: float
    ) -> AsyncGenerator[Position | Sequence[News], None]:
        """Yield where it begins, then what is new to `owner`, for ever.

        Args:
            owner: whose news, besides those for everybody.
            after: where to go on; None: now. If that is no longer known, the position that
                is yielded first is another, and the caller has to list again.
            patience: seconds after which nothing new is yielded as an empty sequence.
        """
        self._listeners += 1
        LISTENERS.set(self._listeners)
        self._began.set()
        try:
            position = await self._begin(after)
            yield position
            while True:
                news, position = await self._next(position, patience)
                yield [item for item in news if item.owner is None or item.owner == owner]
        finally:
            self._listeners -= 1
            LISTENERS.set(self._listeners)

    async def _begin(self, after: Position | None) -> Position:
        if after is not None:
            async with self._database.reading() as unit:
                if await repository.is_readable_from(unit.connection, after):
                    return after
        async with self._more:
            await self._more.wait_for(lambda: self._read_to is not None)
            assert self._read_to is not None
            return self._read_to

    async def _next(self, position: Position, patience: float) -> tuple[Sequence[News], Position]:
        async with self._more:
            if self._from is not None and position >= self._from:
                try:
                    async with asyncio.timeout(patience):
                        await self._more.wait_for(
                            lambda: self._read_to is not None and self._read_to > position
                        )
                except TimeoutError:
                    return [], position
                if self._from is not None and position >= self._from:
                    assert self._read_to is not None
                    begin = bisect_right(self._recent, position, key=lambda news: news.position)
                    return self._recent[begin:], self._read_to
        async with self._database.reading() as unit:
            # Asked first: what is settled now is certainly among what is read next.
            settled = await repository.newest_position(unit.connection)
            entries, _ = await repository.read_feed(unit.connection, position, limit=_BATCH)
            if entries:
                return await self._render(unit, entries), entries[-1].position
        if self._from is None:  # the common reader has not begun yet
            await asyncio.sleep(_WITHHELD_SECONDS)
        return [], max(position, settled)
