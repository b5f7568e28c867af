"""All SQL about commands.

The order of a subject's commands is their `sequence`; a command is claimed only when all
before it are done. Batches go in and out as arrays: one statement however many there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Select, exists, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.agents.tables import agents
from porthole_control.commands.rules import ENDS, OPEN, SUPERSEDABLE, CommandState
from porthole_control.commands.tables import agent_commands
from porthole_control.db.ids import new_id
from porthole_control.db.rows import columns_of
from porthole_control.metrics import (
    COMMAND_SECONDS,
    COMMANDS_ENDED,
    COMMANDS_QUEUED,
    COMMANDS_RESENT,
)

SubjectKind = Literal["session", "template", "home"]


@dataclass(frozen=True, slots=True)
class Command:
    """A row of `agent_commands`, with its agent's name."""

    id: UUID
    agent_id: UUID
    agent: str
    owner: str | None
    subject_kind: SubjectKind
    subject_id: UUID
    sequence: int
    order_no: int | None
    kind: str
    payload: dict[str, Any]
    idempotency_key: str
    state: str
    attempts: int
    next_attempt_at: datetime
    deadline: datetime | None
    epoch: int | None
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the dispatcher needs of a command to send it."""

    id: UUID
    subject_kind: SubjectKind
    subject_id: UUID
    sequence: int
    order_no: int | None
    kind: str
    payload: dict[str, Any]
    idempotency_key: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A command whose end was noted just now; `others_wait` behind one that was carried out."""

    id: UUID
    agent_id: UUID
    subject_kind: SubjectKind
    subject_id: UUID
    order_no: int | None
    kind: str
    state: str
    others_wait: bool = False


@dataclass(frozen=True, slots=True)
class New:
    """A command that is not in the queue yet; `owner` is None where it is nobody's."""

    agent: UUID
    owner: str | None
    subject_kind: SubjectKind
    subject_id: UUID
    kind: str
    payload: Mapping[str, Any]
    order: int | None = None
    idempotency_key: str | None = None
    deadline: datetime | None = None


_ENQUEUE = text(
    """
    WITH new AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:agents AS uuid[]), CAST(:owners AS text[]),
            CAST(:subject_kinds AS text[]), CAST(:subjects AS uuid[]), CAST(:orders AS bigint[]),
            CAST(:kinds AS text[]), CAST(:payloads AS text[]), CAST(:keys AS text[]),
            CAST(:deadlines AS timestamptz[])
        ) AS n(id, agent_id, owner, subject_kind, subject_id, order_no, kind, payload,
               idempotency_key, deadline)
    ), superseded AS (
        UPDATE agent_commands c SET state = 'superseded', finished_at = :now
        FROM new
        WHERE c.subject_kind = new.subject_kind AND c.subject_id = new.subject_id
          AND new.kind = ANY(:supersedable)
          AND c.state = 'pending' AND c.kind = ANY(:supersedable)
        RETURNING c.id, c.agent_id, c.subject_kind, c.subject_id, c.order_no, c.kind, c.state
    ), queued AS (
    INSERT INTO agent_commands (
        id, agent_id, owner, subject_kind, subject_id, sequence, order_no, kind, payload,
        idempotency_key, deadline, created_at, next_attempt_at
    )
    SELECT new.id, new.agent_id, new.owner, new.subject_kind, new.subject_id,
           coalesce(last.sequence, 0) + 1, new.order_no, new.kind, CAST(new.payload AS jsonb),
           new.idempotency_key, new.deadline, :now, :now
    FROM new LEFT JOIN LATERAL (
        SELECT sequence FROM agent_commands earlier
        WHERE earlier.subject_kind = new.subject_kind AND earlier.subject_id = new.subject_id
        ORDER BY sequence DESC LIMIT 1
    ) last ON true
    )
    SELECT id, agent_id, subject_kind, subject_id, order_no, kind, state FROM superseded
    """
)


@dataclass(frozen=True, slots=True)
class Queued:
    """What came of it that commands were put into the queue.

    Attributes:
        ids: theirs, in order.
        superseded: what was not sent yet, and need not be any more.
    """

    ids: tuple[UUID, ...]
    superseded: Sequence[Finished]


