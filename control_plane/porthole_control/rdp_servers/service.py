"""What is done with RDP servers: made, changed, started as sessions, stopped, deleted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from porthole_contract.lifecycle import Phase
from porthole_contract.session import Desired, TemplateRef
from porthole_control.agents import repository as agents
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Forbidden, NotFound, Stale
from porthole_control.events import service as events
from porthole_control.people import service as people
from porthole_control.people.rules import Principal, Scope
from porthole_control.rdp_servers import repository, rules
from porthole_control.rdp_servers.repository import Server
from porthole_control.sessions import repository as session_rows
from porthole_control.sessions import service as sessions
from porthole_control.templates import repository as templates


@dataclass(frozen=True, slots=True)
class Made:
    """A server, and the password of its port, which nobody is shown again; None: there is none."""

    server: Server
    password: str | None = field(repr=False)


KEPT: Final = timedelta(days=1)
"""How long samples and alerts that are over are kept."""


async def get(unit: Unit, principal: Principal, identity: UUID, *, locked: bool = False) -> Server:
    """Return a server of theirs.

    Raises:
        NotFound: there is none, or it is another's.
    """
    found = await repository.owned(unit.connection, identity, principal.name, locked=locked)
    if found is None:
        raise NotFound("RDP server", identity)
    return found


async def create(
    unit: Unit,
    principal: Principal,
    *,
    name: str,
    description: str,
    configuration: Mapping[str, Any],
    resources: Mapping[str, Any],
    agent: str | None,
    user_id: str | None,
    expose: bool,
    most: int,
) -> Made:
    """Make a server, stopped; nothing runs before it is started.

    Args:
        unit: the transaction.
        principal: whose server it will be.
        name: what it is called; not unique.
        description: in their words.
        configuration: fields of `RdpConfiguration`, all of them.
        resources: fields of `RdpResources`, all of them.
        agent: where it is to be; None: where the fewest are.
        user_id: whose it is, as the caller says.
        expose: whether its agent is to listen on its port.
        most: how many servers an owner may have.

    Raises:
        Forbidden: it is to be another's, or exposed by who may not connect to it.
        NotFound: no such agent.
        Conflict: there is no agent, or it has no port left, or does not listen on any.
        TooManyServers: they have too many.
    """
    if user_id not in {None, principal.name, str(principal.user_id)}:
        raise Forbidden("A server belongs to who makes it; leave out `user_id`, or name yourself.")
    if expose:
        principal.must(Scope.CONNECT)  # who has the password needs no ticket
    await repository.take_turn(unit.connection)
    if await repository.count(unit.connection, principal.name) >= most:
        raise rules.TooManyServers(
            f"You have {most} RDP servers. Delete one first.", retry_after=60
        )
    place = await _place(unit, agent, expose=expose)
    password = people.new_password() if expose else None
    taken = await repository.ports(unit.connection, place)
    identity = new_id()
    await repository.add(
        unit.connection,
        id=identity,
        owner=principal.name,
        name=name.strip(),
        description=description,
        agent_id=place,
        port=rules.free_port(set(taken), taken[0] if taken else None),
        password=None if password is None else password.kept,
        home=f"rdp-server-{identity}",
        configuration=dict(configuration),
        resources=dict(resources),
        created_at=unit.now,
        updated_at=unit.now,
    )
    made = await get(unit, principal, identity)
    return Made(made, None if password is None else password.text)


async def _place(unit: Unit, name: str | None, *, expose: bool) -> UUID:
    """Return the agent of a new server."""
    living = dict(await agents.living(unit.connection))
    if name is not None:
        if name not in living:
            raise NotFound("agent", name, code="agent_unknown")
        living = {name: living[name]}
    if expose and living:
        living = await _listening(unit, living)
    if name is not None:
        return living[name]
    said = await templates.offers(unit.connection, names=[rules.TEMPLATE])
    able = {offer.agent_id for offer in said if offer.offered} & set(living.values())
    there = await repository.counts(unit.connection)
    # Who has joined last comes last, so that who asks twice is told the same.
    ordered = sorted(able or living.values(), key=lambda one: (there.get(one, 0), one))
    if not ordered:
        raise Conflict("no_agent", "No agent has joined yet, and a server belongs to one.")
    return ordered[0]


async def _listening(unit: Unit, living: Mapping[str, UUID]) -> dict[str, UUID]:
    """Return those of these agents that listen on ports of their servers.

    Raises:
        Conflict: none does.
    """
    able, refusals = {}, []
    for agent in await agents.with_ids(unit.connection, living.values()):
        try:
            rules.check_exposable(agent.name, agent.runtime, agent.capacity)
        except Conflict as refusal:
            refusals.append(refusal)
        else:
            able[agent.name] = agent.id
    if not able:
        raise refusals[0]
    return able


async def change(
    unit: Unit,
    principal: Principal,
    identity: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
) -> Server:
    """Change a server; what it runs as stays as it is until the next start.

    Args:
        unit: the transaction.
        principal: whose it is.
        identity: which one.
        changes: `name`, `description`, and what changes of `configuration` and `resources`.
        expected_version: change it only if this is still its version.

    Raises:
        NotFound: there is none that is theirs.
        Stale: it has another version by now.
    """
    server = await get(unit, principal, identity, locked=True)
    if expected_version is not None and server.version != expected_version:
        raise Stale
    values = dict(changes)
    if "name" in values:
        values["name"] = values["name"].strip()
    for part in ("configuration", "resources"):
        if part in values:
            values[part] = {**getattr(server, part), **values[part]}
    if all(getattr(server, name) == value for name, value in values.items()):
        return server
    await repository.change(unit.connection, server, unit.now, **values)
    return await get(unit, principal, identity)


async def start(unit: Unit, principal: Principal, identity: UUID, *, most: int) -> Server:
    """Have a server run: make a session on its home, wake it, or leave it as it runs.

    One that sleeps and was changed meanwhile is begun anew: what it was is not what it is to be.

    Args:
        unit: the transaction.
        principal: whose it is.
        identity: which one.
        most: how many living sessions an owner may have.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: it cannot be run as it is configured, or there are too many sessions.
    """
    await session_rows.take_turn(unit.connection)  # before any row
    server = await get(unit, principal, identity, locked=True)
    _check_startable(server)
    asleep = server.phase in {Phase.HIBERNATED, Phase.HIBERNATING}
    if asleep and server.session_id is not None and not server.is_changed:
        awake = {"desired": str(Desired.RUNNING)}
        await sessions.patch(unit, principal, server.session_id, awake)
        await repository.change(unit.connection, server, unit.now, last_started_at=unit.now)
    elif (asleep or server.phase == Phase.FAILED) and server.session_id is not None:
        await sessions.delete(unit, principal, server.session_id)
        await _begin(unit, principal, await get(unit, principal, identity, locked=True), most)
    elif not server.lives or server.phase == Phase.TERMINATING:
        await _begin(unit, principal, server, most)
    return await get(unit, principal, identity)


def _check_startable(server: Server) -> None:
    rules.check_startable(server.configuration)
    if server.password is not None and server.agent_state != "revoked":
        rules.check_exposable(server.agent, server.agent_runtime, server.agent_capacity)


async def _begin(unit: Unit, principal: Principal, server: Server, most: int) -> None:
    if server.agent_state == "revoked":
        raise Conflict(
            "agent_revoked",
            f"Its agent {server.agent!r} was revoked, and its files are out of reach with it.",
        )
    wanted = sessions.Wanted(
        template=TemplateRef(rules.TEMPLATE),
        spec=rules.spec_of(server.configuration, server.resources, server.home),
        agent=server.agent,
        exposed=server.exposure,
    )
    # What takes the place of a session that ends is none more.
    session = await sessions.create(unit, principal, wanted, most=most + server.lives)
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="RdpServer",
        phase=session.phase,
        message=f"It is the RDP server {server.name!r}, which was started.",
    )
    await repository.resolve_alerts(unit.connection, server.id, unit.now)
    await repository.change(
        unit.connection,
        server,
        unit.now,
        session_id=session.id,
        home_id=session.home_id,
        last_started_at=unit.now,
    )


async def stop(unit: Unit, principal: Principal, identity: UUID) -> Server:
    """End what a server runs as; its home and its row stay.

    Raises:
        NotFound: there is none that is theirs.
    """
    server = await get(unit, principal, identity, locked=True)
    await _end(unit, principal, server)
    return await get(unit, principal, identity)


async def _end(unit: Unit, principal: Principal, server: Server) -> None:
    await repository.resolve_alerts(unit.connection, server.id, unit.now)
    if not server.lives or server.session_id is None:
        return
    ending = await session_rows.owned(unit.connection, server.session_id, principal.name)
    if ending is not None and ending.delete_requested_at is None:
        await sessions.delete(unit, principal, server.session_id)
        await repository.change(unit.connection, server, unit.now, last_stopped_at=unit.now)


async def restart(unit: Unit, principal: Principal, identity: UUID, *, most: int) -> Server:
    """End what a server runs as, and start it anew on its home as soon as that is free.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: as `start`; then it goes on as it was.
    """
    await session_rows.take_turn(unit.connection)  # before any row
    server = await get(unit, principal, identity, locked=True)
    _check_startable(server)
    await _end(unit, principal, server)
    server = await get(unit, principal, identity, locked=True)
    await _begin(unit, principal, server, most)
    return await get(unit, principal, identity)


async def expose(unit: Unit, principal: Principal, identity: UUID) -> Made:
    """Have a server's port listened on while it runs, with a new password.

    Who came in by an old one is cut off, and it is good no more.

    Raises:
        NotFound: there is none that is theirs.
        Forbidden: they may not connect to it.
        Conflict: its agent listens on no ports.
    """
    server = await get(unit, principal, identity, locked=True)
    principal.must(Scope.CONNECT)  # who has the password needs no ticket
    rules.check_exposable(server.agent, server.agent_runtime, server.agent_capacity)
    password = people.new_password()
    return Made(await _exposed(unit, principal, server, password.kept), password.text)


async def hide(unit: Unit, principal: Principal, identity: UUID) -> Server:
    """Have a server's port listened on no more; who came in there is cut off.

    Raises:
        NotFound: there is none that is theirs.
    """
    server = await get(unit, principal, identity, locked=True)
    if server.password is None:
        return server
    return await _exposed(unit, principal, server, None)


async def _exposed(
    unit: Unit, principal: Principal, server: Server, password: str | None
) -> Server:
    """Give a server this password (its hash), and what it runs as, too."""
    # A desktop that sleeps is the same with it: `updated_at` says what it is made like.
    await repository.set_password(unit.connection, server, password)
    server = await get(unit, principal, server.id)
    if server.lives and server.session_id is not None:
        await sessions.expose(unit, principal, server.session_id, server.exposure)
    return server


async def delete(unit: Unit, principal: Principal, identity: UUID, *, force: bool) -> None:
    """Delete a server; its home stays among its owner's homes.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: it runs, and is not to be stopped with it.
    """
    server = await get(unit, principal, identity, locked=True)
    if server.lives and server.phase != Phase.TERMINATING:
        # One that sleeps is told to be stopped.
        if not force and server.status is not rules.ServerStatus.STOPPED:
            raise Conflict(
                "server_running", "The server is not stopped. Stop it first, or delete with force."
            )
        await _end(unit, principal, server)
    await repository.remove(unit.connection, identity)


async def tidy(unit: Unit) -> None:
    """Forget what servers used long ago."""
    before: datetime = unit.now - KEPT
    await repository.prune_samples(unit.connection, before=before)
