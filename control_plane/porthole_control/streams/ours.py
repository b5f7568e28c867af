"""Streams whose viewer we are ourselves: logs, programs run by a call, desktops driven by calls."""

from uuid import UUID

from porthole_contract.lifecycle import Phase
from porthole_contract.stream.channels import Mode
from porthole_control.agents import repository as agents
from porthole_control.db.database import Unit
from porthole_control.errors import Conflict, Unavailable
from porthole_control.people.rules import Principal
from porthole_control.sessions.repository import Session
from porthole_control.streams import repository
from porthole_control.streams.endings import SESSION_ENDED


def must_run(session: Session) -> None:
    """Check that a session has a desktop that can be used now (pure).

    Raises:
        Conflict: it has ended, or does not run.
    """
    if session.ended or session.phase == Phase.TERMINATING:
        raise Conflict(SESSION_ENDED.name, SESSION_ENDED.sentence)
    if session.phase != Phase.RUNNING:
        raise not_running(session.phase)


def not_running(phase: str) -> Conflict:
    """Return why a session's desktop cannot be used, and what to do about it (pure)."""
    asleep = phase in {Phase.HIBERNATED, Phase.HIBERNATING}
    then = "wake it first" if asleep else "wait until it runs"
    return Conflict("session_not_running", f"The session is {phase}; {then}.")


async def must_be_reachable(unit: Unit, session: Session) -> None:
    """Check that a session's agent is linked.

    Raises:
        Unavailable: it is not, or there is none.
    """
    agent = None
    if session.agent_id is not None:
        agent = await agents.agent(unit.connection, session.agent_id)
    if agent is None or not agent.linked:
        raise Unavailable("The session's agent is out of reach.", retry_after=1)


async def begin(
    unit: Unit,
    stream: UUID,
    principal: Principal,
    session: Session,
    *,
    channel: str,
    protocol: str | None = None,
    mode: str = Mode.VIEW,
    replica: UUID,
) -> None:
    """Write down a stream that `replica`, this process, is about to carry."""
    await repository.add(
        unit.connection,
        id=stream,
        session_id=session.id,
        owner=session.owner,
        user_id=principal.user_id,
        token_id=principal.token_id,
        channel=channel,
        protocol=protocol,
        mode=mode,
        state="waiting",
        agent_id=session.agent_id,
        replica_id=replica,
        created_at=unit.now,
    )
