"""Streams that nobody asked us for: programs that came in on a session's own port.

Their bytes go from the agent to the program; we hear that they are there, and that they ended.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from porthole_contract.link.reports import StreamSeen
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_control.db.database import Unit
from porthole_control.events import service as events
from porthole_control.sessions.repository import Session
from porthole_control.streams import repository
from porthole_control.streams.endings import STREAM_CUT, Ending, refused

KEPT: Final = 200
"""How many of those that have ended are kept, of one session."""


async def told(
    unit: Unit, session: Session, seen: Sequence[StreamSeen], *, ending: Ending = STREAM_CUT
) -> None:
    """Take in which of them an agent has; of ours, those that it does not name have ended.

    Args:
        unit: the transaction.
        session: whose port they came in on, its row locked.
        seen: what its agent says: all that are open, and the last that have ended.
        ending: why those have ended that it does not name.
    """
    known = await repository.on_port(unit.connection, session.id, [one.stream for one in seen])
    for one in seen:
        if one.stream not in known and await _begun(unit, session, one):
            _say(unit, session, "StreamOpened", "looks at it.")
            known = {**known, one.stream: "open"}
        if one.ended_at is not None and known.get(one.stream) == "open":
            await _over(unit, session, one)
    named = {one.stream for one in seen}
    for stream in (one for one, state in known.items() if state == "open" and one not in named):
        await repository.end(unit.connection, stream, ending, unit.now)
        _say(unit, session, "StreamClosed", f"looks at it no more: {ending.sentence}")


async def _begun(unit: Unit, session: Session, one: StreamSeen) -> bool:
    """Write it down; return whether it is a new one."""
    begun = _moment(unit, one.since)
    return await repository.add_on_port(
        unit.connection,
        keep=KEPT,
        id=one.stream,
        session_id=session.id,
        owner=session.owner,
        channel=str(Channel.RDP),
        protocol=str(Wire.RDP),
        mode=str(Mode.CONTROL),
        state="open",
        agent_id=session.agent_id,
        created_at=begun,
        opened_at=begun,
    )


async def _over(unit: Unit, session: Session, one: StreamSeen) -> None:
    assert one.ended_at is not None
    ended = _moment(unit, one.ended_at)
    said = refused(one.reason, one.message) if one.reason else STREAM_CUT
    await repository.end(
        unit.connection,
        one.stream,
        said,
        ended,
        to_viewer=one.to_viewer,
        from_viewer=one.from_viewer,
    )
    seconds = max(0.0, (ended - _moment(unit, one.since)).total_seconds())
    _say(
        unit,
        session,
        "StreamClosed",
        f"looks at it no more, after {seconds:.0f} s, {one.to_viewer} bytes seen and"
        f" {one.from_viewer} sent: {said.sentence}",
    )


def _moment(unit: Unit, said: datetime) -> datetime:
    """Return a moment that an agent names: a clock that goes wrong is not our future."""
    return min(said, unit.now)


def _say(unit: Unit, session: Session, kind: str, what: str) -> None:
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind=kind,
        message=f"A program on its own port {what}",
    )
