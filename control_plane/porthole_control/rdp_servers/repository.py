"""All SQL about RDP servers. What belongs to somebody is only found together with its owner."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, delete, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_contract.link.commands import Exposure
from porthole_control.agents.tables import agents
from porthole_control.db.rows import columns_of
from porthole_control.homes.tables import homes
from porthole_control.rdp_servers import rules
from porthole_control.rdp_servers.rules import Raised, Sample, ServerStatus
from porthole_control.rdp_servers.tables import rdp_alerts, rdp_servers, rdp_usage
from porthole_control.sessions.tables import sessions
from porthole_control.streams.tables import streams


@dataclass(frozen=True, slots=True)
class Server:
    """A row of `rdp_servers`, with its agent and how its newest session is.

    Attributes:
        password: SHA-256 (lower hex) of what RDP programs show on its port; None: nobody listens
            there.
    """

    id: UUID
    owner: str
    name: str
    description: str
    agent_id: UUID
    agent: str
    agent_state: str
    agent_runtime: str | None
    agent_capacity: dict[str, Any]
    port: int
    password: str | None
    home: str
    configuration: dict[str, Any]
    resources: dict[str, Any]
    session_id: UUID | None
    phase: str | None
    desired: str | None
    message: str | None
    conditions: list[dict[str, Any]] | None
    gate: dict[str, Any] | None
    started_at: datetime | None
    observed_at: datetime | None
    viewers: int | None
    last_started_at: datetime | None
    last_stopped_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def status(self) -> ServerStatus:
        """What it is."""
        return rules.status_of(self.phase, self.desired)

    @property
    def exposure(self) -> Exposure | None:
        """The port that its sessions are reached on, if there is one."""
        if self.password is None:
            return None
        return Exposure(port=self.port, password=self.password)

    @property
    def address(self) -> str:
        """Where its port is, when it is listened on."""
        host = self.agent_capacity.get("rdp_listen") or "?"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def port_state(self) -> tuple[bool, str]:
        """Whether its port is listened on now, and if it cannot be, why."""
        if self.password is None or self.status is not ServerStatus.RUNNING:
            return False, ""
        return rules.port_condition(self.conditions or ())

    @property
    def is_changed(self) -> bool:
        """Whether it is to be something else than what it was started as last."""
        return self.last_started_at is None or self.updated_at > self.last_started_at

    @property
    def lives(self) -> bool:
        """Whether something of its session is left."""
        return self.phase not in {None, "Terminated"}


_SERVERS = (
    select(
        *columns_of(
            Server,
            rdp_servers,
            agent=agents.c.name,
            agent_state=agents.c.state,
            agent_runtime=agents.c.runtime,
            agent_capacity=agents.c.capacity,
            phase=sessions.c.phase,
            desired=sessions.c.desired,
            message=sessions.c.message,
            conditions=sessions.c.conditions,
            gate=sessions.c.gate,
            started_at=sessions.c.started_at,
            observed_at=sessions.c.observed_at,
            viewers=sessions.c.viewers,
            # As its owner calls it now.
            home=func.coalesce(homes.c.name, rdp_servers.c.home),
        )
    )
    .select_from(rdp_servers)
    .join(agents, agents.c.id == rdp_servers.c.agent_id)
    .outerjoin(sessions, sessions.c.id == rdp_servers.c.session_id)
    .outerjoin(homes, and_(homes.c.id == rdp_servers.c.home_id, homes.c.deleted_at.is_(None)))
)


async def _all(connection: AsyncConnection, query: Select[Any]) -> Sequence[Server]:
    return [Server(*row) for row in await connection.execute(query)]


async def owned(
    connection: AsyncConnection, identity: UUID, owner: str, *, locked: bool = False
) -> Server | None:
    """Return a server of this owner; its row locked until the transaction ends, if asked."""
    mine = and_(rdp_servers.c.id == identity, rdp_servers.c.owner == owner)
    if locked:
        # By itself: who has waited for the row must see the session that was begun meanwhile.
        await connection.execute(select(rdp_servers.c.id).where(mine).with_for_update())
    query = _SERVERS.where(mine)
    return next(iter(await _all(connection, query)), None)


async def list_owned(
    connection: AsyncConnection, owner: str, *, offset: int, limit: int
) -> tuple[Sequence[Server], int]:
    """Return servers of this owner, newest first, and how many there are."""
    mine = rdp_servers.c.owner == owner
    query = _SERVERS.where(mine).order_by(rdp_servers.c.created_at.desc(), rdp_servers.c.id.desc())
    total = await count(connection, owner)
    return await _all(connection, query.offset(offset).limit(limit)), total


async def count(connection: AsyncConnection, owner: str) -> int:
    """Return how many servers an owner has."""
    query = select(func.count()).where(rdp_servers.c.owner == owner)
    return (await connection.execute(query)).scalar_one()


_PORTS_TURN = 4_201_930_417
"""Who holds this advisory lock takes ports, and nobody else does meanwhile."""


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until nobody else makes a server; the turn ends with the transaction."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PORTS_TURN})


async def ports(connection: AsyncConnection, agent: UUID) -> Sequence[int]:
    """Return the ports that an agent's servers have, the newest server's first."""
    query = (
        select(rdp_servers.c.port)
        .where(rdp_servers.c.agent_id == agent)
        .order_by(rdp_servers.c.created_at.desc(), rdp_servers.c.id.desc())
    )
    return list(await connection.scalars(query))


async def counts(connection: AsyncConnection) -> dict[UUID, int]:
    """Return how many servers each agent has that has any."""
    query = select(rdp_servers.c.agent_id, func.count()).group_by(rdp_servers.c.agent_id)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def add(connection: AsyncConnection, **values: Any) -> None:
    """Insert a server (columns of `rdp_servers`)."""
    await connection.execute(insert(rdp_servers).values(**values))


async def change(connection: AsyncConnection, server: Server, now: datetime, **values: Any) -> None:
    """Update columns of a server whose row is locked."""
    await connection.execute(
        update(rdp_servers)
        .where(rdp_servers.c.id == server.id)
        .values(updated_at=now, version=server.version + 1, **values)
    )


async def set_password(connection: AsyncConnection, server: Server, password: str | None) -> None:
    """Set the password (its hash) of a server's port; its row is locked."""
    await connection.execute(
        update(rdp_servers)
        .where(rdp_servers.c.id == server.id)
        .values(version=server.version + 1, password=password)
    )


