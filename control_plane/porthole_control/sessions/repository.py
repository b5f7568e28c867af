"""All SQL about sessions. What belongs to somebody is only found together with its owner."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Update,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.session import SessionSpec
from porthole_control.agents.tables import agents
from porthole_control.commands.tables import agent_commands
from porthole_control.db.rows import columns_of
from porthole_control.homes.tables import homes
from porthole_control.sessions.tables import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A row of `sessions`, with the names of its agent and home.

    Attributes:
        spec: JSON of the contract's SessionSpec.
        exposed: JSON of the contract's Exposure.
        queue_place: its place among those that wait for room, from 1; None: it does not.
    """

    id: UUID
    name: str
    owner: str
    origin: str
    foreign_owner: str | None
    adopted: bool
    namespace: str
    template: str
    template_revision: int | None
    template_digest: str | None
    spec: dict[str, Any]
    exposed: dict[str, Any] | None
    desired: str
    order_no: int
    wanted_agent_id: UUID | None
    wanted_labels: dict[str, str]
    traceparent: str | None
    agent_id: UUID | None
    agent: str | None
    agent_linked: UUID | None
    agent_linked_at: datetime | None
    agent_last_seen_at: datetime | None
    home_id: UUID | None
    home: str | None
    home_assigned: bool
    start_deadline: datetime | None
    delete_requested_at: datetime | None
    phase: str
    reason: str
    message: str
    conditions: list[dict[str, Any]]
    reported_order: int
    report_epoch: int
    applied_order: int
    applied_at: datetime | None
    gate: dict[str, Any] | None
    pod_name: str | None
    started_at: datetime | None
    last_activity_at: datetime | None
    viewers: int
    restarts: int
    observed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int
    queue_place: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return self.deleted_at is not None

    @property
    def owner_there(self) -> str:
        """Whose it is where it runs, as its agent knows them."""
        return str(self.spec["owner"])

    def parsed_spec(self) -> SessionSpec:
        """Return the spec as the contract's object."""
        return SessionSpec.model_validate(self.spec)


def _waits_for_room(of: FromClause) -> ColumnElement[bool]:
    return and_(
        of.c.deleted_at.is_(None),
        of.c.phase == "Pending",
        of.c.agent_id.is_(None),
        of.c.reason == str(Reason.NO_CAPACITY),
    )


_EARLIER = sessions.alias("earlier")
_QUEUE_PLACE = case(
    (
        _waits_for_room(sessions),
        select(func.count() + 1)
        .select_from(_EARLIER)
        .where(
            _waits_for_room(_EARLIER),
            tuple_(_EARLIER.c.created_at, _EARLIER.c.id)
            < tuple_(sessions.c.created_at, sessions.c.id),
        )
        .correlate(sessions)
        .scalar_subquery(),
    ),
    else_=None,
)

# In the order of the dataclass: building it by position is what makes lists cheap.
_COLUMNS = columns_of(
    Session,
    sessions,
    agent=agents.c.name,
    agent_linked=agents.c.linked_replica,
    agent_linked_at=agents.c.linked_at,
    agent_last_seen_at=agents.c.last_seen_at,
    home=homes.c.name,
    queue_place=_QUEUE_PLACE,
)


OWNER_THERE = sessions.c.spec["owner"].astext
"""Whose a session is where it runs; our own owner may be called something else there."""

Place = tuple[datetime, UUID]
"""Where a session stands among others: when it was created, and its id."""


_SESSIONS = (
    select(*_COLUMNS)
    .select_from(sessions)
    .outerjoin(agents, agents.c.id == sessions.c.agent_id)
    .outerjoin(homes, homes.c.id == sessions.c.home_id)
)


_IS_OWNED = and_(sessions.c.id == bindparam("identity"), sessions.c.owner == bindparam("owner"))
# Made once: to build a statement, and to find it among the compiled ones, costs more than
# to send it.
_OWNED = _SESSIONS.where(_IS_OWNED)
_OWNED_LOCKED = _OWNED.with_for_update(of=sessions)
_ALL_LOCKED = (
    _SESSIONS.where(sessions.c.id == any_(bindparam("identities", type_=ARRAY(sessions.c.id.type))))
    .order_by(sessions.c.id)  # who locks several locks them in the same order
    .with_for_update(of=sessions)
)
_LOCKED = _SESSIONS.where(sessions.c.id == bindparam("identity")).with_for_update(of=sessions)