async def enqueue(connection: AsyncConnection, *commands: New, now: datetime) -> tuple[UUID, ...]:
    """Put commands into the queue as `put` does; return their ids, in order."""
    return (await put(connection, *commands, now=now)).ids


async def put(connection: AsyncConnection, *commands: New, now: datetime) -> Queued:
    """Put each command at the end of its subject's line.

    Each is for another subject, and the caller has locked them all, so that two never take
    the same place. What says what a subject should be takes the place of older ones that
    were not sent yet.
    """
    ids = tuple(new_id() for _ in commands)
    rows = await connection.execute(
        _ENQUEUE,
        {
            "ids": list(ids),
            "agents": [one.agent for one in commands],
            "owners": [one.owner for one in commands],
            "subject_kinds": [one.subject_kind for one in commands],
            "subjects": [one.subject_id for one in commands],
            "orders": [one.order for one in commands],
            "kinds": [one.kind for one in commands],
            "payloads": [to_json(one.payload).decode() for one in commands],
            "keys": [
                one.idempotency_key or str(identity)
                for identity, one in zip(ids, commands, strict=True)
            ],
            "deadlines": [one.deadline for one in commands],
            "now": now,
            "supersedable": sorted(SUPERSEDABLE),
        },
    )
    superseded = [Finished(*row) for row in rows]
    for one in commands:
        COMMANDS_QUEUED.labels(one.kind).inc()
    _count_ended(superseded)
    return Queued(ids, superseded)


def _count_ended(ended: Sequence[Finished]) -> None:
    for one in ended:
        COMMANDS_ENDED.labels(one.state).inc()


_CLAIM = text(
    """
    WITH link AS MATERIALIZED (
        -- Shared until the commit: the next link begins after it, and finds all of this.
        SELECT id FROM agents
        WHERE id = :agent AND epoch = :epoch AND state <> 'revoked' FOR SHARE
    ), turn AS (
        -- In the order of its index, so that a long queue costs no more than a short one.
        SELECT c.id FROM agent_commands c
        LEFT JOIN LATERAL (
            SELECT true AS busy FROM agent_commands earlier
            WHERE earlier.subject_kind = c.subject_kind AND earlier.subject_id = c.subject_id
              AND earlier.sequence < c.sequence
              AND earlier.state IN ('pending', 'sent', 'received')
            LIMIT 1
        ) subject ON true
        WHERE c.agent_id = :agent AND c.state = 'pending' AND c.next_attempt_at <= :now
          AND subject.busy IS NULL AND EXISTS (SELECT FROM link)
        ORDER BY c.next_attempt_at, c.id
        LIMIT :credit
        FOR UPDATE OF c SKIP LOCKED
    )
    UPDATE agent_commands c
    SET state = 'sent', epoch = :epoch, attempts = c.attempts + 1, sent_at = :now
    FROM turn WHERE c.id = turn.id
    RETURNING c.id, c.subject_kind, c.subject_id, c.sequence, c.order_no, c.kind, c.payload,
              c.idempotency_key, c.attempts
    """
)


async def claim(
    connection: AsyncConnection, *, agent: UUID, epoch: int, credit: int, now: datetime
) -> Sequence[Claimed]:
    """Take up to `credit` commands whose turn it is, to be sent on the link of that epoch.

    They are marked as sent. Nothing is claimed for a link that has been replaced.
    """
    rows = await connection.execute(
        _CLAIM, {"agent": agent, "epoch": epoch, "credit": credit, "now": now}
    )
    return sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.id)


_RECEIVED = text(
    """
    WITH free AS (
        -- Never waits: a result that is being written makes this one superfluous.
        SELECT id FROM agent_commands
        WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'sent' AND epoch = :epoch
        FOR UPDATE SKIP LOCKED
    )
    UPDATE agent_commands c SET state = 'received' FROM free WHERE c.id = free.id
    """
)


async def mark_received(connection: AsyncConnection, ids: Sequence[UUID], epoch: int) -> None:
    """Note that the agent has these; only what was sent on the link of that epoch."""
    await connection.execute(_RECEIVED, {"ids": list(ids), "epoch": epoch})


