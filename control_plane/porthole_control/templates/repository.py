"""All SQL about templates."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, any_, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_contract.template import SessionTemplateSpec
from porthole_control.agents.tables import agent_templates, agents
from porthole_control.db.rows import AnyRow
from porthole_control.templates.tables import (
    template_contents,
    template_revisions,
    templates,
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a template, and what it means."""

    name: str
    revision: int
    digest: str
    spec: SessionTemplateSpec
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """What one agent says about a template.

    Attributes:
        revision: None if the template is not of the agent's own making.
    """

    name: str
    agent_id: UUID
    agent: str
    offered: bool
    message: str
    revision: Revision | None


_REVISION = (
    template_revisions.c.name,
    template_revisions.c.revision,
    template_revisions.c.digest,
    template_contents.c.spec,
    template_revisions.c.created_at,
)


_MEANINGS: dict[str, SessionTemplateSpec] = {}
_MOST_MEANINGS = 200


def _meaning(digest: str, spec: dict[str, Any]) -> SessionTemplateSpec:
    """Return what a digest means. It means that for ever, so it is read once."""
    found = _MEANINGS.get(digest)
    if found is None:
        found = SessionTemplateSpec.model_validate(spec)
        if len(_MEANINGS) >= _MOST_MEANINGS:
            _MEANINGS.clear()
        _MEANINGS[digest] = found
    return found


def _revision(row: AnyRow) -> Revision:
    return Revision(
        name=row.name,
        revision=row.revision,
        digest=row.digest,
        spec=_meaning(row.digest, row.spec),
        created_at=row.created_at,
    )


async def keep_content(connection: AsyncConnection, spec: SessionTemplateSpec) -> str:
    """Keep what a revision means; return its digest."""
    digest = spec.digest()
    await connection.execute(
        postgresql.insert(template_contents)
        .values(digest=digest, spec=spec.to_dict())
        .on_conflict_do_nothing()
    )
    return digest


async def content(connection: AsyncConnection, digest: str) -> SessionTemplateSpec | None:
    """Return what a digest means."""
    if digest in _MEANINGS:
        return _MEANINGS[digest]
    found = await connection.scalar(
        select(template_contents.c.spec).where(template_contents.c.digest == digest)
    )
    return None if found is None else _meaning(digest, found)


_NEWEST = (
    select(*_REVISION)
    .join(templates, templates.c.name == template_revisions.c.name)
    .join(template_contents, template_contents.c.digest == template_revisions.c.digest)
    .where(
        templates.c.deleted_at.is_(None),
        template_revisions.c.revision == templates.c.latest_revision,
    )
    .order_by(template_revisions.c.name)
)
_NAMES = any_(bindparam("names", type_=postgresql.ARRAY(Text)))
_NEWEST_NAMED = _NEWEST.where(templates.c.name == _NAMES)


async def newest(
    connection: AsyncConnection, *, names: Collection[str] | None = None
) -> Sequence[Revision]:
    """Return the newest revisions of our living templates (of these names), by name."""
    rows = await _named(connection, _NEWEST, _NEWEST_NAMED, names)
    return [_revision(row) for row in rows]


async def _named(
    connection: AsyncConnection,
    everything: Select[Any],
    named: Select[Any],
    names: Collection[str] | None,
) -> Iterable[AnyRow]:
    if names is None:
        return await connection.execute(everything)
    return await connection.execute(named, {"names": list(names)})


async def revision(connection: AsyncConnection, name: str, number: int) -> Revision | None:
    """Return one revision, of deleted templates too."""
    row = (
        await connection.execute(
            select(*_REVISION)
            .join(template_contents, template_contents.c.digest == template_revisions.c.digest)
            .where(template_revisions.c.name == name, template_revisions.c.revision == number)
        )
    ).one_or_none()
    return None if row is None else _revision(row)


_OFFERS = (
    select(
        agent_templates.c.name,
        agent_templates.c.agent_id,
        agents.c.name.label("agent"),
        agent_templates.c.offered,
        agent_templates.c.message,
        agent_templates.c.revision,
        agent_templates.c.digest,
        agent_templates.c.updated_at.label("created_at"),
        template_contents.c.spec,
    )
    .join(agents, agents.c.id == agent_templates.c.agent_id)
    .outerjoin(template_contents, template_contents.c.digest == agent_templates.c.digest)
    .where(agents.c.state != "revoked")
    .order_by(agent_templates.c.name, agents.c.name)
)
_OFFERS_NAMED = _OFFERS.where(agent_templates.c.name == _NAMES)


