"""All SQL about streams."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import false, func, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.agents.tables import agents
from porthole_control.db.rows import columns_of
from porthole_control.db.tables import replicas
from porthole_control.people.tables import tokens, users
from porthole_control.sessions.repository import OWNER_THERE
from porthole_control.sessions.tables import sessions
from porthole_control.streams.endings import Ending, Standing
from porthole_control.streams.tables import streams


@dataclass(frozen=True, slots=True)
class Seen:
    """A stream as its session's owner sees it."""

    id: UUID
    channel: str
    protocol: str | None
    mode: Literal["control", "view"]
    viewer: str
    state: Literal["ticket", "waiting", "open", "closed"]
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    bytes_to_viewer: int
    bytes_from_viewer: int
    closed_reason: str | None


async def add(connection: AsyncConnection, **values: Any) -> None:
    """Insert a stream (columns of `streams`)."""
    await connection.execute(insert(streams).values(**values))


async def is_theirs(
    connection: AsyncConnection, stream: UUID, *, session: UUID, user: UUID, token: UUID
) -> bool:
    """Return whether a session has this stream, by this user's token."""
    query = select(streams.c.id).where(
        streams.c.id == stream,
        streams.c.session_id == session,
        streams.c.user_id == user,
        streams.c.token_id == token,
    )
    return await connection.scalar(query) is not None


