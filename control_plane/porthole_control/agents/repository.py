"""All SQL about agents."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, func, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_contract.lifecycle import OCCUPIED
from porthole_control.agents.tables import agents, join_tokens
from porthole_control.db.rows import AnyRow, columns_of
from porthole_control.db.tables import replicas
from porthole_control.people.tables import users
from porthole_control.sessions.tables import sessions


@dataclass(frozen=True, slots=True)
class Agent:
    """A row of `agents`, with the name of who enrolled it.

    Attributes:
        linked_replica: which replica of the control plane has its link; None: none.
        unheard_since: since when it may have been told more than we know; None: we know all.
    """

    id: UUID
    name: str
    public_key: bytes
    enrolled_by: str
    state: str
    labels: dict[str, str]
    epoch: int
    linked_replica: UUID | None
    linked_at: datetime | None
    last_seen_at: datetime | None
    version: str | None
    runtime: str | None
    runtime_uid: str | None
    capacity: dict[str, Any]
    conditions: list[dict[str, Any]]
    unheard_since: datetime | None
    created_at: datetime
    updated_at: datetime
    revoked_at: datetime | None

    @property
    def linked(self) -> bool:
        """Whether it has a link."""
        return self.linked_replica is not None


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A row of `join_tokens`, without the hash."""

    id: UUID
    name: str
    labels: dict[str, str]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    agent_id: UUID | None


_AGENT = columns_of(Agent, agents, enrolled_by=users.c.name)
_JOIN_TOKEN = columns_of(JoinToken, join_tokens)


def _agents() -> Select[Any]:
    return select(*_AGENT).join(users, users.c.id == agents.c.enrolled_by)


_BY_ID = _agents().where(agents.c.id == bindparam("identity"))


_LIVING = agents.c.state != "revoked"


async def agent(connection: AsyncConnection, identity: UUID) -> Agent | None:
    """Return one agent, a revoked one too."""
    row = (await connection.execute(_BY_ID, {"identity": identity})).one_or_none()
    return None if row is None else Agent(*row)


async def locked(
    connection: AsyncConnection, identity: UUID, *, alone: bool = False
) -> Agent | None:
    """Return one agent, its row locked until the transaction ends.

    What refers to it (commands, sessions, streams) is written meanwhile, unless it is locked
    `alone`. Whoever writes that holds the row of a session or a home, and who has reports of an
    agent waits for those.
    """
    query = _agents().where(agents.c.id == identity)
    row = (
        await connection.execute(query.with_for_update(of=agents, key_share=not alone))
    ).one_or_none()
    return None if row is None else Agent(*row)


async def named(connection: AsyncConnection, name: str) -> Agent | None:
    """Return the agent of that name that is not revoked."""
    query = _agents().where(agents.c.name == name, agents.c.state != "revoked")
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Agent(*row)


async def with_key(connection: AsyncConnection, public_key: bytes) -> Agent | None:
    """Return the agent that has registered this key, a revoked one too."""
    query = _agents().where(agents.c.public_key == public_key)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Agent(*row)


async def list_agents(
    connection: AsyncConnection,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
    revoked: bool = False,
    name: str | None = None,
) -> Sequence[Agent]:
    """Return agents, newest first."""
    query = _agents().order_by(agents.c.created_at.desc(), agents.c.id.desc()).limit(limit)
    if not revoked:
        query = query.where(agents.c.state != "revoked")
    if name is not None:
        query = query.where(agents.c.name == name)
    if after is not None:
        query = query.where(tuple_(agents.c.created_at, agents.c.id) < tuple_(*after))
    return [Agent(*row) for row in await connection.execute(query)]


async def with_ids(connection: AsyncConnection, identities: Collection[UUID]) -> Sequence[Agent]:
    """Return these agents."""
    query = _agents().where(agents.c.id.in_(identities))
    return [Agent(*row) for row in await connection.execute(query)]


async def living(connection: AsyncConnection) -> Mapping[str, UUID]:
    """Return the agents that are not revoked, by name."""
    rows = await connection.execute(select(agents.c.name, agents.c.id).where(_LIVING))
    return {row[0]: row[1] for row in rows}


