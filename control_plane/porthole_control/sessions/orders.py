"""From a session as it should be to the command that makes it so."""

from porthole_contract.link.commands import ApplySession, DeleteSession, Exposure
from porthole_contract.template import PinnedTemplate
from porthole_control.commands import repository as commands
from porthole_control.commands import story
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.events import service as events
from porthole_control.sessions.repository import Session
from porthole_telemetry import tracing

UNKNOWN_DIGEST = "0" * 64
"""The digest of a template that we have never seen: a session from elsewhere has one."""


async def apply(unit: Unit, session: Session, *, traceparent: str | None = None) -> None:
    """Order a session's agent to make it what it should be.

    The template travels as its digest; an agent that does not know it asks. The caller has
    locked the session's row, and says in whose trace that is if it is in nobody's request.
    """
    assert session.agent_id is not None
    body = ApplySession(
        session=session.id,
        order=session.order_no,
        name=session.name,
        owner=session.owner_there,
        spec=session.parsed_spec(),
        template=PinnedTemplate(
            name=session.template,
            revision=session.template_revision or 1,
            digest=session.template_digest or UNKNOWN_DIGEST,
        ),
        home=session.home_id,
        exposed=None if session.exposed is None else Exposure.model_validate(session.exposed),
        traceparent=tracing.current() or traceparent,
    )
    await _enqueue(unit, session, body)


async def delete(unit: Unit, session: Session) -> None:
    """Order a session's agent to end it; the caller has locked the session's row."""
    body = DeleteSession(session=session.id, order=session.order_no, traceparent=tracing.current())
    await _enqueue(unit, session, body)


async def _enqueue(unit: Unit, session: Session, body: ApplySession | DeleteSession) -> None:
    assert session.agent_id is not None
    command = commands.New(
        agent=session.agent_id,
        owner=session.owner,
        subject_kind="session",
        subject_id=session.id,
        kind=body.type,
        payload=body.to_dict(),
        order=body.order,
    )
    put = await commands.put(unit.connection, command, now=unit.now)
    what = "to end it" if isinstance(body, DeleteSession) else "to make it as it should be"
    lines = [("Queued", f"Order {body.order}, {what}, waits in the queue of its agent.")]
    lines[:0] = [(line.kind, line.message) for line in map(story.ended, put.superseded) if line]
    for kind, message in lines:
        events.happened(
            unit,
            session=session.id,
            owner=session.owner,
            kind=kind,
            phase=session.phase,
            message=message,
        )
    unit.ring_after_commit(Bell.COMMANDS, session.agent_id)