async def _all(connection: AsyncConnection, query: Select[Any], **values: Any) -> Sequence[Session]:
    return [Session(*row) for row in await connection.execute(query, values)]


async def _one(connection: AsyncConnection, query: Select[Any], **values: Any) -> Session | None:
    row = (await connection.execute(query, values)).one_or_none()
    return None if row is None else Session(*row)


async def owned(connection: AsyncConnection, identity: UUID, owner: str) -> Session | None:
    """Return a session of this owner, an ended one too."""
    return await _one(connection, _OWNED, identity=identity, owner=owner)


async def owned_locked(connection: AsyncConnection, identity: UUID, owner: str) -> Session | None:
    """Return a session of this owner, its row locked until the transaction ends."""
    return await _one(connection, _OWNED_LOCKED, identity=identity, owner=owner)


async def locked(connection: AsyncConnection, identity: UUID) -> Session | None:
    """Return a session whoever owns it, its row locked; for what agents and we ourselves do."""
    return await _one(connection, _LOCKED, identity=identity)


async def all_locked(
    connection: AsyncConnection, identities: Collection[UUID]
) -> Mapping[UUID, Session]:
    """Return these sessions by id, as `locked` does: all that there are, in one statement."""
    found = await _all(connection, _ALL_LOCKED, identities=list(identities))
    return {session.id: session for session in found}


async def on_agent(connection: AsyncConnection, agent: UUID) -> Sequence[Session]:
    """Return the living sessions of an agent."""
    return await _all(
        connection,
        _SESSIONS.where(sessions.c.agent_id == agent, sessions.c.deleted_at.is_(None)),
    )


async def made_in_clusters(
    connection: AsyncConnection, owners_there: Collection[str]
) -> Sequence[Session]:
    """Return the living sessions that were made with kubectl for these owners."""
    query = _SESSIONS.where(
        sessions.c.deleted_at.is_(None),
        sessions.c.origin == "kubectl",
        OWNER_THERE.in_(owners_there),
    )
    return await _all(connection, query)