_FINISH = text(
    """
    UPDATE agent_commands c
    SET state = r.state, last_error = nullif(r.error, ''), finished_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:errors AS text[]))
         AS r(id, state, error)
    WHERE c.id = r.id AND c.agent_id = :agent AND c.state IN ('pending', 'sent', 'received')
    RETURNING c.id, c.agent_id, c.subject_kind, c.subject_id, c.order_no, c.kind, c.state,
              -- Whoever adds one has locked the subject, and so has whoever comes here.
              EXISTS (
                  SELECT FROM agent_commands later
                  WHERE later.subject_kind = c.subject_kind AND later.subject_id = c.subject_id
                    AND later.state = 'pending' AND later.sequence > c.sequence
              ), c.created_at
    """
)


async def finish(
    connection: AsyncConnection,
    *,
    agent: UUID,
    results: Sequence[tuple[UUID, CommandState, str]],
    now: datetime,
) -> Sequence[Finished]:
    """Note how commands of this agent ended: (id, state, error or "").

    What was ended before, or is another agent's, is left alone and left out of the answer.
    """
    rows = await connection.execute(
        _FINISH,
        {
            "ids": [identity for identity, _, _ in results],
            "states": [str(state) for _, state, _ in results],
            "errors": [error[:2000] for _, _, error in results],
            "agent": agent,
            "now": now,
        },
    )
    finished = []
    for *row, created_at in rows:
        one = Finished(*row)
        COMMAND_SECONDS.labels(one.kind).observe(max(0.0, (now - created_at).total_seconds()))
        finished.append(one)
    _count_ended(finished)
    return finished


_REQUEUE = text(
    """
    UPDATE agent_commands c
    SET state = 'pending', next_attempt_at = r.at, last_error = nullif(r.error, '')
    FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[]), CAST(:errors AS text[]))
         AS r(id, at, error)
    WHERE c.id = r.id AND c.agent_id = :agent AND c.state IN ('sent', 'received')
    """
)


async def requeue(
    connection: AsyncConnection, *, agent: UUID, again: Sequence[tuple[UUID, datetime, str]]
) -> None:
    """Have commands sent again: (id, not before, why). Those that wait already are let be."""
    await connection.execute(
        _REQUEUE,
        {
            "ids": [identity for identity, _, _ in again],
            "times": [moment for _, moment, _ in again],
            "errors": [why[:2000] for _, _, why in again],
            "agent": agent,
        },
    )
    COMMANDS_RESENT.labels("failed").inc(len(again))


_RESEND = text(
    """
    UPDATE agent_commands SET state = 'pending', next_attempt_at = :now
    WHERE agent_id = :agent AND state IN ('sent', 'received') AND epoch < :epoch
    """
)
_DROP_OVERTAKEN = text(
    """
    UPDATE agent_commands c SET state = 'superseded', finished_at = :now
    WHERE c.agent_id = :agent AND c.state = 'pending' AND c.kind = ANY(:kinds)
      AND EXISTS (
        SELECT 1 FROM agent_commands later
        WHERE later.subject_kind = c.subject_kind AND later.subject_id = c.subject_id
          AND later.sequence > c.sequence AND later.kind = ANY(:kinds)
          AND later.state IN ('pending', 'sent', 'received')
      )
    RETURNING c.id, c.agent_id, c.subject_kind, c.subject_id, c.order_no, c.kind, c.state
    """
)


async def resend(
    connection: AsyncConnection, *, agent: UUID, epoch: int, now: datetime
) -> Sequence[Finished]:
    """Have everything sent again that went out on older links and was not done.

    The agent may have it: desired states are applied once per order, operations carry a key.
    Returns what need not be sent any more, for a newer one of its subject waits.
    """
    done = await connection.execute(_RESEND, {"agent": agent, "epoch": epoch, "now": now})
    rows = await connection.execute(
        _DROP_OVERTAKEN, {"agent": agent, "now": now, "kinds": sorted(SUPERSEDABLE)}
    )
    overtaken = [Finished(*row) for row in rows]
    COMMANDS_RESENT.labels("new_link").inc(done.rowcount)
    _count_ended(overtaken)
    return overtaken


_EXPIRE = text(
    """
    UPDATE agent_commands c SET state = 'expired', finished_at = :now
    FROM agents a
    WHERE a.id = c.agent_id AND a.linked_replica IS NOT NULL
      AND c.state = 'pending' AND c.deadline < :now
    RETURNING c.id, c.agent_id, c.subject_kind, c.subject_id, c.order_no, c.kind, c.state
    """
)


