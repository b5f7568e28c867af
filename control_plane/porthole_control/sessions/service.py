"""What people do with sessions: create, change, end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.session import Desired, TemplateRef
from porthole_control.agents import repository as agents
from porthole_control.commands import repository as commands
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, NotFound, Stale
from porthole_control.events import service as events
from porthole_control.failpoints import failpoint
from porthole_control.homes import repository as homes
from porthole_control.people.rules import Principal
from porthole_control.sessions import orders, repository, rules
from porthole_control.sessions.repository import Session
from porthole_control.sessions.scheduling import Market, assign, queue_moved
from porthole_control.streams import on_port
from porthole_control.streams.endings import SESSION_ENDED
from porthole_control.templates import repository as templates
from porthole_control.templates import rules as template_rules
from porthole_control.templates.repository import Revision
from porthole_control.templates.rules import Known
from porthole_telemetry import tracing


@dataclass(frozen=True, slots=True)
class Wanted:
    """A session that is asked for.

    Attributes:
        spec: JSON of the fields of SessionSpec that were given.
        start_deadline: how long it may wait to begin; None: for ever.
        exposed: the port on which its agent has RDP programs come in; None: none.
    """

    template: TemplateRef
    spec: dict[str, Any]
    name: str | None = None
    agent: str | None = None
    agent_labels: Mapping[str, str] = field(default_factory=dict)
    start_deadline: timedelta | None = None
    exposed: Exposure | None = None


async def get(unit: Unit, principal: Principal, identity: UUID) -> Session:
    """Return a session of theirs.

    Raises:
        NotFound: there is none, or it is another's.
    """
    found = await repository.owned(unit.connection, identity, principal.name)
    if found is None:
        raise NotFound("session", identity)
    return found


async def _locked(unit: Unit, principal: Principal, identity: UUID) -> Session:
    found = await repository.owned_locked(unit.connection, identity, principal.name)
    if found is None:
        raise NotFound("session", identity)
    return found


async def create(unit: Unit, principal: Principal, wanted: Wanted, *, most: int) -> Session:
    """Accept a session, and give it to an agent if one can take it now.

    Args:
        unit: the transaction.
        principal: whose session it will be.
        wanted: what is asked for.
        most: how many living sessions an owner may have.

    Raises:
        NotFound: no such template or agent.
        Conflict: it asks for more than the template allows, the name is taken, or they have
            too many.
    """
    name = wanted.template.name
    market = Market()
    await market.look_at(unit, [name])
    there = await agents.living(unit.connection)
    known = template_rules.known(
        await templates.newest(unit.connection, names=[name]),
        market.offers(name),
        len(there),
    ).get(name)
    if known is None:
        raise NotFound("template", name, code="template_unknown")
    revision = await _revision(unit, known, wanted.template.revision)
    agent_id = None
    if wanted.agent is not None:
        agent_id = there.get(wanted.agent)
        if agent_id is None:
            raise NotFound("agent", wanted.agent, code="agent_unknown")
    spec = rules.resolve(
        {
            **wanted.spec,
            "owner": principal.name,
            "template": str(TemplateRef(revision.name, revision.revision)),
        },
        revision.spec,
    )
    await market.take_turn(unit)
    # In turn, or many that are asked for at once would each find room for one.
    if await repository.count_live(unit.connection, principal.name) >= most:
        raise Conflict("too_many_sessions", f"You have {most} sessions. End one first.")
    home = None
    if spec.home is not None:
        home = await homes.ensure(unit.connection, new_id(), principal.name, spec.home, unit.now)
        if home.created_at == unit.now:
            events.changed(unit, "home", home.id, owner=principal.name)
    identity = new_id()
    session_name = rules.name_of(wanted.name, revision.name, identity)
    try:
        session = await repository.add(
            unit.connection,
            id=identity,
            name=session_name,
            owner=principal.name,
            origin="api",
            template=revision.name,
            template_revision=revision.revision,
            template_digest=revision.digest,
            spec=spec.to_dict(),
            exposed=None if wanted.exposed is None else wanted.exposed.to_dict(),
            desired=str(spec.desired),
            order_no=1,
            wanted_agent_id=agent_id,
            wanted_labels=dict(wanted.agent_labels),
            traceparent=tracing.current(),
            home_id=None if home is None else home.id,
            phase=str(Phase.PENDING),
            reason=str(Reason.ACCEPTED),
            start_deadline=None
            if wanted.start_deadline is None
            else unit.now + wanted.start_deadline,
            created_at=unit.now,
            updated_at=unit.now,
        )
    except IntegrityError:
        raise Conflict(
            "name_taken",
            f"You have a session {session_name!r} already. Take another name, or none.",
        ) from None
    events.happened(
        unit,
        session=identity,
        owner=principal.name,
        kind="Created",
        phase=Phase.PENDING,
        message=f"Created from the template {revision.name!r}, revision {revision.revision}.",
    )
    events.changed(unit, "session", identity, owner=principal.name)
    if home is not None:
        session = replace(session, home=home.name)
    return await assign(unit, session, market, is_new=True)


async def _revision(unit: Unit, known: Known, number: int | None) -> Revision:
    if number is None or number == known.newest.revision:
        return known.newest
    name = known.newest.name
    older = await templates.revision(unit.connection, name, number)
    if older is None:
        raise NotFound(f"revision {number} of the template", name, code="template_unknown")
    return older


async def patch(
    unit: Unit,
    principal: Principal,
    identity: UUID,
    change: dict[str, Any],
    *,
    expected_version: int | None = None,
) -> Session:
    """Change what a session should be: a new order.

    Args:
        unit: the transaction.
        principal: whose session it is.
        identity: which one.
        change: merge patch of `rules.PATCHABLE`, as JSON.
        expected_version: change it only if this is still its version.

    Raises:
        NotFound: there is none that is theirs.
        Conflict: it has ended, or was made with kubectl and more than `desired` is changed.
        Stale: it has another version by now.
    """
    session = await _locked(unit, principal, identity)
    if session.ended or session.delete_requested_at is not None:
        raise Conflict("session_ended", "The session has ended.")
    _check_version(session, expected_version)
    if session.origin == "kubectl" and change.keys() - {"desired"}:
        raise Conflict(
            "not_ours",
            "The session was made with kubectl; here only `desired` can be set. Change the rest"
            " with kubectl.",
        )
    content = None
    if session.template_digest is not None and session.origin == "api":
        content = await templates.content(unit.connection, session.template_digest)
    if "desired" in change and change["desired"] is None:
        change = {**change, "desired": str(Desired.RUNNING)}
    spec = rules.patched(session.spec, change, content)
    new = spec.to_dict()
    if new == session.spec:
        return session
    _tell_change(unit, session, _what_changed(session.spec, new))
    return await order(unit, session, new)


def _check_version(session: Session, expected: int | None) -> None:
    if expected is not None and session.version != expected:
        raise Stale


def _tell_change(unit: Unit, session: Session, what: str) -> None:
    """Tell that somebody asked for a change of a session, in a sentence."""
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Changed",
        phase=session.phase,
        reason=Reason.REQUESTED,
        message=what,
    )


def _what_changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if changed == ["desired"]:
        return (
            "Hibernation was asked for." if new["desired"] != "Running" else "Waking was asked for."
        )
    return f"Changed: {', '.join(changed)}."


async def expose(
    unit: Unit, principal: Principal, identity: UUID, exposed: Exposure | None
) -> None:
    """Have a session's agent listen on a port for it, on another one, or on none (None).

    One that has ended, or is about to, is left as it is.

    Raises:
        NotFound: there is none that is theirs.
    """
    session = await _locked(unit, principal, identity)
    said = None if exposed is None else exposed.to_dict()
    if session.ended or session.delete_requested_at is not None or session.exposed == said:
        return
    _tell_change(
        unit,
        session,
        "Nobody comes in on its port any more."
        if exposed is None
        else f"RDP programs come in on port {exposed.port}, with a new password.",
    )
    await order(unit, session, session.spec, exposed=said)


async def order(unit: Unit, session: Session, spec: dict[str, Any], **changes: Any) -> Session:
    """Give a session a new desired state, the next order, and tell its agent.

    `changes` are of other columns that the order is made of.
    """
    # What could not be begun is tried anew with what is wanted now.
    anew = {"phase": Phase.PENDING, "reason": Reason.ACCEPTED, "message": ""}
    session = await repository.change(
        unit.connection,
        session,
        unit.now,
        spec=spec,
        desired=spec["desired"],
        order_no=session.order_no + 1,
        **changes,
        **(anew if session.phase == Phase.FAILED and session.applied_order == 0 else {}),
    )
    if session.agent_id is not None:
        await orders.apply(unit, session)
    events.changed(unit, "session", session.id, owner=session.owner)
    return session


async def delete(
    unit: Unit,
    principal: Principal,
    identity: UUID,
    *,
    expected_version: int | None = None,
) -> Session:
    """End a session. Ending one that has ended, or is about to, changes nothing.

    Raises:
        NotFound: there is none that is theirs.
        Stale: it has another version by now.
    """
    session = await _locked(unit, principal, identity)
    if session.ended or session.delete_requested_at is not None:
        return session
    _check_version(session, expected_version)
    return await end(unit, session, reason=Reason.REQUESTED, message="Its end was asked for.")


async def end(unit: Unit, session: Session, *, reason: str, message: str) -> Session:
    """Begin to end a session: at once if no agent can have it, else by telling its agent."""
    if session.agent_id is None or (
        session.agent_linked is None
        and session.phase == Phase.PENDING
        and not await commands.sent_or_held(unit.connection, "session", session.id)
    ):
        return await ended(unit, session, reason=reason, message=message)
    session = await repository.change(
        unit.connection,
        session,
        unit.now,
        delete_requested_at=unit.now,
        order_no=session.order_no + 1,
        phase=Phase.TERMINATING,
        reason=reason,
        message=message,
    )
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Ending",
        phase=Phase.TERMINATING,
        reason=reason,
        message=message,
    )
    await orders.delete(unit, session)
    events.changed(unit, "session", session.id, owner=session.owner)
    unit.ring_after_commit(Bell.STREAMS)
    return session


async def ended(unit: Unit, session: Session, *, reason: str, message: str) -> Session:
    """Note that nothing of a session is left; its row stays as its tombstone."""
    waited = session.reason == Reason.NO_CAPACITY and session.agent_id is None
    await on_port.told(unit, session, (), ending=SESSION_ENDED)
    session = await repository.change(
        unit.connection,
        session,
        unit.now,
        phase=Phase.TERMINATED,
        reason=reason,
        message=message,
        deleted_at=unit.now,
        delete_requested_at=session.delete_requested_at or unit.now,
        conditions=[],
        gate=None,
        exposed=None,
        viewers=0,
        home_assigned=False,
    )
    await commands.withdraw(
        unit.connection, subject_kind="session", subject_id=session.id, now=unit.now
    )
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Ended",
        phase=Phase.TERMINATED,
        reason=reason,
        message=message,
    )
    if session.home_id is not None:
        events.changed(unit, "home", session.home_id, owner=session.owner)
    events.changed(unit, "session", session.id, owner=session.owner)
    if waited:
        await queue_moved(unit, after=(session.created_at, session.id))
    failpoint("sessions.ended")
    # Its home, and its room, may be what others wait for.
    unit.ring_after_commit(Bell.WAITING)
    unit.ring_after_commit(Bell.STREAMS)
    return session


async def give_up_late_ones(unit: Unit) -> None:
    """End sessions that have not begun within the time that their creator gave them."""
    for session in await repository.past_start_deadline(unit.connection, unit.now, limit=100):
        await end(
            unit,
            session,
            reason=Reason.START_DEADLINE_PASSED,
            message="It had not begun by the time that its creator gave it.",
        )


async def agent_removed(unit: Unit, agent: UUID, name: str) -> None:
    """End the sessions of an agent that is gone for good: nobody can reach them any more."""
    for found in await repository.on_agent(unit.connection, agent):
        session = await repository.locked(unit.connection, found.id)
        if session is not None and not session.ended:
            await ended(
                unit,
                session,
                reason=Reason.AGENT_REMOVED,
                message=f"Its agent {name!r} was revoked.",
            )