async def with_ids(connection: AsyncConnection, identities: Collection[UUID]) -> Sequence[Session]:
    """Return these sessions."""
    return await _all(connection, _SESSIONS.where(sessions.c.id.in_(identities)))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions of an owner a list shows; None does not filter."""

    ended: bool = False
    phase: Phase | None = None
    template: str | None = None
    agent: str | None = None
    name: str | None = None
    label: tuple[str, str] | None = None


_FILTERS: dict[str, ColumnElement[bool]] = {
    "living": sessions.c.deleted_at.is_(None),
    "phase": sessions.c.phase == bindparam("phase"),
    "template": sessions.c.template == bindparam("template"),
    "agent": agents.c.name == bindparam("agent"),
    "name": sessions.c.name == bindparam("name"),
    "label": sessions.c.spec.contains(bindparam("label", type_=sessions.c.spec.type)),
    "after": tuple_(sessions.c.created_at, sessions.c.id)
    < tuple_(bindparam("after_moment"), bindparam("after_id")),
}


@cache
def _listing(filters: frozenset[str]) -> Select[Any]:
    """Return the statement of a list with these filters."""
    return (
        _SESSIONS.where(
            sessions.c.owner == bindparam("owner"),
            *(condition for name, condition in _FILTERS.items() if name in filters),
        )
        .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
        .limit(bindparam("most"))
    )


async def list_owned(
    connection: AsyncConnection,
    owner: str,
    which: Filter,
    *,
    after: Place | None,
    limit: int,
) -> Sequence[Session]:
    """Return sessions of this owner, newest first."""
    given: dict[str, Any] = {
        "phase": which.phase,
        "template": which.template,
        "agent": which.agent,
        "name": which.name,
        "label": which.label and {"labels": dict([which.label])},
    }
    values = {name: value for name, value in given.items() if value is not None}
    filters = set(values)
    if not which.ended and which.phase is not Phase.TERMINATED:
        filters.add("living")
    if after is not None:
        filters.add("after")
        values["after_moment"], values["after_id"] = after
    query = _listing(frozenset(filters))
    return await _all(connection, query, owner=owner, most=limit, **values)


_NEVER_SENT = ~exists().where(
    agent_commands.c.subject_kind == "session",
    agent_commands.c.subject_id == sessions.c.id,
    agent_commands.c.attempts > 0,
)
_WAITING = _SESSIONS.where(
    sessions.c.deleted_at.is_(None),
    sessions.c.phase == "Pending",
    sessions.c.origin == "api",
    sessions.c.delete_requested_at.is_(None),
    or_(
        sessions.c.agent_id.is_(None),
        and_(agents.c.linked_replica.is_(None), _NEVER_SENT),
    ),
)
_ANY_WAITS = select(_WAITING.with_only_columns(sessions.c.id).exists())


async def any_waits(connection: AsyncConnection) -> bool:
    """Return whether there is a session that `waiting` would return."""
    return bool((await connection.execute(_ANY_WAITS)).scalar_one())


async def waiting(
    connection: AsyncConnection, *, after: Place | None, limit: int
) -> Sequence[Session]:
    """Return sessions that no agent has begun with, oldest first, their rows locked.

    That is: without an agent, or waiting for their home, or given to an agent that is not
    linked and was never told. Rows that somebody else works on are left to them.
    """
    query = (
        _WAITING.order_by(sessions.c.created_at, sessions.c.id)
        .limit(limit)
        .with_for_update(of=sessions, skip_locked=True)
    )
    if after is not None:
        query = query.where(tuple_(sessions.c.created_at, sessions.c.id) > tuple_(*after))
    return await _all(connection, query)


_TURN = 4_201_930_416
"""Who holds this advisory lock gives sessions to agents, and nobody else does meanwhile."""


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until nobody else gives sessions away; the turn ends with the transaction.

    Take it before any row is locked: who has the turn waits for rows.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TURN})


async def queue(
    connection: AsyncConnection, *, after: Place | None = None, limit: int
) -> Sequence[tuple[UUID, str]]:
    """Return id and owner of those that wait for room, first come first."""
    query = (
        select(sessions.c.id, sessions.c.owner)
        .where(_waits_for_room(sessions))
        .order_by(sessions.c.created_at, sessions.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(sessions.c.created_at, sessions.c.id) > tuple_(*after))
    return [(row[0], row[1]) for row in await connection.execute(query)]


async def wait_for(connection: AsyncConnection, agent: UUID) -> bool:
    """Return whether any wait for room that this agent may give."""
    asked = or_(sessions.c.wanted_agent_id.is_(None), sessions.c.wanted_agent_id == agent)
    query = select(exists().where(_waits_for_room(sessions), asked))
    return bool((await connection.execute(query)).scalar_one())


async def passed_by(
    connection: AsyncConnection, session: Session, *, on: Collection[UUID], most: int
) -> int:
    """Return how many that came after a session were given to these agents; at most `most`."""
    later = (
        select(sessions.c.id)
        .where(
            sessions.c.id > session.id,  # ours are in the order of time, and this is their index
            sessions.c.created_at > session.created_at,
            sessions.c.agent_id.in_(on),
            sessions.c.origin == "api",
            ~sessions.c.adopted,
        )
        .limit(most)
        .subquery()
    )
    return (await connection.execute(select(func.count()).select_from(later))).scalar_one()


async def queue_place(connection: AsyncConnection, session: Session) -> int | None:
    """Return the place of one that waits for room, from 1; None: it does not."""
    query = select(_QUEUE_PLACE).where(sessions.c.id == session.id)
    place: int | None = (await connection.execute(query)).scalar_one()
    return place


_COUNT_LIVE = (
    select(func.count())
    .select_from(sessions)
    .where(sessions.c.owner == bindparam("owner"), sessions.c.deleted_at.is_(None))
)


async def count_live(connection: AsyncConnection, owner: str) -> int:
    """Return how many living sessions an owner has."""
    return (await connection.execute(_COUNT_LIVE, {"owner": owner})).scalar_one()


async def name_taken(connection: AsyncConnection, owner: str, name: str) -> bool:
    """Return whether an owner has a living session of that name."""
    query = select(
        exists().where(
            sessions.c.owner == owner,
            sessions.c.name == name,
            sessions.c.deleted_at.is_(None),
            sessions.c.origin == "api",
            ~sessions.c.adopted,
        )
    )
    return bool((await connection.execute(query)).scalar_one())


async def home_promised(connection: AsyncConnection, home: UUID, *, but: UUID) -> str | None:
    """Return the name of another living session that has this home, or was promised it."""
    query = select(sessions.c.name).where(
        sessions.c.home_id == home,
        sessions.c.home_assigned | (sessions.c.adopted & sessions.c.agent_id.is_not(None)),
        sessions.c.deleted_at.is_(None),
        sessions.c.id != but,
    )
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


_FRESH: dict[str, Any] = {
    **dict.fromkeys(Session.__dataclass_fields__),
    "adopted": False,
    "namespace": "",
    "home_assigned": False,
    "wanted_labels": {},
    "reason": "",
    "message": "",
    "conditions": [],
    "reported_order": 0,
    "report_epoch": 0,
    "applied_order": 0,
    "viewers": 0,
    "restarts": 0,
    "version": 1,
}


async def add(connection: AsyncConnection, **values: Any) -> Session:
    """Insert a session (columns of `sessions`); return it, without names of what it refers to."""
    await connection.execute(insert(sessions), values)
    return Session(**{**_FRESH, **values})


@cache
def _changing(columns: frozenset[str]) -> Update:
    """Return the statement that sets these columns of one session."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(sessions).where(sessions.c.id == bindparam("identity")).values(**values)