async def expire(connection: AsyncConnection, now: datetime) -> Sequence[Finished]:
    """End what is past its deadline; deadlines run only while the agent is linked."""
    expired = [Finished(*row) for row in await connection.execute(_EXPIRE, {"now": now})]
    _count_ended(expired)
    return expired


async def fail_all(connection: AsyncConnection, *, agent: UUID, why: str, now: datetime) -> None:
    """End everything that an agent was still to do."""
    done = await connection.execute(
        update(agent_commands)
        .where(agent_commands.c.agent_id == agent, agent_commands.c.state.in_(sorted(OPEN)))
        .values(state="failed", last_error=why, finished_at=now)
    )
    COMMANDS_ENDED.labels("failed").inc(done.rowcount)


async def withdraw(
    connection: AsyncConnection, *, subject_kind: SubjectKind, subject_id: UUID, now: datetime
) -> None:
    """Take back what was not sent yet of a subject that is no more."""
    done = await connection.execute(
        update(agent_commands)
        .where(
            agent_commands.c.subject_kind == subject_kind,
            agent_commands.c.subject_id == subject_id,
            agent_commands.c.state == "pending",
        )
        .values(state="superseded", finished_at=now)
    )
    COMMANDS_ENDED.labels("superseded").inc(done.rowcount)


_HOLD = text(
    """
    SELECT id FROM agent_commands
    WHERE subject_kind = :kind AND subject_id = :subject AND state = 'pending' FOR UPDATE
    """
)


async def sent_or_held(
    connection: AsyncConnection, subject_kind: SubjectKind, subject_id: UUID
) -> bool:
    """Return whether anything about a subject was ever sent to an agent.

    If not, nothing will be until the transaction ends: it waits for a claim that is under way,
    and is not taken by the next.
    """
    await connection.execute(_HOLD, {"kind": subject_kind, "subject": subject_id})
    return await was_sent(connection, subject_kind, subject_id)


async def agents_with_work(connection: AsyncConnection, now: datetime) -> Sequence[UUID]:
    """Return agents for whom something is to be sent now."""
    return list(
        await connection.scalars(
            select(agent_commands.c.agent_id)
            .where(agent_commands.c.state == "pending", agent_commands.c.next_attempt_at <= now)
            .distinct()
        )
    )


_WITH_UNFINISHED = text(
    "SELECT DISTINCT agent_id FROM agent_commands WHERE state IN ('sent', 'received')"
)


async def agents_with_unfinished(connection: AsyncConnection) -> Sequence[UUID]:
    """Return agents that were sent something which is not done."""
    return list(await connection.scalars(_WITH_UNFINISHED))


async def is_open(
    connection: AsyncConnection, subject_kind: SubjectKind, subject_id: UUID, *, order: int
) -> bool:
    """Return whether an order of this number (or newer) is still on its way."""
    query = (
        select(func.count())
        .select_from(agent_commands)
        .where(
            agent_commands.c.subject_kind == subject_kind,
            agent_commands.c.subject_id == subject_id,
            agent_commands.c.order_no >= order,
            agent_commands.c.state.in_(sorted(OPEN)),
        )
    )
    return (await connection.execute(query)).scalar_one() > 0


async def was_sent(
    connection: AsyncConnection, subject_kind: SubjectKind, subject_id: UUID
) -> bool:
    """Return whether anything about a subject was ever sent to an agent."""
    query = select(
        exists().where(
            agent_commands.c.subject_kind == subject_kind,
            agent_commands.c.subject_id == subject_id,
            agent_commands.c.attempts > 0,
        )
    )
    return bool((await connection.execute(query)).scalar_one())


async def has_failed(
    connection: AsyncConnection, subject_kind: SubjectKind, subject_id: UUID, *, order: int
) -> bool:
    """Return whether the agent has refused this order: sending it again is of no use."""
    query = select(
        exists().where(
            agent_commands.c.subject_kind == subject_kind,
            agent_commands.c.subject_id == subject_id,
            agent_commands.c.order_no == order,
            agent_commands.c.state == "failed",
        )
    )
    return bool((await connection.execute(query)).scalar_one())


