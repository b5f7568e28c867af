"""All SQL about links."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text, tuple_, update
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


_KNOWN = tuple(agents.c[name] for name in Known.__dataclass_fields__)


async def known(connection: AsyncConnection, agent: UUID, *, lock: bool = False) -> Known | None:
    """Return what is known of an agent, a revoked one too; its row locked if `lock`."""
    query = select(*_KNOWN).where(agents.c.id == agent)
    if lock:
        query = query.with_for_update()
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


async def states(
    connection: AsyncConnection, links: Collection[UUID]
) -> Mapping[UUID, tuple[int, str]]:
    """Return epoch and state of these agents."""
    rows = await connection.execute(
        select(agents.c.id, agents.c.epoch, agents.c.state).where(agents.c.id.in_(links))
    )
    return {row.id: (row.epoch, row.state) for row in rows}


async def seen(
    connection: AsyncConnection, links: Collection[tuple[UUID, int]], now: datetime
) -> None:
    """Note that these links (agent, epoch) are alive."""
    await connection.execute(
        update(agents)
        .where(tuple_(agents.c.id, agents.c.epoch).in_(links), agents.c.state != "revoked")
        .values(last_seen_at=now)
    )


async def back(
    connection: AsyncConnection, links: Collection[tuple[UUID, int]], replica: UUID
) -> Collection[UUID]:
    """Note that this replica has these links (agent, epoch) where they count as gone.

    A replica that could not write for a while is taken for dead, and its links with it.
    Returns the agents whose links these are.
    """
    done = await connection.scalars(
        update(agents)
        .where(
            tuple_(agents.c.id, agents.c.epoch).in_(links),
            agents.c.linked_replica.is_(None),
            agents.c.state != "revoked",
        )
        .values(linked_replica=replica)
        .returning(agents.c.id)
    )
    return set(done)


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