async def count_living(connection: AsyncConnection) -> int:
    """Return how many agents are not revoked."""
    query = select(func.count()).select_from(agents).where(agents.c.state != "revoked")
    return (await connection.execute(query)).scalar_one()


async def add(connection: AsyncConnection, **values: Any) -> bool:
    """Insert an agent (columns of `agents`); return whether its name and key were free."""
    new = postgresql.insert(agents).values(**values).on_conflict_do_nothing()
    return await connection.scalar(new.returning(agents.c.id)) is not None


async def change(connection: AsyncConnection, identity: UUID, now: datetime, **values: Any) -> None:
    """Update columns of an agent."""
    await connection.execute(
        update(agents).where(agents.c.id == identity).values(updated_at=now, **values)
    )


async def forget_dead_links(
    connection: AsyncConnection, *, silent_since: datetime, unseen_since: datetime
) -> Sequence[UUID]:
    """End links that their replica has lost; return those agents.

    Args:
        connection: where to write.
        silent_since: a replica that was not seen since then is dead.
        unseen_since: a link that was not seen since then its replica has lost unawares.
    """
    alive = select(replicas.c.id).where(replicas.c.seen_at >= silent_since)
    gone = await connection.scalars(
        update(agents)
        .where(
            agents.c.linked_replica.is_not(None),
            or_(agents.c.linked_replica.not_in(alive), agents.c.last_seen_at < unseen_since),
        )
        .values(linked_replica=None)
        .returning(agents.c.id)
    )
    return list(gone)


MAY_KNOW_MORE: Final = """
    WITH living AS (
        SELECT id FROM agents WHERE state <> 'revoked' ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE agents one SET unheard_since = clock_timestamp() FROM living WHERE one.id = living.id
"""
"""For a database that knows less than it did: any agent may have been told more.

Several processes may notice that at once, so they lock the rows in the same order.
"""


async def linked_ones_may_know_more(connection: AsyncConnection, now: datetime) -> None:
    """Have those that count as linked tell again what they have, for nobody else would know."""
    await connection.execute(
        update(agents)
        .where(_LIVING, agents.c.linked_replica.is_not(None))
        .values(unheard_since=now)
    )


async def was_heard(connection: AsyncConnection, identity: UUID) -> bool:
    """Note that an agent has told what it has, on its newest link; return whether that was due."""
    done = await connection.execute(
        update(agents)
        .where(agents.c.id == identity, agents.c.unheard_since < agents.c.linked_at)
        .values(unheard_since=None)
    )
    return done.rowcount > 0


@dataclass(frozen=True, slots=True)
class Health:
    """How the agents are that are not revoked.

    Attributes:
        by_kind: how many are `linked`, `draining` (linked or not), or `away`.
        linked: how many are linked, draining ones too.
        contested: as how many two processes link in turns.
        unheard: how many may know more than the database does.
    """

    by_kind: dict[str, int]
    linked: int
    contested: int
    unheard: int


_HEALTH = text(
    """
    SELECT CASE WHEN state = 'draining' THEN 'draining'
                WHEN linked_replica IS NULL THEN 'away' ELSE 'linked' END,
           count(*), count(linked_replica),
           count(*) FILTER (
               WHERE conditions @> '[{"type": "IdentityShared", "status": "True"}]'
           ),
           count(unheard_since)
    FROM (
        SELECT state, linked_replica, conditions, unheard_since
        FROM agents WHERE state <> 'revoked' LIMIT 20000
    ) one
    GROUP BY 1
    """
)