async def must_be_done(
    connection: AsyncConnection, agent: UUID, ids: Sequence[UUID]
) -> Sequence[Claimed]:
    """Return which of these are tried until they are done: nothing may be left lying about.

    One that waits already counts as well: a new link has it sent again, and the result of the
    attempt before has come only now.
    """
    query = select(*columns_of(Claimed, agent_commands)).where(
        agent_commands.c.agent_id == agent,
        agent_commands.c.id == func.any(list(ids)),
        agent_commands.c.kind.in_(sorted(ENDS)),
        agent_commands.c.state.in_(sorted(OPEN)),
    )
    return [Claimed(*row) for row in await connection.execute(query)]


def _commands() -> Select[Any]:
    return (
        select(*columns_of(Command, agent_commands, agent=agents.c.name))
        .select_from(agent_commands)
        .join(agents, agents.c.id == agent_commands.c.agent_id)
    )


async def list_commands(
    connection: AsyncConnection,
    *,
    owner: str | None,
    state: CommandState | None = None,
    subject: UUID | None = None,
    agent: str | None = None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Command]:
    """Return commands, newest first: those about an owner's things, or all if None."""
    query = (
        _commands()
        .order_by(agent_commands.c.created_at.desc(), agent_commands.c.id.desc())
        .limit(limit)
    )
    if owner is not None:
        query = query.where(agent_commands.c.owner == owner)
    if state is not None:
        query = query.where(agent_commands.c.state == state)
    if subject is not None:
        query = query.where(agent_commands.c.subject_id == subject)
    if agent is not None:
        query = query.where(agents.c.name == agent)
    if after is not None:
        query = query.where(
            tuple_(agent_commands.c.created_at, agent_commands.c.id) < tuple_(*after)
        )
    return [Command(*row) for row in await connection.execute(query)]


async def command(
    connection: AsyncConnection, identity: UUID, *, owner: str | None
) -> Command | None:
    """Return one command: one about an owner's things, or any if None."""
    query = _commands().where(agent_commands.c.id == identity)
    if owner is not None:
        query = query.where(agent_commands.c.owner == owner)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Command(*row)


async def count_by_state(connection: AsyncConnection) -> Mapping[str, int]:
    """Return how many commands are on their way, per state."""
    rows = await connection.execute(
        select(agent_commands.c.state, func.count())
        .where(agent_commands.c.state.in_(sorted(OPEN)))
        .group_by(agent_commands.c.state)
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Depth:
    """The unfinished commands of one state.

    Attributes:
        count: how many, up to the bound of `depth`.
        age: seconds since the oldest of those was queued.
        due: the longest, in seconds, that one has been due whose agent is linked; 0: none is.
    """

    count: int
    age: float
    due: float


_COUNTED = 20_000

_DEPTH = text(
    """
    SELECT one.state, count(*),
           coalesce(max(extract(epoch FROM :now - one.created_at)), 0),
           coalesce(max(extract(epoch FROM :now - one.next_attempt_at)) FILTER (
               WHERE one.state = 'pending' AND one.next_attempt_at <= :now
                 AND a.linked_replica IS NOT NULL
           ), 0)
    FROM (
        (SELECT state, created_at, next_attempt_at, agent_id FROM agent_commands
         WHERE state = 'pending' LIMIT :most)
        UNION ALL
        (SELECT state, created_at, next_attempt_at, agent_id FROM agent_commands
         WHERE state IN ('sent', 'received') LIMIT :most)
    ) one JOIN agents a ON a.id = one.agent_id
    GROUP BY one.state
    """
)


async def depth(connection: AsyncConnection, now: datetime) -> Mapping[str, Depth]:
    """Return how deep the queue is, per state; of very many, a part that is read quickly."""
    rows = await connection.execute(_DEPTH, {"now": now, "most": _COUNTED})
    return {row[0]: Depth(row[1], max(0.0, float(row[2])), float(row[3])) for row in rows}


async def prune(connection: AsyncConnection, *, before: datetime) -> int:
    """Delete commands that ended before that time, but for the last of each subject."""
    done = await connection.execute(
        text(
            """
            DELETE FROM agent_commands c
            WHERE c.finished_at < :before AND EXISTS (
                SELECT 1 FROM agent_commands later
                WHERE later.subject_kind = c.subject_kind
                  AND later.subject_id = c.subject_id AND later.sequence > c.sequence
            )
            """
        ),
        {"before": before},
    )
    return done.rowcount
