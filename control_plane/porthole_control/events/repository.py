"""All SQL about events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, literal, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.db.metadata import Xid8
from porthole_control.db.rows import columns_of
from porthole_control.events.tables import feed, session_events


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """A row of `session_events`."""

    id: int
    at: datetime
    kind: str
    phase: str | None
    reason: str
    message: str


class Position(NamedTuple):
    """A place in the feed, in commit order."""

    xid: int
    id: int

    def __str__(self) -> str:
        """Return it as an event id."""
        return f"{self.xid}-{self.id}"

    @classmethod
    def parse(cls, text_: str) -> "Position | None":
        """Return the position in an event id, None if it is none."""
        xid, _, number = text_.partition("-")
        if not (xid.isascii() and xid.isdigit() and number.isascii() and number.isdigit()):
            return None
        if len(xid) > 18 or len(number) > 18:  # noqa: PLR2004 - beyond 64 bits
            return None
        return cls(int(xid), int(number))


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of `feed`: something is not as it was."""

    position: Position
    owner: str | None
    kind: str
    subject: str


class Line(NamedTuple):
    """A line of a session's story, to be written."""

    session: UUID
    owner: str
    at: datetime
    kind: str
    phase: str | None
    reason: str
    message: str
    told_at: datetime | None = None
    """When a runtime that tells it says that it was, on its own clock."""


_ADD_LINES = text(
    """
    INSERT INTO session_events
        (session_id, owner, at, kind, phase, reason, message, told_at)
    SELECT session_id, owner, at, kind, phase, reason, message, told_at
    FROM unnest(
        CAST(:sessions AS uuid[]), CAST(:owners AS text[]), CAST(:times AS timestamptz[]),
        CAST(:kinds AS text[]), CAST(:phases AS text[]), CAST(:reasons AS text[]),
        CAST(:messages AS text[]), CAST(:told AS timestamptz[])
    ) WITH ORDINALITY
        AS line(session_id, owner, at, kind, phase, reason, message, told_at, place)
    ORDER BY place
    ON CONFLICT (session_id, reason, told_at) WHERE told_at IS NOT NULL DO NOTHING
    """
)


async def add_lines(connection: AsyncConnection, lines: Sequence[Line]) -> None:
    """Write lines of sessions' stories, in their order; what was told before is left out."""
    names = ("sessions", "owners", "times", "kinds", "phases", "reasons", "messages", "told")
    columns = (list(column) for column in zip(*lines, strict=True))
    await connection.execute(_ADD_LINES, dict(zip(names, columns, strict=True)))


class Remark(NamedTuple):
    """A line of a session's story; its owner and phase are as they stand."""

    session: UUID
    kind: str
    message: str


_REMARK = text(
    """
    INSERT INTO session_events (session_id, owner, at, kind, phase, reason, message)
    SELECT s.id, s.owner, :now, remark.kind, s.phase, '', remark.message
    FROM unnest(
        CAST(:sessions AS uuid[]), CAST(:kinds AS text[]), CAST(:messages AS text[])
    ) WITH ORDINALITY AS remark(session_id, kind, message, place)
    JOIN sessions s ON s.id = remark.session_id
    -- Each holds its session until the commit: who holds several takes them in the same order.
    ORDER BY s.id, remark.place
    """
)


async def add_remarks(
    connection: AsyncConnection, remarks: Sequence[Remark], now: datetime
) -> None:
    """Write lines of the stories of those sessions that there are still, each in its order."""
    sessions, kinds, messages = (list(column) for column in zip(*remarks, strict=True))
    await connection.execute(
        _REMARK, {"sessions": sessions, "kinds": kinds, "messages": messages, "now": now}
    )


TOLD = "Told"
"""The kind of a line that a session's runtime has told."""


_ADD_TO_FEED = text(
    """
    INSERT INTO feed (kind, subject, owner, at)
    SELECT kind, subject, owner, :now
    FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS text[]), CAST(:owners AS text[]))
         WITH ORDINALITY AS change(kind, subject, owner, place)
    ORDER BY place
    """
)


