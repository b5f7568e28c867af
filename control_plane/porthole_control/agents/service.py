"""What is done with agents: joining, draining, revoking, and what they tell of themselves."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from porthole_contract.errors import Invalid, Refused
from porthole_contract.link.reports import AgentObserved
from porthole_contract.names import check_name
from porthole_control.agents import repository
from porthole_control.agents.accounts import Reviewer
from porthole_control.agents.repository import Agent
from porthole_control.commands import repository as commands
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Forbidden, NotFound
from porthole_control.events import service as events
from porthole_control.parts import Parts
from porthole_control.people import rules as secrets
from porthole_control.people import service as people
from porthole_control.people.rules import Principal
from porthole_control.people.service import NewSecret, new_secret
from porthole_control.sessions import service as sessions
from porthole_control.templates import repository as templates

_KEY_BYTES = 32


async def get(unit: Unit, identity: UUID) -> Agent:
    """Return an agent.

    Raises:
        NotFound: there is none, or it was revoked.
    """
    found = await repository.agent(unit.connection, identity)
    if found is None or found.state == "revoked":
        raise NotFound("agent", identity)
    return found


async def create_join_token(
    unit: Unit,
    principal: Principal,
    *,
    name: str,
    labels: Mapping[str, str],
    lifetime: timedelta,
) -> NewSecret:
    """Make a token that lets one agent in, under this name."""
    if await repository.named(unit.connection, name) is not None:
        raise Conflict("agent_exists", f"There is an agent {name!r}. Take another name.")
    identity = new_id()
    text, kept = new_secret(secrets.JOIN, identity)
    expires_at = unit.now + lifetime
    await repository.add_join_token(
        unit.connection,
        id=identity,
        name=name,
        hash=kept,
        labels=dict(labels),
        created_by=principal.user_id,
        created_at=unit.now,
        expires_at=expires_at,
    )
    return NewSecret(identity, text, expires_at)


async def enrol(unit: Unit, *, token: str, public_key: bytes) -> Agent:
    """Let an agent in that has a join token, and register its key.

    The same key may ask again with the same token: its answer may have been lost.

    Raises:
        Forbidden: the token is none of ours, too old, or let another in.
        Conflict: the key or the name is taken.
    """
    if len(public_key) != _KEY_BYTES:
        raise Invalid("public_key", "must be the 32 bytes of an Ed25519 key")
    parts = secrets.dissect(secrets.JOIN, token.partition(".")[0])
    row = None if parts is None else await repository.join_token(unit.connection, parts[0])
    if parts is None or row is None or not secrets.proves(parts[1], row.hash):
        raise Forbidden("This join token is not one of ours.", code="join_token_unknown")
    if row.used_at is not None:
        agent = await repository.agent(unit.connection, row.agent_id)
        if agent is None or agent.public_key != public_key or agent.state == "revoked":
            raise Forbidden("This join token was used before.", code="join_token_used")
        return agent
    if row.expires_at <= unit.now:
        raise Forbidden("This join token is too old. Ask for a new one.", code="join_token_expired")
    if await repository.with_key(unit.connection, public_key) is not None:
        raise Conflict("key_taken", "An agent with this key has joined before. Make a new key.")
    if await repository.named(unit.connection, row.name) is not None:
        raise Conflict("agent_exists", f"There is an agent {row.name!r} by now.")
    agent = await _add(
        unit,
        name=row.name,
        public_key=public_key,
        enrolled_by=row.created_by,
        labels=row.labels,
    )
    if agent is None:
        raise Conflict("agent_exists", f"There is an agent {row.name!r} by now.")
    await repository.use_join_token(unit.connection, row.id, agent_id=agent.id, now=unit.now)
    return agent


async def agent_of_account(parts: Parts, token: str) -> str:
    """Return the name of the agent that this ServiceAccount's token lets in.

    Raises:
        Forbidden: none; or this is no cluster.
        Unavailable: the cluster cannot be asked.
    """
    reviewer = Reviewer.of_this_pod() if parts.settings.cluster_agents else None
    if reviewer is None:
        raise Forbidden(
            "Here, agents join with a join token, not with a ServiceAccount's.",
            code="account_unknown",
        )
    account = await reviewer.account(token)
    try:
        return parts.settings.cluster_agents[account]
    except KeyError:
        raise Forbidden(
            f"The ServiceAccount {account} does not let agents in. PORTHOLE_CLUSTER_AGENTS says"
            " which do.",
            code="account_unknown",
        ) from None


async def enrol_account(unit: Unit, *, name: str, public_key: bytes, by: str) -> Agent:
    """Let in the agent of a ServiceAccount, and register its key; the same key may ask again.

    Raises:
        Forbidden: the agent with this key was revoked.
        Conflict: the name is taken by one with another key.
    """
    known = await repository.with_key(unit.connection, public_key)
    if known is None and await repository.named(unit.connection, name) is None:
        user = await people.ensure_user(unit, by, is_admin=True)
        added = await _add(unit, name=name, public_key=public_key, enrolled_by=user.id, labels={})
        if added is not None:
            return added
        # Its replicas may join at once.
        known = await repository.with_key(unit.connection, public_key)
    if known is None:
        raise Conflict(
            "agent_exists",
            f"There is an agent {name!r} with another key. Revoke it if it was lost.",
        )
    if known.state == "revoked":
        raise Forbidden(
            "The agent with this key was revoked. Delete the Secret with its key to let it"
            " join as a new one.",
            code="agent_revoked",
        )
    return known


async def _add(
    unit: Unit, *, name: str, public_key: bytes, enrolled_by: UUID, labels: Mapping[str, str]
) -> Agent | None:
    """Add an agent; return None if its name or key was taken just now."""
    identity = new_id()
    is_new = await repository.add(
        unit.connection,
        id=identity,
        name=name,
        public_key=public_key,
        enrolled_by=enrolled_by,
        labels=dict(labels),
        created_at=unit.now,
        updated_at=unit.now,
    )
    if not is_new:
        return None
    events.changed(unit, "agent", identity, owner=None)
    agent = await repository.agent(unit.connection, identity)
    assert agent is not None
    return agent


async def change(
    unit: Unit,
    identity: UUID,
    *,
    name: str | None = None,
    draining: bool | None = None,
    labels: Mapping[str, str] | None = None,
) -> Agent:
    """Rename, drain or label an agent.

    Raises:
        NotFound: there is none.
        Conflict: the name is taken.
    """
    agent = await repository.locked(unit.connection, identity)
    if agent is None or agent.state == "revoked":
        raise NotFound("agent", identity)
    values: dict[str, Any] = {}
    if name is not None and name != agent.name:
        check_name(name)
        if await repository.named(unit.connection, name) is not None:
            raise Conflict("agent_exists", f"There is an agent {name!r}. Take another name.")
        values["name"] = name
    if draining is not None:
        values["state"] = "draining" if draining else "enrolled"
    if labels is not None:
        values["labels"] = dict(labels)
    if values:
        await repository.change(unit.connection, identity, unit.now, **values)
        events.changed(unit, "agent", identity, owner=None)
        unit.ring_after_commit(Bell.WAITING)
        unit.ring_after_commit(Bell.ACCESS)
    return await get(unit, identity)


async def revoke(unit: Unit, identity: UUID, *, with_sessions: bool = True) -> None:
    """Take an agent's identity away: its key, link and streams are worth nothing from now on.

    Raises:
        NotFound: there is none.
        Conflict: it has sessions, and they are not to end with it.
    """
    # What is given to it just now is there before it is revoked, and ends with it.
    agent = await repository.locked(unit.connection, identity, alone=True)
    if agent is None or agent.state == "revoked":
        raise NotFound("agent", identity)
    there = 0 if with_sessions else len(await repository.living_sessions(unit.connection, identity))
    if there:
        raise Conflict(
            "agent_has_sessions",
            f"The agent {agent.name!r} has {there} sessions, which would count as ended with it.",
        )
    await repository.change(
        unit.connection,
        identity,
        unit.now,
        state="revoked",
        revoked_at=unit.now,
        linked_replica=None,
        epoch=agent.epoch + 1,
    )
    await commands.fail_all(
        unit.connection, agent=identity, why="Its agent was revoked.", now=unit.now
    )
    await sessions.agent_removed(unit, identity, agent.name)
    events.changed(unit, "agent", identity, owner=None)
    unit.ring_after_commit(Bell.ACCESS)
    unit.ring_after_commit(Bell.STREAMS)


async def observed(unit: Unit, identity: UUID, seen: AgentObserved) -> None:
    """Take in what an agent says of itself: its room, and the templates that it brings along.

    Raises:
        Refused: it speaks for another place than before; what it says is not believed.
    """
    agent = await repository.locked(unit.connection, identity)
    if agent is None or agent.state == "revoked":
        return
    check_place(agent, seen.place)
    values = {
        "runtime_uid": str(seen.place),
        "runtime": seen.runtime,
        "version": seen.program,
        "capacity": {
            "sessions": seen.capacity.sessions,
            "sessions_used": seen.capacity.sessions_used,
            "total": seen.capacity.total.to_dict(),
            "used": seen.capacity.used.to_dict(),
            "draining": seen.draining,
            "protocols": [str(protocol) for protocol in seen.protocols],
            "rdp_listen": seen.rdp_listen,
        },
    }
    news = await _take_in_offers(unit, identity, seen)
    if news:
        events.changed(unit, "template", *news, owner=None)
    if news or any(getattr(agent, name) != value for name, value in values.items()):
        await repository.change(unit.connection, identity, unit.now, **values)
        events.changed(unit, "agent", identity, owner=None)
        unit.ring_after_commit(Bell.WAITING)


def check_place(agent: Agent, place: UUID) -> None:
    """Check that an agent speaks for the place that it has always spoken for.

    Raises:
        Refused: it is another one; an absence there would prove nothing here.
    """
    if agent.runtime_uid is not None and agent.runtime_uid != str(place):
        raise Refused(
            "another_place",
            f"The agent {agent.name!r} was enrolled for {agent.runtime_uid} and now speaks for"
            f" {place}. Let it join anew under another name.",
        )


async def _take_in_offers(unit: Unit, identity: UUID, seen: AgentObserved) -> list[str]:
    news = []
    for offer in seen.templates:
        digest = await templates.keep_content(unit.connection, offer.spec)
        if await templates.set_offer(
            unit.connection,
            agent=identity,
            name=offer.name,
            offered=offer.available,
            message="" if offer.available else offer.message or offer.reason,
            digest=digest,
            now=unit.now,
        ):
            news.append(offer.name)
    names = [offer.name for offer in seen.templates]
    return [*news, *await templates.drop_offers(unit.connection, identity, but=names)]


async def forget_dead_links(unit: Unit, *, silent_since: datetime, unseen_since: datetime) -> None:
    """End links whose replica has died, and those that one that lives has lost unawares."""
    for identity in await repository.forget_dead_links(
        unit.connection, silent_since=silent_since, unseen_since=unseen_since
    ):
        await link_changed(unit, identity)


async def link_changed(unit: Unit, identity: UUID) -> None:
    """Tell live lists that an agent came or went, for its sessions show it too."""
    events.changed(unit, "agent", identity, owner=None)
    for session, owner in await repository.living_sessions(unit.connection, identity):
        events.changed(unit, "session", session, owner=owner)
    unit.ring_after_commit(Bell.WAITING)
    unit.ring_after_commit(Bell.COMMANDS)
