"""Tickets: the right to open one stream, once, within seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from porthole_contract.lifecycle import Phase
from porthole_contract.session import Protocol
from porthole_contract.stream.channels import DESKTOPS, PROTOCOLS, SERVED, Channel, usual
from porthole_control.db.database import Unit
from porthole_control.db.ids import new_id
from porthole_control.errors import Conflict, NotFound, Unavailable
from porthole_control.people import rules as secrets
from porthole_control.people.rules import Principal, Scope
from porthole_control.people.service import new_secret
from porthole_control.sessions.repository import Session
from porthole_control.streams import repository
from porthole_control.streams.ours import not_running


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, shown once."""

    stream: UUID
    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """What a stream is about, and what is spoken on it."""

    channel: Channel
    protocol: str


def opened(desktop: str, channel: str | None, protocol: str | None, mode: str) -> Opened:
    """Return what is opened of a desktop that is usually seen over this protocol (pure).

    Whether it is seen over another as well, its gate knows.

    Raises:
        Conflict: its gate serves no such channel, or not in that mode or protocol.
    """
    screens = DESKTOPS.get(desktop, ())
    name = screens[0] if channel is None and screens else channel
    if name is None or name not in set(Channel) or mode not in SERVED.get(Channel(name), ()):
        raise Conflict("channel_not_served", f"There is no channel {name!r} to look at.")
    known = Channel(name)
    spoken = protocol or usual(known)
    if spoken not in PROTOCOLS[known]:
        words = " or ".join(repr(str(word)) for word in PROTOCOLS[known])
        raise Conflict("protocol_not_served", f"On {name!r} there is {words}, not {spoken!r}.")
    return Opened(known, spoken)


_RIGHTS: Final = {
    Channel.EXEC: Scope.SESSION_EXEC,
    Channel.FILES: Scope.SESSION_FILES,
    Channel.DRIVE: Scope.SESSION_CONTROL,
}


def right_to(channel: str | None) -> Scope:
    """Return the scope that a ticket for this channel takes, beside `connect` (pure)."""
    if channel is None or channel not in set(Channel):
        return Scope.CONNECT
    return _RIGHTS.get(Channel(channel), Scope.CONNECT)


def reachable(channel: str, phase: str) -> bool:
    """Return whether a session in this phase can be reached on this channel (pure).

    Files of one that sleeps are served as long as they are used.
    """
    return phase == Phase.RUNNING or (channel == Channel.FILES and phase == Phase.HIBERNATED)


async def issue(
    unit: Unit,
    principal: Principal,
    session: Session,
    *,
    linked: bool,
    channel: str | None,
    protocol: str | None,
    mode: str,
    origin: str | None,
    lifetime: timedelta,
    replaces: UUID | None = None,
) -> Ticket:
    """Make a ticket for a stream to a session.

    Args:
        unit: the transaction.
        principal: who will look.
        session: at what; it is theirs.
        linked: whether its agent can be asked now.
        channel: which channel, e.g. `vnc`; None: the usual one of its desktop.
        protocol: what is spoken on it; None: what is usual there.
        mode: `control` or `view`.
        origin: the web origin that asks; the stream is opened from there or not at all.
        lifetime: how long the ticket is good.
        replaces: a stream of theirs to this session, which its gate ends before this one
            reaches the desktop.

    Raises:
        Forbidden: the token has not the right to this channel.
        NotFound: `replaces` is no stream of this token to this session.
        Conflict: its gate does not serve that (`opened`), or the session has ended or does not
            run (yet).
        Unavailable: its agent is out of reach.
    """
    principal.must(right_to(channel))
    what = opened(session.spec.get("protocol") or Protocol.VNC, channel, protocol, mode)
    if session.ended or session.phase == Phase.TERMINATING:
        raise Conflict("session_ended", "The session has ended.")
    if not reachable(what.channel, session.phase):
        raise not_running(session.phase)
    if not linked:
        # An agent that lost its link is back within half a second, or it takes longer.
        raise Unavailable("The session's agent is out of reach.", retry_after=1)
    if replaces is not None and not await repository.is_theirs(
        unit.connection,
        replaces,
        session=session.id,
        user=principal.user_id,
        token=principal.token_id,
    ):
        raise NotFound("stream of yours", replaces, code="stream_unknown")
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
        channel=what.channel,
        protocol=what.protocol,
        mode=mode,
        ticket_hash=kept,
        ticket_expires_at=expires_at,
        origin=origin,
        replaces=replaces,
        agent_id=session.agent_id,
        created_at=unit.now,
    )
    return Ticket(identity, text, expires_at)