_SHORTEN = text(
    """
    DELETE FROM session_events e
    USING (
        SELECT session_id FROM session_events GROUP BY session_id HAVING count(*) > :most
        LIMIT 1000
    ) long CROSS JOIN LATERAL (
        SELECT id FROM session_events kept WHERE kept.session_id = long.session_id
        ORDER BY id DESC OFFSET :most LIMIT 1
    ) newest_left_out
    WHERE e.session_id = long.session_id AND e.id <= newest_left_out.id
    """
)


async def shorten_stories(connection: AsyncConnection, *, most: int) -> int:
    """Keep the newest `most` events of each session; return how many were forgotten."""
    return (await connection.execute(_SHORTEN, {"most": most})).rowcount


async def add_to_feed(
    connection: AsyncConnection, changes: Sequence[tuple[str, str, str | None]], now: datetime
) -> None:
    """Tell live lists what changed: (kind, subject, owner or None for everybody)."""
    kinds, subjects, owners = (list(column) for column in zip(*changes, strict=True))
    values = {"kinds": kinds, "subjects": subjects, "owners": owners, "now": now}
    await connection.execute(_ADD_TO_FEED, values)


async def session_events_of(
    connection: AsyncConnection, session: UUID, *, after: int | None, limit: int
) -> Sequence[SessionEvent]:
    """Return a session's story in order."""
    columns = session_events.c
    query = (
        select(*columns_of(SessionEvent, session_events))
        .where(columns.session_id == session)
        .order_by(columns.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(columns.id > after)
    return [SessionEvent(*row) for row in await connection.execute(query)]


_XMIN = literal_column("pg_snapshot_xmin(pg_current_snapshot())", Xid8())


async def read_feed(
    connection: AsyncConnection, after: Position, *, limit: int
) -> tuple[list[Entry], bool]:
    """Return what came after `after`, and whether more is there that may not be read yet.

    What a transaction wrote that began after one still under way is withheld: the older
    one could yet write in front of it.
    """
    xid = literal(after.xid, Xid8())
    rows = (
        await connection.execute(
            select(
                feed.c.xid,
                feed.c.id,
                feed.c.owner,
                feed.c.kind,
                feed.c.subject,
                (feed.c.xid < _XMIN).label("settled"),
            )
            .where(or_(feed.c.xid > xid, and_(feed.c.xid == xid, feed.c.id > after.id)))
            .order_by(feed.c.xid, feed.c.id)
            .limit(limit)
        )
    ).all()
    entries = [
        Entry(Position(row.xid, row.id), row.owner, row.kind, row.subject)
        for row in rows
        if row.settled
    ]
    return entries, len(entries) < len(rows)


async def newest_position(connection: AsyncConnection) -> Position:
    """Return the position before which everything is settled."""
    xmin = (await connection.execute(select(_XMIN))).scalar_one()
    return Position(int(xmin) - 1, 2**62)


async def is_readable_from(connection: AsyncConnection, position: Position) -> bool:
    """Return whether nothing after `position` was pruned, and it is not from another life.

    A database restored from a copy counts transactions anew from the copy's time on.
    """
    oldest = select(feed.c.xid).order_by(feed.c.xid, feed.c.id).limit(1).scalar_subquery()
    row = (
        await connection.execute(
            select(
                oldest.label("oldest"),
                literal_column("pg_snapshot_xmax(pg_current_snapshot())", Xid8()).label("xmax"),
            )
        )
    ).one()
    if position.xid >= row.xmax:
        return False
    return row.oldest is None or position.xid >= row.oldest


async def prune_feed(connection: AsyncConnection, *, before: datetime) -> int:
    """Delete what live lists were told before that time, but for the last line.

    That one stays as the mark up to which positions can be trusted.
    """
    newest = select(func.max(feed.c.id)).scalar_subquery()
    done = await connection.execute(feed.delete().where(feed.c.at < before, feed.c.id < newest))
    return done.rowcount
