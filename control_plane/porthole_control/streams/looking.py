"""A stream from its ticket to its end, on the side of who looks.

The viewer's leg is a browser's or a program's WebSocket; what waits for the agent's leg,
carries bytes and writes down the end is the same when we ourselves look (logs).
"""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from porthole_control.background import keep_going
from porthole_control.db.database import Database
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.db.trouble import is_passing
from porthole_control.failpoints import failpoint
from porthole_control.metrics import (
    STREAM_BYTES,
    STREAM_OPENED,
    STREAMS,
    STREAMS_ENDED,
    STREAMS_REFUSED,
)
from porthole_control.people import rules as secrets
from porthole_control.sockets import Gone
from porthole_control.streams import repository
from porthole_control.streams.endings import (
    AGENT_SILENT,
    AGENT_UNREACHABLE,
    GOING_AWAY,
    NOT_RUNNING,
    REVOKED,
    SESSION_ENDED,
    TICKET_INVALID,
    WRONG_ORIGIN,
    Ending,
    from_viewer,
)
from porthole_control.streams.pump import Counts, Leg, pump
from porthole_control.streams.rendezvous import Meeting, Rendezvous
from porthole_control.streams.story import Story
from porthole_control.streams.tickets import reachable

logger = structlog.get_logger(__name__)

AGENT_WITHIN = timedelta(seconds=10)
"""How long the agent has to dial back."""
AGENT_OF_A_SLEEPER_WITHIN = timedelta(seconds=60)
"""The same, of a session that sleeps: something has to be started first."""
_REDEEMED_AT_ONCE = 4
_AGAIN_SECONDS = 5.0


class Refusal(Exception):
    """The stream is not opened, for this reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.sentence)
        self.ending = ending


class Looking:
    """Opens streams for viewers that this process has.

    Args:
        database: where streams are.
        doorbell: tells whoever has the agent's link.
        rendezvous: where the agent's leg comes to.
        replica: this process; an attribute, for who writes down streams itself.
    """

    def __init__(
        self, database: Database, doorbell: Doorbell, rendezvous: Rendezvous, replica: UUID
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._rendezvous = rendezvous
        self.replica = replica
        # Whoever comes without a ticket leaves the database's connections to the others.
        self._turn = asyncio.Semaphore(_REDEEMED_AT_ONCE)
        self._unnoted: dict[UUID, tuple[Ending, Counts]] = {}

    async def run(self) -> None:
        """Write down the ends that the database did not take when they came, until cancelled."""
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            for stream, (ending, counts) in list(self._unnoted.items()):
                if not await keep_going(
                    "streams: ends", partial(self._note, stream, ending, counts)
                ):
                    break
                del self._unnoted[stream]

    async def redeem(self, ticket: str, origin: str | None) -> repository.Opened:
        """Use a ticket, and check once more all that its right rests on.

        Args:
            ticket: its text.
            origin: the web origin that opens the stream; None: no browser.

        Raises:
            Refusal: it is no good, or its right is gone.
        """
        parts = secrets.dissect(secrets.TICKET, ticket)
        if parts is None:
            raise Refusal(TICKET_INVALID)
        async with self._turn, self._database.unit() as unit:
            opened = await repository.use_ticket(
                unit.connection,
                parts[0],
                secrets.kept(parts[1]),
                replica=self.replica,
                now=unit.now,
            )
            if opened is None:
                raise Refusal(TICKET_INVALID)
            ending = _why_not(opened, origin)
            expires = opened.token_expires_at
            if ending is None and expires is not None and expires <= unit.now:
                ending = REVOKED
            if ending is not None:
                await repository.end(unit.connection, opened.id, ending, unit.now)
        if ending is not None:
            raise Refusal(ending)
        failpoint("streams.redeemed")
        return opened

    async def carry(
        self, stream: UUID, viewer: Leg, going_away: asyncio.Event, *, asleep: bool = False
    ) -> Ending:
        """Have the agent asked, carry bytes, write down the end; return why it ended.

        The viewer's leg is left open, so that it can be told. `asleep`: the session sleeps.
        """
        counts = Counts()
        ending = GOING_AWAY
        loop = asyncio.get_running_loop()
        begun = loop.time()
        story = Story(self._database, stream)
        STREAMS.inc()
        first = asyncio.create_task(viewer.hear(), name="viewer-first")
        leaving = asyncio.create_task(_when_set(going_away), name="viewer-leaving")
        try:
            with self._rendezvous.meeting(stream) as meeting:
                leaving.add_done_callback(lambda _: meeting.end(GOING_AWAY))
                self._doorbell.ring(Bell.STREAMS)
                within = AGENT_OF_A_SLEEPER_WITHIN if asleep else AGENT_WITHIN
                found = await _first_of(meeting, first, within)
                if isinstance(found, Ending):
                    ending = found
                    STREAMS_REFUSED.labels(found.known_name).inc()
                else:
                    STREAM_OPENED.observe(loop.time() - begun)
                    story.opened()
                    failpoint("streams.met")
                    ending = await pump(
                        viewer, found, counts=counts, ended=meeting.ended, first=first
                    )
                meeting.over.set_result(ending)
        finally:
            first.cancel()
            leaving.cancel()
            await asyncio.gather(first, leaving, return_exceptions=True)
            STREAMS.dec()
            STREAMS_ENDED.labels(ending.family).inc()
            STREAM_BYTES.labels("to_viewer").inc(counts.to_viewer)
            STREAM_BYTES.labels("from_viewer").inc(counts.from_viewer)
            await asyncio.shield(self._write_down(stream, ending, counts))
            await asyncio.shield(story.over(ending, counts, loop.time() - begun))
        return ending

    async def _write_down(self, stream: UUID, ending: Ending, counts: Counts) -> None:
        failpoint("streams.ending")
        try:
            await self._note(stream, ending, counts)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.warning("stream_end_not_noted", error=type(error).__name__)
            if is_passing(error):
                self._unnoted[stream] = ending, counts

    async def _note(self, stream: UUID, ending: Ending, counts: Counts) -> None:
        async with self._database.unit() as unit:
            await repository.end(
                unit.connection,
                stream,
                ending,
                unit.now,
                to_viewer=counts.to_viewer,
                from_viewer=counts.from_viewer,
            )


def _why_not(opened: repository.Opened, origin: str | None) -> Ending | None:
    if opened.origin is not None and origin is not None and origin.lower() != opened.origin:
        return WRONG_ORIGIN
    if opened.token_revoked or opened.user_disabled or opened.agent_state == "revoked":
        return REVOKED
    if opened.session_ending:
        return SESSION_ENDED
    if not reachable(opened.channel, opened.session_phase):
        return NOT_RUNNING
    if not opened.agent_linked:
        return AGENT_UNREACHABLE
    return None


async def _first_of(
    meeting: Meeting, first: asyncio.Task[str | bytes], within: timedelta
) -> Leg | Ending:
    """Return the agent's leg, or why there will be none."""
    waiting: set[asyncio.Future[object]] = {meeting.leg, meeting.ended, first}  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if meeting.ended.done():
                    return meeting.ended.result()
                if meeting.leg.done():
                    return meeting.leg.result()
                # The viewer spoke first: the pump will have it. Or it has left.
                error = first.exception()
                if isinstance(error, Gone):
                    return from_viewer(error)
                waiting.discard(first)
    except TimeoutError:
        return AGENT_SILENT


async def _when_set(event: asyncio.Event) -> None:
    await event.wait()
