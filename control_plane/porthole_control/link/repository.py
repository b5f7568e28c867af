"""All SQL about links."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.agents.tables import agents
from porthole_control.sessions.tables import sessions
from porthole_control.streams.tables import streams


@dataclass(frozen=True, slots=True)
class Known:
    """What a greeting needs to know of an agent."""

    name: str
    public_key: bytes
    state: str
    epoch: int
    linked_replica: UUID | None
    link_instance: UUID | None
    superseded: list[dict[str, Any]]
    conditions: list[dict[str, Any]]
    last_seen_at: datetime | None
    unheard_since: datetime | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a link may have to end.

    Attributes:
        revoked: its agent was.
        superseded: another link has taken its place; None: its agent is gone.
        unheard_since: since when its agent may have been told more than is known here.
    """

    revoked: bool
    superseded: bool | None
    unheard_since: datetime | None


_KNOWN = tuple(agents.c[name] for name in Known.__dataclass_fields__)


async def known(connection: AsyncConnection, agent: UUID, *, lock: bool = False) -> Known | None:
    """Return what is known of an agent, a revoked one too; its row locked if `lock`."""
    query = select(*_KNOWN).where(agents.c.id == agent)
    if lock:
        # Commands for it may be written meanwhile: who does that has locked others of them.
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Known(*row)


async def begin(connection: AsyncConnection, agent: UUID, now: datetime, **values: Any) -> None:
    """Give an agent's new link its epoch; the row is locked and was found to be its turn."""
    await connection.execute(
        update(agents)
        .where(agents.c.id == agent)
        .values(linked_at=now, last_seen_at=now, updated_at=now, **values)
    )


_REBASE = text(
    """
    UPDATE agent_commands SET epoch = :epoch
    WHERE agent_id = :agent AND epoch = :before AND state IN ('sent', 'received')
      AND id = ANY(CAST(:under_way AS uuid[]))
    """
)


async def go_on(
    connection: AsyncConnection,
    agent: UUID,
    *,
    before: int,
    epoch: int,
    under_way: Collection[UUID],
) -> None:
    """Have what was said on a link count for the next one, which resumes its conversation.

    Only what is `under_way` was said: a link can end between a claim and that.
    """
    values = {"agent": agent, "before": before, "epoch": epoch, "under_way": list(under_way)}
    await connection.execute(_REBASE, values)
    await connection.execute(
        update(streams)
        .where(
            streams.c.agent_id == agent,
            streams.c.agent_epoch == before,
            streams.c.state == "waiting",
        )
        .values(agent_epoch=epoch)
    )


_FORGOTTEN = text(
    """
    UPDATE agent_commands SET state = 'pending', next_attempt_at = :now
    WHERE agent_id = :agent AND epoch = :epoch AND state IN ('sent', 'received')
      AND id <> ALL(CAST(:under_way AS uuid[]))
    """
)


async def send_forgotten(
    connection: AsyncConnection,
    agent: UUID,
    *,
    epoch: int,
    under_way: Collection[UUID],
    now: datetime,
) -> int:
    """Have commands sent again that count as sent on this link and never were.

    That is so if the database has committed a claim and could not tell us any more.
    """
    done = await connection.execute(
        _FORGOTTEN, {"agent": agent, "epoch": epoch, "under_way": list(under_way), "now": now}
    )
    return done.rowcount


# A thousand links are two parameters: to bind each would cost more than to look.
_IN_DOUBT = text(
    """
    SELECT link.agent, coalesce(one.state = 'revoked', true), one.epoch <> link.epoch,
           one.unheard_since
    FROM unnest(CAST(:agents AS uuid[]), CAST(:epochs AS bigint[])) AS link(agent, epoch)
    LEFT JOIN agents one ON one.id = link.agent
    WHERE one.id IS NULL OR one.state = 'revoked' OR one.epoch <> link.epoch
       OR one.unheard_since IS NOT NULL
    """
)
_SEEN = text(
    """
    UPDATE agents one SET last_seen_at = :now
    FROM unnest(CAST(:agents AS uuid[]), CAST(:epochs AS bigint[])) AS link(agent, epoch)
    WHERE one.id = link.agent AND one.epoch = link.epoch AND one.state <> 'revoked'
      AND one.last_seen_at < :before
    """
)
_BACK = text(
    """
    UPDATE agents one SET linked_replica = :replica
    FROM unnest(CAST(:agents AS uuid[]), CAST(:epochs AS bigint[])) AS link(agent, epoch)
    WHERE one.id = link.agent AND one.epoch = link.epoch AND one.state <> 'revoked'
      AND one.linked_replica IS NULL
    RETURNING one.id
    """
)


def _of(links: Collection[tuple[UUID, int]]) -> dict[str, Any]:
    return {"agents": [agent for agent, _ in links], "epochs": [epoch for _, epoch in links]}


async def in_doubt(
    connection: AsyncConnection, links: Collection[tuple[UUID, int]]
) -> Mapping[UUID, Doubt]:
    """Return the agents of those links (agent, epoch) that may have to end."""
    rows = await connection.execute(_IN_DOUBT, _of(links))
    return {row[0]: Doubt(*row[1:]) for row in rows}


async def seen(
    connection: AsyncConnection,
    links: Collection[tuple[UUID, int]],
    now: datetime,
    *,
    before: datetime,
) -> None:
    """Note that these links (agent, epoch) are alive, if that was last noted `before`."""
    await connection.execute(_SEEN, {**_of(links), "now": now, "before": before})


async def back(
    connection: AsyncConnection, links: Collection[tuple[UUID, int]], replica: UUID
) -> Collection[UUID]:
    """Note that this replica has these links (agent, epoch) where they count as gone.

    A replica that could not write for a while is taken for dead, and its links with it.
    Returns the agents whose links these are.
    """
    return set(await connection.scalars(_BACK, {**_of(links), "replica": replica}))


async def end(connection: AsyncConnection, agent: UUID, epoch: int, now: datetime) -> bool:
    """Note that a link is gone, unless a newer one is there; return whether it was the last."""
    done = await connection.execute(
        update(agents)
        .where(agents.c.id == agent, agents.c.epoch == epoch, agents.c.linked_replica.is_not(None))
        .values(linked_replica=None, last_seen_at=now, updated_at=now)
    )
    return done.rowcount > 0


async def set_conditions(
    connection: AsyncConnection, agent: UUID, conditions: list[dict[str, Any]]
) -> None:
    """Write an agent's conditions."""
    await connection.execute(
        update(agents).where(agents.c.id == agent).values(conditions=conditions)
    )


async def contested(connection: AsyncConnection) -> Collection[UUID]:
    """Return the agents that two processes are shown to link as."""
    query = select(agents.c.id).where(
        agents.c.conditions.contains([{"type": "IdentityShared", "status": "True"}])
    )
    return list(await connection.scalars(query))


async def needs_template(connection: AsyncConnection, agent: UUID, digest: str) -> bool:
    """Return whether an agent has a living session that was made from this revision."""
    query = select(
        exists().where(
            sessions.c.agent_id == agent,
            sessions.c.template_digest == digest,
            sessions.c.deleted_at.is_(None),
        )
    )
    return bool((await connection.execute(query)).scalar_one())