def changed(session: Session, now: datetime, **values: Any) -> Session:
    """Return a session with columns changed, as `change` leaves it."""
    if values.keys() & {"phase", "agent_id", "reason"}:
        values["queue_place"] = None
    return replace(session, **values, updated_at=now, version=session.version + 1)


async def change(
    connection: AsyncConnection, session: Session, now: datetime, **values: Any
) -> Session:
    """Update columns of a session whose row is locked; return it as it is now."""
    after = changed(session, now, **values)
    values |= {"updated_at": now, "version": after.version}
    new = {f"new_{name}": value for name, value in values.items()}
    await connection.execute(_changing(frozenset(values)), {"identity": session.id, **new})
    return after


_MIRRORED = {
    "phase": "text",
    "reason": "text",
    "message": "text",
    "conditions": "jsonb",
    "gate": "jsonb",
    "pod_name": "text",
    "started_at": "timestamptz",
    "last_activity_at": "timestamptz",
    "viewers": "integer",
    "restarts": "integer",
    "reported_order": "bigint",
    "report_epoch": "bigint",
    "observed_at": "timestamptz",
}
MIRRORED = frozenset(_MIRRORED)
"""Columns that say what an agent has seen, and nothing else."""

_WRITTEN = {**_MIRRORED, "updated_at": "timestamptz", "version": "bigint"}
_WRITE_MIRRORED = text(
    f"""
    UPDATE sessions s SET {", ".join(f"{name} = told.{name}" for name in _WRITTEN)}
    FROM jsonb_to_recordset(CAST(:told AS jsonb))
         AS told(id uuid, {", ".join(f"{name} {kind}" for name, kind in _WRITTEN.items())})
    WHERE s.id = told.id
    """  # noqa: S608 - the names are those above
)


async def write_mirrored(connection: AsyncConnection, told: Sequence[Session]) -> None:
    """Write the `MIRRORED` columns of sessions whose rows are locked, in one statement."""
    rows = [{name: getattr(one, name) for name in ("id", *_WRITTEN)} for one in told]
    await connection.execute(_WRITE_MIRRORED, {"told": to_json(rows).decode()})


async def ended_before(
    connection: AsyncConnection, *, before: datetime, limit: int
) -> Sequence[UUID]:
    """Delete sessions that ended before that time, their stories too; return which."""
    old = select(sessions.c.id).where(sessions.c.deleted_at < before).limit(limit)
    gone = await connection.scalars(
        sessions.delete().where(sessions.c.id.in_(old)).returning(sessions.c.id)
    )
    return list(gone)


