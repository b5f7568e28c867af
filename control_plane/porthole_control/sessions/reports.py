"""What agents tell about sessions, brought together with what we know.

An agent is believed about its own sessions and about nothing else. Only what it says counts,
never what it leaves out, but for a complete inventory; and even then a session is taken for
ended only if the agent certainly had it before. What we do not know is adopted, unless we
remember that it was to end: then its end is ordered again.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import (
    CommandResult,
    Origin,
    Outcome,
    SessionEnded,
    SessionObserved,
)
from porthole_contract.session import SessionSpec, TemplateRef
from porthole_control.agents import repository as agents
from porthole_control.agents.repository import Agent
from porthole_control.commands import repository as commands
from porthole_control.commands.repository import Finished
from porthole_control.commands.rules import CommandState, pause_after
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.events import service as events
from porthole_control.homes import repository as homes
from porthole_control.homes import service as home_service
from porthole_control.metrics import CONFLICTS, FAILURES, FENCED, RESTARTS, STARTED
from porthole_control.sessions import orders, owners, repository, rules, service
from porthole_control.sessions.mirror import Mirror
from porthole_control.sessions.repository import Session
from porthole_telemetry import tracing

logger = structlog.get_logger(__name__)

_MOST_ADOPTED = 5000
"""Living sessions of one agent that we did not give to it; more are not believed."""
_SURE_AFTER = timedelta(seconds=15)
"""An inventory may have been written down just before a session began; it proves an absence
only for what the agent had for longer than this."""


async def observed(
    unit: Unit, agent_id: UUID, epoch: int, items: Sequence[SessionObserved]
) -> None:
    """Take in what an agent saw, in its order.

    Args:
        unit: the transaction.
        agent_id: who says so, proven by its link.
        epoch: on which of its links.
        items: what it says.
    """
    agent = await agents.agent(unit.connection, agent_id)
    if agent is None or agent.state == "revoked":
        return
    await _all_observed(unit, agent, epoch, items)


async def _all_observed(
    unit: Unit, agent: Agent, epoch: int, items: Sequence[SessionObserved]
) -> None:
    mirror = await Mirror.of(unit, (item.session for item in items))
    for item in items:
        await _observed(unit, agent, epoch, mirror, item)
    await mirror.write()


async def _observed(
    unit: Unit, agent: Agent, epoch: int, mirror: Mirror, seen: SessionObserved
) -> None:
    if seen.order > rules.HIGHEST_ORDER:
        CONFLICTS.labels("impossible_order").inc()
        logger.warning("impossible_order", agent=agent.name, session=str(seen.session))
        return
    session = await mirror.session(seen.session)
    if session is None:
        if not seen.gone and seen.status.phase is not Phase.TERMINATED:
            await mirror.settle(seen.session)
            await _adopt(unit, agent, epoch, seen)
        return
    if session.agent_id is None and not session.ended:
        # Given to it before our memory was set back.
        session = await mirror.change(session, agent_id=agent.id)
    elif session.agent_id != agent.id:
        CONFLICTS.labels("not_its_own").inc()
        logger.warning("session_of_another_agent", agent=agent.name, session=str(session.id))
        return
    if epoch < session.report_epoch:
        FENCED.labels("report").inc()
        return
    if session.ended:
        if not seen.gone:
            await mirror.settle(session.id)
            await _end_again(unit, session, seen.order)
        return
    await mirror.tell(session, seen)
    if seen.gone:
        await mirror.settle(session.id)
        await _gone(unit, session, reason=seen.status.reason, message=seen.status.message)
        return
    await _take_over(unit, session, epoch, mirror, seen)


async def _take_over(
    unit: Unit, session: Session, epoch: int, mirror: Mirror, seen: SessionObserved
) -> None:
    """Note what a living session is now; adopt what its runtime decided by itself."""
    heard = time.time_ns()
    told = rules.told(session, seen, epoch, unit.now)
    before = session
    if told.values:
        session = await mirror.change(session, **told.values)
        events.changed(unit, "session", session.id, owner=session.owner)
    _count(before, session)
    if before.phase != session.phase and session.phase == Phase.RUNNING:
        _traced(seen, heard)
    if told.phase_sentence is not None:
        events.happened(
            unit,
            session=session.id,
            owner=session.owner,
            kind="PhaseChanged",
            phase=str(told.values["phase"]),
            reason=seen.status.reason,
            message=told.phase_sentence,
        )
        if seen.status.phase is not Phase.RUNNING:
            unit.ring_after_commit(Bell.STREAMS)
    if told.order_again or told.adopted is not None:
        await mirror.settle(session.id)
    if told.order_again:
        await orders.delete(unit, session)
    elif told.adopted is not None:
        events.happened(
            unit,
            session=session.id,
            owner=session.owner,
            kind="Adopted",
            phase=seen.status.phase,
            reason=seen.status.reason,
            message=f"Its runtime holds it to {seen.desired}, and so do we from now on.",
        )
        await service.order(unit, session, told.adopted)


def _count(before: Session, now: Session) -> None:
    RESTARTS.inc(max(0, now.restarts - before.restarts))
    if before.phase == now.phase:
        return
    if now.phase == Phase.FAILED:
        FAILURES.inc()
    first = now.phase == Phase.RUNNING and (now.order_no, now.restarts) == (1, 0)
    if first and not now.adopted:
        STARTED.observe(max(0.0, (now.updated_at - now.created_at).total_seconds()))


def _traced(seen: SessionObserved, heard: int) -> None:
    """Tell of the end of the way: it can be looked at now."""
    live = tracing.process().begin(
        "session runs",
        seen.traceparent,
        "consumer",
        start=heard,
        porthole_session=str(seen.session),
    )
    live.end()


async def _gone(unit: Unit, session: Session, *, reason: str, message: str) -> None:
    if session.delete_requested_at is not None:
        reason, message = session.reason, "Nothing of it is left but its home."
    elif not reason:
        reason, message = Reason.DELETED_IN_CLUSTER, "It was ended there, not by us."
    await service.ended(unit, session, reason=reason, message=message or "It has ended.")


async def _end_again(unit: Unit, session: Session, order: int) -> None:
    """Order the end of something that lives although it has ended; once at a time."""
    if await commands.is_open(unit.connection, "session", session.id, order=0):
        return
    CONFLICTS.labels("lives_after_its_end").inc()
    number = max(session.order_no, order) + 1
    again = await repository.change(unit.connection, session, unit.now, order_no=number)
    await orders.delete(unit, again)


async def _adopt(unit: Unit, agent: Agent, epoch: int, seen: SessionObserved) -> None:
    """Take in a session that we did not know, within bounds."""
    if await repository.count_adopted(unit.connection, agent.id) >= _MOST_ADOPTED:
        CONFLICTS.labels("too_many").inc()
        logger.warning("too_many_adopted", agent=agent.name, session=str(seen.session))
        return
    whose = await owners.listing(unit, agent, seen.owner, made_there=seen.origin is Origin.KUBECTL)
    owner = whose.owner
    spec = seen.spec or SessionSpec(
        owner=seen.owner, template=TemplateRef(name="unknown"), desired=seen.desired
    )
    status = seen.status
    home = None if status.home is None else await homes.locked(unit.connection, status.home)
    await repository.add(
        unit.connection,
        id=seen.session,
        name=seen.name,
        owner=owner,
        origin=seen.origin,
        foreign_owner=whose.foreign,
        adopted=True,
        template=spec.template.name,
        template_revision=spec.template.revision,
        spec=spec.to_dict(),
        desired=seen.desired,
        order_no=max(seen.order, 1),
        agent_id=agent.id,
        home_id=None if home is None or home.owner != owner else home.id,
        reported_order=seen.order,
        report_epoch=epoch,
        **rules.status_values(status),
        created_at=min(status.started_at or unit.now, unit.now),
        updated_at=unit.now,
        observed_at=unit.now,
    )
    CONFLICTS.labels("adopted").inc()
    events.happened(
        unit,
        session=seen.session,
        owner=owner,
        kind="Adopted",
        phase=status.phase,
        reason="Foreign" if whose.foreign else "",
        message=f"The agent {agent.name!r} has it; we did not know it."
        + (f" It says that it belongs to {whose.foreign!r}." if whose.foreign else ""),
    )
    events.changed(unit, "session", seen.session, owner=owner)


async def inventory(
    unit: Unit,
    agent_id: UUID,
    epoch: int,
    *,
    sessions: Sequence[SessionObserved],
    ended: Sequence[SessionEnded],
) -> None:
    """Take in everything that an agent has at one moment, and what follows from the rest."""
    agent = await agents.agent(unit.connection, agent_id)
    if agent is None or agent.state == "revoked":
        return
    unheard = agent.unheard_since is not None and epoch == agent.epoch
    if unheard and await agents.was_heard(unit.connection, agent_id):  # its row is the first
        unit.ring_after_commit(Bell.WAITING)
    await _all_observed(unit, agent, epoch, sessions)
    # Should somebody have been given a name in clusters just when one of these was adopted.
    await owners.relist(unit, {one.owner for one in sessions if one.origin is Origin.KUBECTL})
    for gone in ended:
        session = await repository.locked(unit.connection, gone.session)
        if session is None or session.ended:
            continue
        # Without an agent it was given to this one before our memory was set back.
        if session.agent_id in {agent_id, None}:
            await _gone(unit, session, reason=gone.reason, message=gone.message)
    if epoch != agent.epoch:
        FENCED.labels("inventory").inc()
        # It may have waited for the database while newer links told more: no absence is proven.
        return
    there = {item.session: item for item in sessions if not item.gone}
    for session in await repository.on_agent(unit.connection, agent_id):
        if session.id in there:
            await _catch_up(unit, session.id, there[session.id].order)
        else:
            await _absent(unit, session.id)


async def _catch_up(unit: Unit, identity: UUID, order: int) -> None:
    """Send our newest order again if the agent holds an older one and nothing is on its way."""
    session = await repository.locked(unit.connection, identity)
    if session is None or session.ended or order >= session.order_no:
        return
    if await commands.is_open(unit.connection, "session", identity, order=session.order_no):
        return
    if await _was_refused(unit, session):
        return
    CONFLICTS.labels("behind").inc()
    await (orders.delete if session.delete_requested_at else orders.apply)(unit, session)


async def _was_refused(unit: Unit, session: Session) -> bool:
    return await commands.has_failed(unit.connection, "session", session.id, order=session.order_no)


async def _absent(unit: Unit, identity: UUID) -> None:
    """Decide about a session that a complete inventory does not have."""
    session = await repository.locked(unit.connection, identity)
    if session is None or session.ended:
        return
    if await commands.is_open(unit.connection, "session", identity, order=0):
        return
    since = _had_it_since(session)
    if since is not None:
        if since < unit.now - _SURE_AFTER:
            CONFLICTS.labels("ended_elsewhere").inc()
            await _gone(unit, session, reason="", message="")
    elif session.delete_requested_at is not None:
        await _gone(unit, session, reason="", message="")
    elif not await _was_refused(unit, session):
        CONFLICTS.labels("sent_again").inc()
        await orders.apply(unit, session)


def _had_it_since(session: Session) -> datetime | None:
    """Return since when its agent has certainly had a session; None: perhaps never."""
    if session.applied_at is not None:
        return session.applied_at
    return session.observed_at


async def command_results(unit: Unit, agent_id: UUID, results: Sequence[CommandResult]) -> None:
    """Note how commands ended, and what follows for their subjects."""
    ordered = [result.command for result in results]
    await repository.lock_subjects(unit.connection, agent_id, ordered)
    retried = await _retried(unit, agent_id, results)
    told = {result.command: result for result in results}
    finished = await commands.finish(
        unit.connection,
        agent=agent_id,
        results=[
            (result.command, CommandState(result.outcome), _words(result))
            for result in results
            if result.command not in retried
        ],
        now=unit.now,
    )
    applied = [
        (done.subject_id, done.order_no)
        for done in finished
        if done.kind == "ApplySession"
        and done.state != CommandState.FAILED
        and done.order_no is not None
    ]
    if applied:
        for held in await repository.applied(unit.connection, agent_id, applied, unit.now):
            events.happened(
                unit,
                session=held.session,
                owner=held.owner,
                kind="Taken",
                phase=held.phase,
                message=f"Its runtime holds order {held.order} from now on.",
            )
    if gone := [done.subject_id for done in finished if done.kind == "DeleteHome"]:
        await home_service.deleted_by_agent(unit, agent_id, *gone)
    for done in finished:
        if done.kind == "DeleteSession":
            await _deleted(unit, done)
        elif done.state == CommandState.FAILED:
            await _refused(unit, done, told[done.id])
    if any(done.others_wait for done in finished):
        unit.ring_after_commit(Bell.COMMANDS, agent_id)


def _words(result: CommandResult) -> str:
    if result.outcome is not Outcome.FAILED:
        return ""
    return f"{result.code}: {result.message}".strip(": ")


async def _retried(
    unit: Unit, agent_id: UUID, results: Sequence[CommandResult]
) -> Collection[UUID]:
    """Send again what failed and has to be done all the same: ends of sessions and homes."""
    failed = {r.command: r for r in results if r.outcome is Outcome.FAILED}
    if not failed:
        return ()
    kept = await commands.must_be_done(unit.connection, agent_id, list(failed))
    await commands.requeue(
        unit.connection,
        agent=agent_id,
        again=[
            (claimed.id, unit.now + pause_after(claimed.attempts), _words(failed[claimed.id]))
            for claimed in kept
        ],
    )
    return {claimed.id for claimed in kept}


async def _deleted(unit: Unit, done: Finished) -> None:
    session = await repository.locked(unit.connection, done.subject_id)
    if session is None or session.ended or session.delete_requested_at is None:
        return
    if done.state == CommandState.SUPERSEDED and done.order_no != session.order_no:
        return
    await _gone(unit, session, reason="", message="")


async def _refused(unit: Unit, done: Finished, result: CommandResult) -> None:
    """Tell a session's owner that its agent cannot do what was ordered."""
    session = await repository.locked(unit.connection, done.subject_id)
    if session is None or session.ended or done.order_no != session.order_no:
        return
    sentence = result.message or result.code or "The agent did not say why."
    never_began = session.applied_order == 0 and session.phase == Phase.PENDING
    if never_began:
        await repository.change(
            unit.connection,
            session,
            unit.now,
            phase=Phase.FAILED,
            reason=Reason.START_FAILED,
            message=sentence,
        )
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Refused",
        phase=Phase.FAILED if never_began else session.phase,
        reason=result.code,
        message=sentence,
    )
    events.changed(unit, "session", session.id, owner=session.owner)
