"""Where the two legs of a stream meet, inside the process that has the viewer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from porthole_control.streams.endings import GOING_AWAY, VIEWER_LEFT, Ending
from porthole_control.streams.pump import Leg


class Meeting:
    """A stream that waits for its agent's leg, or has it.

    Attributes:
        leg: the agent's leg, once it is there.
        ended: why the stream has to end, once that is so.
        over: the agent's leg is no longer needed, for this reason.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.leg: asyncio.Future[Leg] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self.over: asyncio.Future[Ending] = loop.create_future()

    def end(self, ending: Ending) -> None:
        """Have the stream end, if nothing else has ended it before."""
        if not self.ended.done():
            self.ended.set_result(ending)


class Rendezvous:
    """The streams whose viewers this process has."""

    def __init__(self) -> None:
        self._meetings: dict[UUID, Meeting] = {}
        self._leaving = False

    @property
    def streams(self) -> list[UUID]:
        """The streams that are waiting or open."""
        return list(self._meetings)

    @contextmanager
    def meeting(self, stream: UUID) -> Iterator[Meeting]:
        """Wait for the agent's leg of a stream, and look after it, while the block runs."""
        meeting = self._meetings[stream] = Meeting()
        if self._leaving:
            meeting.end(GOING_AWAY)
        try:
            yield meeting
        finally:
            del self._meetings[stream]
            if not meeting.over.done():
                meeting.over.set_result(VIEWER_LEFT)

    def expects(self, stream: UUID) -> bool:
        """Return whether a stream waits for its agent's leg here."""
        meeting = self._meetings.get(stream)
        return meeting is not None and not meeting.leg.done()

    async def join(self, stream: UUID, leg: Leg) -> Ending:
        """Bring the agent's leg; returns when it is no longer needed, with the reason."""
        meeting = self._meetings.get(stream)
        if meeting is None or meeting.leg.done():
            return VIEWER_LEFT
        meeting.leg.set_result(leg)
        return await asyncio.shield(meeting.over)

    def end(self, stream: UUID, ending: Ending) -> None:
        """Have a stream end."""
        if meeting := self._meetings.get(stream):
            meeting.end(ending)

    async def leave(self, within: float = 2.0) -> None:
        """End all streams, for this process ends; takes no more."""
        self._leaving = True
        meetings = list(self._meetings.values())
        for meeting in meetings:
            meeting.end(GOING_AWAY)
        if meetings:
            await asyncio.wait([meeting.over for meeting in meetings], timeout=within)