async def past_start_deadline(
    connection: AsyncConnection, now: datetime, *, limit: int
) -> Sequence[Session]:
    """Return sessions whose caller did not want to wait any longer, their rows locked."""
    return await _all(
        connection,
        _SESSIONS.where(
            sessions.c.deleted_at.is_(None),
            sessions.c.phase == "Pending",
            sessions.c.start_deadline < now,
            sessions.c.delete_requested_at.is_(None),
        )
        .limit(limit)
        .with_for_update(of=sessions, skip_locked=True),
    )


async def count_by_phase(connection: AsyncConnection, owner: str | None) -> Mapping[str, int]:
    """Return how many living sessions there are in each phase, of one owner or of all."""
    query = (
        select(sessions.c.phase, func.count())
        .where(sessions.c.deleted_at.is_(None))
        .group_by(sessions.c.phase)
    )
    if owner is not None:
        query = query.where(sessions.c.owner == owner)
    return {row[0]: row[1] for row in await connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Depth:
    """The living sessions in one phase.

    Attributes:
        count: how many, up to the bound of `depth`.
        age: seconds since the one was changed that was not for the longest.
        unassigned: how many of them have no agent.
    """

    count: int
    age: float
    unassigned: int


_COUNTED = 20_000

_DEPTH = text(
    """
    SELECT one.phase, count(*), coalesce(max(extract(epoch FROM :now - one.updated_at)), 0),
           count(*) FILTER (WHERE one.agent_id IS NULL)
    FROM (
        SELECT phase, updated_at, agent_id FROM sessions WHERE deleted_at IS NULL LIMIT :most
    ) one
    GROUP BY one.phase
    """
)


async def depth(connection: AsyncConnection, now: datetime) -> Mapping[str, Depth]:
    """Return what there is of living sessions, per phase; of very many, a part."""
    rows = await connection.execute(_DEPTH, {"now": now, "most": _COUNTED})
    return {row[0]: Depth(row[1], max(0.0, float(row[2])), row[3]) for row in rows}


async def owner_was_on(connection: AsyncConnection, agent: UUID, owner: str) -> bool:
    """Return whether we ever gave this agent a session of this owner."""
    query = select(
        exists().where(sessions.c.agent_id == agent, sessions.c.owner == owner, ~sessions.c.adopted)
    )
    return bool((await connection.execute(query)).scalar_one())


async def count_adopted(connection: AsyncConnection, agent: UUID) -> int:
    """Return how many living sessions an agent has that it told us of, not we it."""
    query = (
        select(func.count())
        .select_from(sessions)
        .where(sessions.c.agent_id == agent, sessions.c.adopted, sessions.c.deleted_at.is_(None))
    )
    return (await connection.execute(query)).scalar_one()


_LOCK_SUBJECTS = text(
    """
    SELECT id FROM sessions WHERE id IN (
        SELECT subject_id FROM agent_commands
        WHERE id = ANY(CAST(:commands AS uuid[])) AND agent_id = :agent
          AND subject_kind = 'session'
    )
    ORDER BY id FOR UPDATE
    """
)


async def lock_subjects(connection: AsyncConnection, agent: UUID, ordered: Sequence[UUID]) -> None:
    """Lock the sessions that these commands of an agent are about, before the commands are.

    Whoever orders something has its session locked and then comes to the commands before it; who
    went the other way would wait for them while they wait for it.
    """
    await connection.execute(_LOCK_SUBJECTS, {"commands": list(ordered), "agent": agent})


_APPLIED = text(
    """
    UPDATE sessions s SET applied_order = r.order_no, applied_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:orders AS bigint[])) AS r(id, order_no)
    WHERE s.id = r.id AND s.agent_id = :agent AND s.applied_order < r.order_no
    RETURNING s.id, s.owner, s.phase, s.applied_order
    """
)


@dataclass(frozen=True, slots=True)
class Held:
    """A session whose agent durably holds a newer order than before."""

    session: UUID
    owner: str
    phase: str
    order: int


async def applied(
    connection: AsyncConnection, agent: UUID, orders: Sequence[tuple[UUID, int]], now: datetime
) -> Sequence[Held]:
    """Note that this agent durably holds these orders; return those that are news."""
    rows = await connection.execute(
        _APPLIED,
        {
            "ids": [identity for identity, _ in orders],
            "orders": [number for _, number in orders],
            "agent": agent,
            "now": now,
        },
    )
    return [Held(*row) for row in rows]
