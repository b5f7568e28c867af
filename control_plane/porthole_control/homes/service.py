"""What is done with homes."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from porthole_contract.link.reports import HomeObserved
from porthole_control.agents.repository import Agent
from porthole_control.commands import repository as commands
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.errors import Conflict, NotFound
from porthole_control.events import service as events
from porthole_control.homes import repository
from porthole_control.homes.repository import Home
from porthole_control.people.rules import Principal
from porthole_control.sessions import owners


async def get(unit: Unit, principal: Principal, identity: UUID) -> Home:
    """Return a home of theirs.

    Raises:
        NotFound: there is none that is theirs.
    """
    found = await repository.with_ids(unit.connection, [identity])
    if not found or found[0].owner != principal.name:
        raise NotFound("home", identity)
    return found[0]


async def rename(unit: Unit, principal: Principal, identity: UUID, name: str) -> Home:
    """Call a home something else; its files stay where they are.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: another of theirs has that name.
    """
    home = await repository.owned_locked(unit.connection, identity, principal.name)
    if home is None or home.deleted_at is not None:
        raise NotFound("home", identity)
    if home.name != name:
        try:
            await repository.change(unit.connection, identity, unit.now, name=name)
        except IntegrityError:
            raise Conflict("home_exists", f"You have a home {name!r} already.") from None
        events.changed(unit, "home", identity, owner=home.owner)
    renamed = await repository.owned_locked(unit.connection, identity, principal.name)
    assert renamed is not None
    return renamed


async def delete(unit: Unit, principal: Principal, identity: UUID) -> Home | None:
    """Delete a home and the files in it; return it while its agent has that to do.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: a session uses it.
    """
    home = await repository.owned_locked(unit.connection, identity, principal.name)
    if home is None:
        raise NotFound("home", identity)
    if home.deleted_at is not None:
        return home
    user = await repository.in_use(unit.connection, identity)
    if user is not None:
        raise Conflict(
            "home_in_use", f"The session {user!r} uses this home. End the session first."
        )
    # Without an agent, or with one that is gone for good, there is nobody to tell.
    told = home.agent_id is not None and not await repository.agent_is_gone(
        unit.connection, home.agent_id
    )
    await repository.change(
        unit.connection,
        identity,
        unit.now,
        deleted_at=unit.now,
        gone_at=None if told else unit.now,
    )
    if told and home.agent_id is not None:
        command = commands.New(
            agent=home.agent_id,
            owner=home.owner,
            subject_kind="home",
            subject_id=identity,
            kind="DeleteHome",
            payload={"home": str(identity)},
        )
        await commands.enqueue(unit.connection, command, now=unit.now)
        unit.ring_after_commit(Bell.COMMANDS)
    events.changed(unit, "home", identity, owner=home.owner)
    return await repository.owned_locked(unit.connection, identity, principal.name)


async def observed(unit: Unit, agent: Agent, items: Sequence[HomeObserved]) -> None:
    """Take in what an agent says about the homes that it has."""
    for seen in items:
        home = await repository.locked(unit.connection, seen.home)
        if seen.gone:
            await deleted_by_agent(unit, agent.id, seen.home)
        elif home is None:
            await _adopt(unit, agent, seen)
        elif home.agent_id in {None, agent.id} and home.gone_at is None:
            values = {
                "agent_id": agent.id,
                "size_bytes": seen.size,
                "used_bytes": seen.used,
                "holder": seen.holder,
            }
            if owners.is_made_there(home.id):
                home = await _listed(unit, home, await _owner(unit, agent, seen), seen.name)
            if any(getattr(home, name) != value for name, value in values.items()):
                await repository.change(unit.connection, home.id, unit.now, **values)
                events.changed(unit, "home", home.id, owner=home.owner)
                if home.holder is not None and seen.holder is None:
                    unit.ring_after_commit(Bell.WAITING)


async def _owner(unit: Unit, agent: Agent, seen: HomeObserved) -> str:
    made_there = owners.is_made_there(seen.home)
    return (await owners.listing(unit, agent, seen.owner, made_there=made_there)).owner


async def _listed(unit: Unit, home: Home, owner: str, name: str) -> Home:
    """List a home under whom it is to be listed, as `name` if they have none of that name."""
    if home.owner == owner or home.deleted_at is not None:
        return home
    taken = await repository.named(unit.connection, owner, name) is not None
    name = _recovered(home.id) if taken or not name else name
    await repository.change(unit.connection, home.id, unit.now, owner=owner, name=name)
    for whose in (home.owner, owner):
        events.changed(unit, "home", home.id, owner=whose)
    return replace(home, owner=owner, name=name)


def _recovered(home: UUID) -> str:
    return f"recovered-{home.hex}"


async def _adopt(unit: Unit, agent: Agent, seen: HomeObserved) -> None:
    """Take in a home that we did not know: its owner's, if the agent may say so."""
    owner = await _owner(unit, agent, seen)
    values = {
        "id": seen.home,
        "owner": owner,
        "agent_id": agent.id,
        "size_bytes": seen.size,
        "used_bytes": seen.used,
        "holder": seen.holder,
        "created_at": unit.now,
        "updated_at": unit.now,
    }
    # Its name may be taken by now; the files matter, the name can be changed.
    for name in (seen.name, _recovered(seen.home)):
        if name and await repository.add(unit.connection, name=name, **values):
            events.changed(unit, "home", seen.home, owner=owner)
            return


async def deleted_by_agent(unit: Unit, agent: UUID, *identities: UUID) -> None:
    """Note that an agent has deleted homes of its own."""
    for identity, owner in await repository.gone(unit.connection, agent, identities, unit.now):
        events.changed(unit, "home", identity, owner=owner)
