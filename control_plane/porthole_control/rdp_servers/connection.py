"""A connection to an RDP server, on the way that every viewer takes: does it draw?

A stream like any other, whose viewer we are ourselves; it ends with the first whole picture.
"""

import asyncio
from typing import Final

from porthole_control.db.database import Database
from porthole_control.db.ids import new_id
from porthole_control.driving.drives import Right
from porthole_control.rdp_servers.probe import Probe, Refused
from porthole_control.rdp_servers.schemas import RdpConnectionTest
from porthole_control.sockets import Gone
from porthole_control.streams import repository
from porthole_control.streams.endings import Ending
from porthole_control.streams.looking import Looking

WITHIN: Final = 15.0
"""Seconds for all of it."""
_DONE: Final = 1000


class ProbeLeg:
    """The viewer's leg of a stream, when the viewer is a probe (`Leg`).

    Attributes:
        lost: never set: this leg is lost to nobody.
        why: what was wrong with what came; empty while nothing is.
    """

    def __init__(self, probe: Probe) -> None:
        self.lost = asyncio.Event()
        self.why = ""
        self._probe = probe
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._out.put_nowait(probe.hello())
        self._until = asyncio.get_running_loop().time() + WITHIN

    async def hear(self) -> str | bytes:
        """Return what the probe says next; `Gone` when it has seen enough, or time is up."""
        left = self._until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, left)):
                data = await self._out.get()
        except TimeoutError:
            self.why = "No whole picture came in time."
            raise Gone(_DONE) from None
        if data is None:
            raise Gone(_DONE)
        return data

    async def say(self, data: bytes) -> None:
        """Take what the desktop says."""
        try:
            answer = self._probe.feed(data)
        except Refused as refused:
            self.why = str(refused)
            self._out.put_nowait(None)
            return
        if answer:
            self._out.put_nowait(answer)
        if self._probe.drawn:
            self._out.put_nowait(None)

    async def close(self, code: int, reason: str = "") -> None:
        """Nothing is to be closed."""


async def tested(
    database: Database, looking: Looking, right: Right, size: tuple[int, int]
) -> RdpConnectionTest:
    """Connect to a session that runs, as somebody who only looks, and say what was found.

    Args:
        database: where streams are.
        looking: opens them.
        right: who looks at which session.
        size: of its screen; it keeps it.
    """
    probe = Probe(*size)
    stream = new_id()
    async with database.unit() as unit:
        await repository.add(
            unit.connection,
            id=stream,
            session_id=right.session.id,
            owner=right.session.owner,
            user_id=right.principal.user_id,
            token_id=right.principal.token_id,
            channel="rdp",
            protocol="rdcleanpath",
            mode="view",
            state="waiting",
            agent_id=right.session.agent_id,
            replica_id=looking.replica,
            created_at=unit.now,
        )
    loop = asyncio.get_running_loop()
    begun = loop.time()
    leg = ProbeLeg(probe)
    ending = await looking.carry(stream, leg, asyncio.Event())
    return RdpConnectionTest(
        connection_available=probe.drawn,
        port_open=probe.answered,
        drawn_percent=probe.drawn_percent,
        pictures=probe.tiles,
        resolution=None if probe.size is None else f"{probe.size[0]}x{probe.size[1]}",
        seconds=round(loop.time() - begun, 3),
        message=_message(probe, leg, ending),
    )


def _message(probe: Probe, leg: ProbeLeg, ending: Ending) -> str:
    if probe.drawn:
        return "The desktop was drawn."
    return leg.why or ending.sentence or "The desktop was not drawn."
