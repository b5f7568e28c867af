"""What is done with templates."""

from porthole_contract.template import SessionTemplateSpec
from porthole_control.agents import repository as agents
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.errors import Conflict, NotFound, Stale
from porthole_control.events import service as events
from porthole_control.people.rules import Principal
from porthole_control.templates import repository, rules
from porthole_control.templates.repository import Revision
from porthole_control.templates.rules import Known


async def all_known(unit: Unit) -> dict[str, Known]:
    """Return all templates by name: ours, and those that agents bring along."""
    return rules.known(
        await repository.newest(unit.connection),
        await repository.offers(unit.connection),
        await agents.count_living(unit.connection),
    )


async def known(unit: Unit, name: str) -> Known:
    """Return one template.

    Raises:
        NotFound: there is none.
    """
    found = rules.known(
        await repository.newest(unit.connection, names=[name]),
        await repository.offers(unit.connection, names=[name]),
        await agents.count_living(unit.connection),
    )
    if name not in found:
        raise NotFound("template", name)
    return found[name]


async def create(
    unit: Unit, principal: Principal, name: str, spec: SessionTemplateSpec
) -> Revision:
    """Make a template.

    Raises:
        Conflict: there is one of that name.
    """
    if not await repository.add(unit.connection, name, principal.user_id, unit.now):
        row = await repository.lock(unit.connection, name)
        assert row is not None
        if row.deleted_at is None:
            raise Conflict(
                "template_exists", f"There is a template {name!r}. Change it, or take another name."
            )
    return await _next_revision(unit, principal, name, spec)


async def put(
    unit: Unit,
    principal: Principal,
    name: str,
    spec: SessionTemplateSpec,
    *,
    only_if_revision: int | None = None,
) -> tuple[Revision, bool]:
    """Give a template a new revision, or make it; return it and whether it was made.

    The same content again is no new revision.

    Raises:
        Stale: its newest revision is another than the caller expects.
    """
    made = await repository.add(unit.connection, name, principal.user_id, unit.now)
    row = await repository.lock(unit.connection, name)
    assert row is not None
    lives = not made and row.deleted_at is None
    if only_if_revision is not None and not (lives and row.latest_revision == only_if_revision):
        raise Stale
    if lives:
        newest = await repository.revision(unit.connection, name, row.latest_revision)
        if newest is not None and newest.digest == spec.digest():
            return newest, False
    return await _next_revision(unit, principal, name, spec), not lives


async def _next_revision(
    unit: Unit, principal: Principal, name: str, spec: SessionTemplateSpec
) -> Revision:
    row = await repository.lock(unit.connection, name)
    assert row is not None
    number = row.latest_revision + 1
    digest = await repository.keep_content(unit.connection, spec)
    await repository.add_revision(
        unit.connection, name, number, digest, by=principal.user_id, now=unit.now
    )
    events.changed(unit, "template", name, owner=None)
    # Somebody may have been waiting for it.
    unit.ring_after_commit(Bell.WAITING)
    return Revision(name, number, digest, spec, unit.now)


async def delete(unit: Unit, name: str) -> None:
    """Delete a template; sessions that were made from it go on, its revisions stay.

    Raises:
        NotFound: there is none of ours.
    """
    if not await repository.delete(unit.connection, name, unit.now):
        raise NotFound("template", name)
    events.changed(unit, "template", name, owner=None)