async def health(connection: AsyncConnection) -> Health:
    """Return how the agents are; of very many, a part."""
    rows = (await connection.execute(_HEALTH)).all()
    return Health(
        by_kind={row[0]: row[1] for row in rows},
        linked=sum(row[2] for row in rows),
        contested=sum(row[3] for row in rows),
        unheard=sum(row[4] for row in rows),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """What counts when a session needs an agent.

    Attributes:
        labels: what its keeper calls it by.
        sessions: what it has that uses something, or is about to, by what is set aside for it.
    """

    id: UUID
    name: str
    state: str
    labels: dict[str, str]
    linked_replica: UUID | None
    linked_at: datetime | None
    last_seen_at: datetime | None
    unheard_since: datetime | None
    capacity: dict[str, Any]
    sessions: Sequence["Taken"] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Sessions of an agent that ask for the same.

    Attributes:
        cpu: what is set aside for each, as it was written; None: what the runtime takes.
        memory: likewise.
        seen: whether the agent has told of them.
        count: how many.
    """

    cpu: str | None
    memory: str | None
    seen: bool
    count: int


_REQUESTS = sessions.c.spec["resources"]["requests"]
_CPU, _MEMORY = _REQUESTS["cpu"].astext, _REQUESTS["memory"].astext
_SEEN = sessions.c.observed_at.is_not(None)
_USES = or_(
    sessions.c.phase.in_(sorted(map(str, OCCUPIED))),
    and_(sessions.c.desired == "Running", sessions.c.phase.in_(["Pending", "Hibernated"])),
)
_TAKEN = (
    select(sessions.c.agent_id, _CPU, _MEMORY, _SEEN, func.count())
    .where(sessions.c.agent_id.is_not(None), sessions.c.deleted_at.is_(None), _USES)
    .group_by(sessions.c.agent_id, text("2"), text("3"), text("4"))
)
_PLACES = (
    select(*(agents.c[name] for name in Place.__dataclass_fields__ if name != "sessions"))
    .where(agents.c.state != "revoked")
    .order_by(agents.c.name)
)


async def places(connection: AsyncConnection) -> Sequence[Place]:
    """Return all agents that are not revoked, each with what it has."""
    taken = defaultdict[UUID, list[Taken]](list)
    for agent_id, *row in await connection.execute(_TAKEN):
        taken[agent_id].append(Taken(*row))
    return [
        replace(Place(*row), sessions=taken[row.id]) for row in await connection.execute(_PLACES)
    ]


async def add_join_token(connection: AsyncConnection, **values: Any) -> None:
    """Insert a join token (columns of `join_tokens`)."""
    await connection.execute(insert(join_tokens).values(**values))


async def list_join_tokens(
    connection: AsyncConnection, *, now: datetime, limit: int
) -> Sequence[JoinToken]:
    """Return join tokens that can be used still, newest first."""
    query = (
        select(*_JOIN_TOKEN)
        .where(join_tokens.c.used_at.is_(None), join_tokens.c.expires_at > now)
        .order_by(join_tokens.c.created_at.desc())
        .limit(limit)
    )
    return [JoinToken(*row) for row in await connection.execute(query)]


async def join_token(connection: AsyncConnection, identity: UUID) -> AnyRow | None:
    """Return a join token with its hash, its row locked: it is redeemed once."""
    return (
        await connection.execute(
            select(*_JOIN_TOKEN, join_tokens.c.hash, join_tokens.c.created_by)
            .where(join_tokens.c.id == identity)
            .with_for_update()
        )
    ).one_or_none()


async def use_join_token(
    connection: AsyncConnection, identity: UUID, *, agent_id: UUID, now: datetime
) -> None:
    """Note whom a join token has let in."""
    await connection.execute(
        update(join_tokens)
        .where(join_tokens.c.id == identity)
        .values(used_at=now, agent_id=agent_id)
    )


async def delete_join_token(connection: AsyncConnection, identity: UUID) -> bool:
    """Delete a join token that was not used; return whether there was one."""
    done = await connection.execute(
        join_tokens.delete().where(join_tokens.c.id == identity, join_tokens.c.used_at.is_(None))
    )
    return done.rowcount > 0


async def living_sessions(
    connection: AsyncConnection, identity: UUID
) -> Sequence[tuple[UUID, str]]:
    """Return id and owner of each living session of an agent."""
    rows = await connection.execute(
        select(sessions.c.id, sessions.c.owner).where(
            sessions.c.agent_id == identity, sessions.c.deleted_at.is_(None)
        )
    )
    return [(row[0], row[1]) for row in rows]