async def offers(
    connection: AsyncConnection, *, names: Collection[str] | None = None
) -> Sequence[Offer]:
    """Return what agents that are not revoked say about templates (of these names)."""
    return [
        Offer(
            name=row.name,
            agent_id=row.agent_id,
            agent=row.agent,
            offered=row.offered,
            message=row.message,
            revision=None if row.spec is None else _revision(row),
        )
        for row in await _named(connection, _OFFERS, _OFFERS_NAMED, names)
    ]


_OURS = select(templates.c.name).where(templates.c.name == _NAMES)


async def ours(connection: AsyncConnection, names: Collection[str]) -> set[str]:
    """Return which of these templates were ever made here; agents run those unless they refuse."""
    return set(await connection.scalars(_OURS, {"names": list(names)}))


async def lock(connection: AsyncConnection, name: str) -> AnyRow | None:
    """Return a template's newest revision number and deletion, its row locked."""
    return (
        await connection.execute(
            select(templates.c.latest_revision, templates.c.deleted_at)
            .where(templates.c.name == name)
            .with_for_update()
        )
    ).one_or_none()


async def add(connection: AsyncConnection, name: str, by: UUID, now: datetime) -> bool:
    """Insert a template without a revision; return whether the name was free for ever."""
    new = (
        postgresql.insert(templates)
        .values(name=name, latest_revision=0, created_by=by, created_at=now, updated_at=now)
        .on_conflict_do_nothing()
        .returning(templates.c.name)
    )
    return await connection.scalar(new) is not None


async def add_revision(
    connection: AsyncConnection,
    name: str,
    number: int,
    digest: str,
    *,
    by: UUID,
    now: datetime,
) -> None:
    """Insert a revision and make it the newest of a template that lives (again)."""
    await connection.execute(
        insert(template_revisions).values(
            name=name, revision=number, digest=digest, created_by=by, created_at=now
        )
    )
    await connection.execute(
        update(templates)
        .where(templates.c.name == name)
        .values(latest_revision=number, updated_at=now, deleted_at=None)
    )


async def delete(connection: AsyncConnection, name: str, now: datetime) -> bool:
    """Mark a template as deleted; return whether it lived."""
    done = await connection.execute(
        update(templates)
        .where(templates.c.name == name, templates.c.deleted_at.is_(None))
        .values(deleted_at=now, updated_at=now)
    )
    return done.rowcount > 0


async def set_offer(
    connection: AsyncConnection,
    *,
    agent: UUID,
    name: str,
    offered: bool,
    message: str,
    digest: str | None,
    now: datetime,
) -> bool:
    """Note what an agent says about a template; return whether that is news."""
    new = postgresql.insert(agent_templates).values(
        agent_id=agent,
        name=name,
        offered=offered,
        message=message,
        digest=digest,
        updated_at=now,
    )
    old = agent_templates.c
    news = await connection.scalar(
        new.on_conflict_do_update(
            index_elements=["agent_id", "name"],
            set_={
                "offered": offered,
                "message": message,
                "digest": digest,
                "updated_at": now,
                "revision": old.revision
                + old.digest.is_distinct_from(new.excluded.digest).cast(
                    agent_templates.c.revision.type
                ),
            },
            where=old.offered.is_distinct_from(new.excluded.offered)
            | old.message.is_distinct_from(new.excluded.message)
            | old.digest.is_distinct_from(new.excluded.digest),
        ).returning(old.name)
    )
    return news is not None


async def drop_offers(
    connection: AsyncConnection, agent: UUID, *, but: Collection[str]
) -> Sequence[str]:
    """Forget what an agent no longer says anything about; return those names."""
    gone = await connection.scalars(
        agent_templates.delete()
        .where(agent_templates.c.agent_id == agent, agent_templates.c.name.not_in(but))
        .returning(agent_templates.c.name)
    )
    return list(gone)
