"""All SQL about homes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, any_, bindparam, func, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.agents.tables import agents
from porthole_control.db.metadata import Id, Moment
from porthole_control.homes.tables import homes
from porthole_control.sessions.tables import sessions


@dataclass(frozen=True, slots=True)
class Home:
    """A row of `homes`, with its agent's name and the living session that uses it."""

    id: UUID
    owner: str
    name: str
    agent_id: UUID | None
    agent: str | None
    size_bytes: int | None
    used_bytes: int | None
    holder: UUID | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    gone_at: datetime | None


_COLUMNS = (
    homes.c.id,
    homes.c.owner,
    homes.c.name,
    homes.c.agent_id,
    agents.c.name.label("agent"),
    homes.c.size_bytes,
    homes.c.used_bytes,
    homes.c.holder,
    homes.c.created_at,
    homes.c.updated_at,
    homes.c.deleted_at,
    homes.c.gone_at,
)


def _homes() -> Select[Any]:
    return select(*_COLUMNS).select_from(homes).outerjoin(agents, agents.c.id == homes.c.agent_id)


async def _one(connection: AsyncConnection, query: Select[Any]) -> Home | None:
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Home(*row)


async def ensure(
    connection: AsyncConnection, identity: UUID, owner: str, name: str, now: datetime
) -> Home:
    """Return an owner's home of that name, made now if there was none; its row locked."""
    await connection.execute(
        postgresql.insert(homes)
        .values(id=identity, owner=owner, name=name, created_at=now, updated_at=now)
        .on_conflict_do_nothing(
            index_elements=["owner", "name"], index_where=homes.c.deleted_at.is_(None)
        )
    )
    found = await _one(
        connection,
        _homes()
        .where(homes.c.owner == owner, homes.c.name == name, homes.c.deleted_at.is_(None))
        .with_for_update(of=homes),
    )
    assert found is not None
    return found


async def named(connection: AsyncConnection, owner: str, name: str) -> Home | None:
    """Return an owner's living home of that name."""
    return await _one(
        connection,
        _homes().where(homes.c.owner == owner, homes.c.name == name, homes.c.deleted_at.is_(None)),
    )


async def owned_locked(connection: AsyncConnection, identity: UUID, owner: str) -> Home | None:
    """Return a home of this owner, its row locked until the transaction ends."""
    return await _one(
        connection,
        _homes()
        .where(homes.c.id == identity, homes.c.owner == owner, homes.c.gone_at.is_(None))
        .with_for_update(of=homes),
    )


async def locked(connection: AsyncConnection, identity: UUID) -> Home | None:
    """Return a home whoever owns it, its row locked; for what agents and we ourselves do."""
    return await _one(connection, _homes().where(homes.c.id == identity).with_for_update(of=homes))


async def list_owned(
    connection: AsyncConnection,
    owner: str,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Home]:
    """Return homes of this owner, newest first; those being deleted too."""
    query = (
        _homes()
        .where(homes.c.owner == owner, homes.c.gone_at.is_(None))
        .order_by(homes.c.created_at.desc(), homes.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(homes.c.created_at, homes.c.id) < tuple_(*after))
    return [Home(*row) for row in await connection.execute(query)]


async def with_ids(connection: AsyncConnection, identities: Collection[UUID]) -> Sequence[Home]:
    """Return these homes, but for those that are gone."""
    query = _homes().where(homes.c.id.in_(identities), homes.c.gone_at.is_(None))
    return [Home(*row) for row in await connection.execute(query)]


async def change(connection: AsyncConnection, identity: UUID, now: datetime, **values: Any) -> None:
    """Update columns of a home."""
    await connection.execute(
        update(homes).where(homes.c.id == identity).values(updated_at=now, **values)
    )


_GONE = (
    update(homes)
    .where(
        homes.c.id == any_(bindparam("identities", type_=postgresql.ARRAY(Id))),
        homes.c.agent_id == bindparam("agent"),
        homes.c.gone_at.is_(None),
    )
    .values(
        deleted_at=func.coalesce(homes.c.deleted_at, bindparam("now", type_=Moment)),
        gone_at=bindparam("now"),
        updated_at=bindparam("now"),
        holder=None,
    )
    .returning(homes.c.id, homes.c.owner)
)


async def gone(
    connection: AsyncConnection, agent: UUID, identities: Collection[UUID], now: datetime
) -> Sequence[tuple[UUID, str]]:
    """Note that nothing is left of these homes of an agent; return those it was new for.

    With the owner of each.
    """
    values = {"identities": list(identities), "agent": agent, "now": now}
    return [(row.id, row.owner) for row in await connection.execute(_GONE, values)]


async def add(connection: AsyncConnection, **values: Any) -> bool:
    """Insert a home that an agent has reported; return whether its owner's name was free."""
    new = postgresql.insert(homes).values(**values).on_conflict_do_nothing()
    return await connection.scalar(new.returning(homes.c.id)) is not None


async def in_use(connection: AsyncConnection, identity: UUID) -> str | None:
    """Return the name of a living session that uses a home."""
    query = select(sessions.c.name).where(
        sessions.c.deleted_at.is_(None),
        sessions.c.home_id == identity,
    )
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def agent_is_gone(connection: AsyncConnection, agent: UUID) -> bool:
    """Return whether an agent was revoked: its homes are out of reach for good."""
    state = await connection.scalar(select(agents.c.state).where(agents.c.id == agent))
    return state == "revoked"