async def remove(connection: AsyncConnection, identity: UUID) -> None:
    """Delete a server, with what it used and its alerts."""
    await connection.execute(delete(rdp_servers).where(rdp_servers.c.id == identity))


async def is_looked_at(connection: AsyncConnection, session: UUID) -> bool:
    """Return whether somebody sees a session's screen over RDP, or is about to."""
    query = select(
        exists().where(
            streams.c.session_id == session,
            streams.c.channel == "rdp",
            streams.c.state.in_(("waiting", "open")),
        )
    )
    return bool((await connection.execute(query)).scalar_one())


# What it uses --------------------------------------------------------------------------


async def running_as(
    connection: AsyncConnection, agent: UUID, found: Collection[UUID]
) -> Sequence[Server]:
    """Return the servers that run as these sessions of an agent, their rows locked.

    Rows that somebody else works on are left to them: the next sample is not far.
    """
    query = _SERVERS.where(
        rdp_servers.c.session_id.in_(found),
        rdp_servers.c.agent_id == agent,
        sessions.c.agent_id == agent,
        sessions.c.phase == "Running",
    ).with_for_update(of=rdp_servers, skip_locked=True)
    return await _all(connection, query)


_SAMPLES = select(*columns_of(Sample, rdp_usage))


async def newest_samples(
    connection: AsyncConnection, servers: Collection[UUID]
) -> dict[UUID, Sample]:
    """Return the newest sample of each of these servers that has one."""
    query = (
        select(rdp_usage.c.server_id, *columns_of(Sample, rdp_usage))
        .where(rdp_usage.c.server_id.in_(servers))
        .ext(postgresql.distinct_on(rdp_usage.c.server_id))
        .order_by(rdp_usage.c.server_id, rdp_usage.c.at.desc())
    )
    return {row[0]: Sample(*row[1:]) for row in await connection.execute(query)}


