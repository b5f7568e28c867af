"""Tickets: the right to open one stream, once, within seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from porthole_contract.lifecycle import Phase
from porthole_contract.stream.channels import SERVED, Channel
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, Unavailable
from porthole_control.people import rules as secrets
from porthole_control.people.rules import Principal
from porthole_control.people.service import new_secret
from porthole_control.sessions.repository import Session
from porthole_control.streams import repository


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, shown once."""

    stream: UUID
    text: str
    expires_at: datetime


async def issue(
    unit: Unit,
    principal: Principal,
    session: Session,
    *,
    linked: bool,
    channel: str,
    mode: str,
    origin: str | None,
    lifetime: timedelta,
) -> Ticket:
    """Make a ticket for a stream to a session.

    Args:
        unit: the transaction.
        principal: who will look.
        session: at what; it is theirs.
        linked: whether its agent can be asked now.
        channel: which channel, e.g. `vnc`.
        mode: `control` or `view`.
        origin: the web origin that asks; the stream is opened from there or not at all.
        lifetime: how long the ticket is good.

    Raises:
        Conflict: no gate serves that channel, or the session has ended or does not run (yet).
        Unavailable: its agent is out of reach.
    """
    served = SERVED.get(Channel(channel), frozenset()) if channel in set(Channel) else frozenset()
    if mode not in served:
        raise Conflict("channel_not_served", f"There is no channel {channel!r} to look at.")
    if session.ended or session.phase == Phase.TERMINATING:
        raise Conflict("session_ended", "The session has ended.")
    if session.phase != Phase.RUNNING:
        raise Conflict(
            "session_not_running", f"The session is {session.phase}; look at it once it runs."
        )
    if not linked:
        # An agent that lost its link is back within half a second, or it takes longer.
        raise Unavailable("The session's agent is out of reach.", retry_after=1)
    identity = new_id()
    text, kept = new_secret(secrets.TICKET, identity)
    expires_at = unit.now + lifetime
    await repository.add(
        unit.connection,
        id=identity,
        session_id=session.id,
        owner=session.owner,
        user_id=principal.user_id,
        token_id=principal.token_id,
        channel=channel,
        mode=mode,
        ticket_hash=kept,
        ticket_expires_at=expires_at,
        origin=origin,
        agent_id=session.agent_id,
        created_at=unit.now,
    )
    return Ticket(identity, text, expires_at)