async def of_session(
    connection: AsyncConnection,
    session: UUID,
    owner: str,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Seen]:
    """Return the streams of an owner's session, newest first; tickets nobody used are left out."""
    query = (
        select(*columns_of(Seen, streams, viewer=users.c.name))
        .select_from(streams)
        .join(users, users.c.id == streams.c.user_id)
        .where(
            streams.c.session_id == session,
            streams.c.owner == owner,
            streams.c.opened_at.is_not(None) | (streams.c.state == "waiting"),
        )
        .order_by(streams.c.created_at.desc(), streams.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(streams.c.created_at, streams.c.id) < tuple_(*after))
    return [Seen(*row) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Told:
    """What a session's story says of a stream."""

    session: UUID
    viewer: str
    channel: str
    mode: str


async def told_of(connection: AsyncConnection, stream: UUID) -> Told | None:
    """Return who looks at what by this stream."""
    query = (
        select(streams.c.session_id, users.c.name, streams.c.channel, streams.c.mode)
        .join(users, users.c.id == streams.c.user_id)
        .where(streams.c.id == stream)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Told(*row)


# -- the viewer's leg ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream whose ticket was just used, and what its right rests on."""

    id: UUID
    session_id: UUID
    agent_id: UUID | None
    channel: str
    mode: str
    origin: str | None
    session_phase: str
    session_ending: bool
    agent_state: str | None
    agent_linked: bool
    token_revoked: bool
    token_expires_at: datetime | None
    user_disabled: bool


async def use_ticket(
    connection: AsyncConnection, stream: UUID, ticket_hash: bytes, *, replica: UUID, now: datetime
) -> Opened | None:
    """Use a ticket: the stream waits for its agent from now on; None if it is no good.

    One statement, so that of two who have the same ticket one gets nothing.
    """
    mine = (
        update(streams)
        .where(
            streams.c.id == stream,
            streams.c.state == "ticket",
            streams.c.ticket_hash == ticket_hash,
            streams.c.ticket_expires_at > now,
        )
        .values(state="waiting", replica_id=replica)
        .returning(streams)
        .cte("mine")
    )
    row = (
        await connection.execute(
            select(
                mine.c.id,
                mine.c.session_id,
                mine.c.agent_id,
                mine.c.channel,
                mine.c.mode,
                mine.c.origin,
                sessions.c.phase,
                sessions.c.deleted_at.is_not(None) | sessions.c.delete_requested_at.is_not(None),
                agents.c.state,
                func.coalesce(agents.c.linked_replica.is_not(None), false()),
                tokens.c.revoked_at.is_not(None),
                tokens.c.expires_at,
                users.c.disabled_at.is_not(None) | (sessions.c.owner != mine.c.owner),
            )
            .join(sessions, sessions.c.id == mine.c.session_id)
            .join(tokens, tokens.c.id == mine.c.token_id)
            .join(users, users.c.id == mine.c.user_id)
            .outerjoin(agents, agents.c.id == mine.c.agent_id)
        )
    ).one_or_none()
    return None if row is None else Opened(*row)


async def standings(
    connection: AsyncConnection, identities: Collection[UUID]
) -> Mapping[UUID, Standing]:
    """Return what the rights of these streams rest on now."""
    rows = await connection.execute(
        select(
            streams.c.id,
            streams.c.state,
            streams.c.closed_reason,
            streams.c.closed_message,
            sessions.c.deleted_at.is_not(None) | sessions.c.delete_requested_at.is_not(None),
            agents.c.state,
            tokens.c.revoked_at.is_not(None),
            tokens.c.expires_at,
            users.c.disabled_at.is_not(None) | (sessions.c.owner != streams.c.owner),
        )
        .join(sessions, sessions.c.id == streams.c.session_id)
        .join(tokens, tokens.c.id == streams.c.token_id)
        .join(users, users.c.id == streams.c.user_id)
        .outerjoin(agents, agents.c.id == streams.c.agent_id)
        .where(streams.c.id.in_(identities))
    )
    return {row[0]: Standing(*row[1:]) for row in rows}


# -- the agent's leg -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream whose agent is to be asked."""

    id: UUID
    session_id: UUID
    owner: str
    channel: str
    protocol: str | None
    mode: Literal["control", "view"]
    agent_id: UUID
    replaces: UUID | None


# Many links are two parameters: to bind each would cost more than to look, every second.
_LINKED = text(
    "(agents.id, agents.epoch) IN"
    " (SELECT * FROM unnest(CAST(:agents AS uuid[]), CAST(:epochs AS bigint[])))"
)


async def to_be_asked(
    connection: AsyncConnection, links: Collection[tuple[UUID, int]], *, limit: int
) -> Sequence[Wanted]:
    """Return streams that wait for an agent with one of these links (agent, epoch).

    Those are left out for which the agent was asked on the same link; rows are locked.
    """
    rows = await connection.execute(
        select(
            streams.c.id,
            streams.c.session_id,
            OWNER_THERE,
            streams.c.channel,
            streams.c.protocol,
            streams.c.mode,
            streams.c.agent_id,
            streams.c.replaces,
        )
        .join(agents, agents.c.id == streams.c.agent_id)
        .join(sessions, sessions.c.id == streams.c.session_id)
        .where(
            streams.c.state == "waiting",
            _LINKED.bindparams(
                agents=[agent for agent, _ in links], epochs=[epoch for _, epoch in links]
            ),
            streams.c.agent_epoch.is_(None) | (streams.c.agent_epoch < agents.c.epoch),
        )
        .order_by(streams.c.created_at)
        .limit(limit)
        .with_for_update(of=streams, skip_locked=True)
    )
    return [Wanted(*row) for row in rows]


_ASKED = text(
    """
    UPDATE streams s
    SET agent_epoch = r.epoch, secret_hash = r.hash, secret_expires_at = :expires_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS bigint[]), CAST(:hashes AS bytea[]))
         AS r(id, epoch, hash)
    WHERE s.id = r.id AND s.state = 'waiting'
    """
)


async def note_asked(
    connection: AsyncConnection,
    asked: Sequence[tuple[UUID, int, bytes]],
    *,
    expires_at: datetime,
) -> None:
    """Note for which streams an agent is asked: (stream, epoch, hash of the secret)."""
    await connection.execute(
        _ASKED,
        {
            "ids": [one[0] for one in asked],
            "epochs": [one[1] for one in asked],
            "hashes": [one[2] for one in asked],
            "expires_at": expires_at,
        },
    )


@dataclass(frozen=True, slots=True)
class DialledBack:
    """What a dial-back is judged by."""

    state: str
    secret_hash: bytes | None
    secret_expires_at: datetime | None
    agent_epoch: int | None
    current_epoch: int | None
    agent_state: str | None
    replica_id: UUID | None


async def dialled_back(connection: AsyncConnection, stream: UUID) -> DialledBack | None:
    """Return what a dial-back for this stream is judged by, its row locked."""
    row = (
        await connection.execute(
            select(
                streams.c.state,
                streams.c.secret_hash,
                streams.c.secret_expires_at,
                streams.c.agent_epoch,
                agents.c.epoch,
                agents.c.state,
                streams.c.replica_id,
            )
            .outerjoin(agents, agents.c.id == streams.c.agent_id)
            .where(streams.c.id == stream)
            .with_for_update(of=streams)
        )
    ).one_or_none()
    return None if row is None else DialledBack(*row)


async def open_(connection: AsyncConnection, stream: UUID, now: datetime) -> None:
    """Note that both legs are there; the secret is used up with that."""
    await connection.execute(
        update(streams)
        .where(streams.c.id == stream)
        .values(state="open", opened_at=now, secret_hash=None, secret_expires_at=None)
    )


# -- the end ---------------------------------------------------------------------------------


async def end(
    connection: AsyncConnection,
    stream: UUID,
    ending: Ending,
    now: datetime,
    *,
    to_viewer: int = 0,
    from_viewer: int = 0,
) -> None:
    """Note that a stream is over; what was noted before stays, but for the bytes."""
    await connection.execute(
        update(streams)
        .where(streams.c.id == stream)
        .values(
            state="closed",
            closed_at=func.coalesce(streams.c.closed_at, now),
            closed_reason=func.coalesce(streams.c.closed_reason, ending.name),
            closed_message=func.coalesce(streams.c.closed_message, ending.sentence),
            bytes_to_viewer=to_viewer,
            bytes_from_viewer=from_viewer,
            secret_hash=None,
        )
    )


async def refuse(
    connection: AsyncConnection, agent: UUID, refusals: Sequence[tuple[UUID, Ending]], now: datetime
) -> None:
    """Note streams that their agent does not open; those of another agent are left alone."""
    for stream, ending in refusals:
        await connection.execute(
            update(streams)
            .where(
                streams.c.id == stream, streams.c.agent_id == agent, streams.c.state == "waiting"
            )
            .values(
                state="closed",
                closed_at=now,
                closed_reason=ending.name,
                closed_message=ending.sentence,
                secret_hash=None,
            )
        )


async def end_those_of_the_dead(
    connection: AsyncConnection, ending: Ending, now: datetime, *, silent_since: datetime
) -> int:
    """End streams whose process has died, and drop tickets that nobody used."""
    alive = select(replicas.c.id).where(replicas.c.seen_at > silent_since)
    done = await connection.execute(
        update(streams)
        .where(streams.c.state.in_(["waiting", "open"]), streams.c.replica_id.not_in(alive))
        .values(
            state="closed",
            closed_at=now,
            closed_reason=ending.name,
            closed_message=ending.sentence,
            secret_hash=None,
        )
    )
    await connection.execute(
        streams.delete().where(
            streams.c.state == "ticket", streams.c.ticket_expires_at < silent_since
        )
    )
    return done.rowcount


# -- programs that came in on a session's own port ---------------------------------------------


async def on_port(
    connection: AsyncConnection, session: UUID, named: Collection[UUID]
) -> dict[UUID, str]:
    """Return the states of a session's streams on its port: of those open, and of those named."""
    rows = await connection.execute(
        select(streams.c.id, streams.c.state).where(
            streams.c.session_id == session,
            streams.c.token_id.is_(None),
            or_(streams.c.state == "open", streams.c.id.in_(named)),
        )
    )
    return {row[0]: row[1] for row in rows}


async def add_on_port(connection: AsyncConnection, *, keep: int, **values: Any) -> bool:
    """Insert a stream of a session's owner on its port, unless there is one of that id.

    Of those of this session that have ended only the newest `keep` stay.

    Returns:
        Whether it was inserted.
    """
    owner = select(users.c.id).where(users.c.name == values["owner"]).scalar_subquery()
    made = await connection.scalar(
        postgresql.insert(streams)
        .values(user_id=owner, **values)
        .on_conflict_do_nothing()
        .returning(streams.c.id)
    )
    mine = streams.c.session_id == values["session_id"], streams.c.token_id.is_(None)
    old = (
        select(streams.c.id)
        .where(*mine, streams.c.state == "closed")
        .order_by(streams.c.created_at.desc(), streams.c.id)
        .offset(keep)
    )
    await connection.execute(streams.delete().where(streams.c.id.in_(old)))
    return made is not None