async def samples(
    connection: AsyncConnection, server: UUID, *, since: datetime, limit: int
) -> Sequence[Sample]:
    """Return the newest samples since then, oldest first."""
    query = (
        _SAMPLES.where(rdp_usage.c.server_id == server, rdp_usage.c.at >= since)
        .order_by(rdp_usage.c.at.desc())
        .limit(limit)
    )
    return [Sample(*row) for row in await connection.execute(query)][::-1]


async def add_sample(connection: AsyncConnection, server: UUID, sample: Sample) -> None:
    """Keep a sample."""
    values = {name: getattr(sample, name) for name in Sample.__dataclass_fields__}
    await connection.execute(
        postgresql.insert(rdp_usage).values(server_id=server, **values).on_conflict_do_nothing()
    )


async def prune_samples(connection: AsyncConnection, *, before: datetime) -> None:
    """Forget what was used before then, and the alerts that were over by then."""
    await connection.execute(delete(rdp_usage).where(rdp_usage.c.at < before))
    await connection.execute(delete(rdp_alerts).where(rdp_alerts.c.resolved_at < before))


# Alerts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of `rdp_alerts`."""

    id: UUID
    server_id: UUID
    resource_type: str
    severity: str
    threshold: float
    current_value: float
    message: str
    created_at: datetime
    resolved_at: datetime | None


async def alerts(connection: AsyncConnection, server: UUID, *, limit: int) -> Sequence[Alert]:
    """Return alerts of a server, newest first."""
    query = (
        select(*columns_of(Alert, rdp_alerts))
        .where(rdp_alerts.c.server_id == server)
        .order_by(rdp_alerts.c.created_at.desc(), rdp_alerts.c.id.desc())
        .limit(limit)
    )
    return [Alert(*row) for row in await connection.execute(query)]


async def open_alerts(
    connection: AsyncConnection, servers: Collection[UUID]
) -> dict[UUID, set[str]]:
    """Return, of each of these servers, the resources that have an open alert."""
    query = select(rdp_alerts.c.server_id, rdp_alerts.c.resource_type).where(
        rdp_alerts.c.server_id.in_(servers), rdp_alerts.c.resolved_at.is_(None)
    )
    found: dict[UUID, set[str]] = {server: set() for server in servers}
    for server, resource in await connection.execute(query):
        found[server].add(resource)
    return found


async def raise_alert(
    connection: AsyncConnection, identity: UUID, server: UUID, raised: Raised, now: datetime
) -> None:
    """Begin an alert."""
    await connection.execute(
        postgresql.insert(rdp_alerts)
        .values(
            id=identity,
            server_id=server,
            resource_type=raised.resource,
            severity=raised.severity,
            threshold=raised.threshold,
            current_value=raised.value,
            message=raised.message,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )


async def resolve_alerts(
    connection: AsyncConnection,
    server: UUID,
    now: datetime,
    *,
    resources: Collection[str] | None = None,
) -> None:
    """End the open alerts of a server, of these resources or of all."""
    which = and_(rdp_alerts.c.server_id == server, rdp_alerts.c.resolved_at.is_(None))
    if resources is not None:
        which = and_(which, rdp_alerts.c.resource_type.in_(resources))
    await connection.execute(update(rdp_alerts).where(which).values(resolved_at=now))
