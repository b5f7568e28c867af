"""Asking agents to dial back, by the process that has their link."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from porthole_contract.link.commands import OpenStream
from porthole_contract.link.reports import StreamRefused
from porthole_contract.stream.channels import usual
from porthole_control.background import keep_going
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.failpoints import failpoint
from porthole_control.link.hub import Hub
from porthole_control.link.reports import Speaker
from porthole_control.people import rules as secrets
from porthole_control.people.service import new_secret
from porthole_control.streams import repository
from porthole_control.streams.endings import refused

SECRET_LIFETIME = timedelta(seconds=75)
"""Longer than any viewer waits: with the waiting, the secret is over."""
_POLL_SECONDS = 1.0
_BATCH = 100


class Asking:
    """Asks the agents that are linked here for the streams that wait for them."""

    def __init__(self, database: Database, doorbell: Doorbell, hub: Hub) -> None:
        self._database = database
        self._doorbell = doorbell
        self._hub = hub

    async def run(self) -> None:
        """Ask, until cancelled."""
        with self._doorbell.hearing(Bell.STREAMS) as hearing:
            while True:
                await keep_going("streams: asking", self._ask_all)
                await hearing.next(_POLL_SECONDS)

    async def _ask_all(self) -> None:
        while await self._ask() == _BATCH:
            pass

    async def _ask(self) -> int:
        links = {link.agent: (link, link.epoch) for link in self._hub.linked()}
        if not links:
            return 0
        async with self._database.unit() as unit:
            wanted = await repository.to_be_asked(
                unit.connection,
                [(agent, epoch) for agent, (_, epoch) in links.items()],
                limit=_BATCH,
            )
            if not wanted:
                return 0
            expires_at = unit.now + SECRET_LIFETIME
            made = {stream.id: new_secret(secrets.DIAL_BACK, stream.id) for stream in wanted}
            await repository.note_asked(
                unit.connection,
                [(one.id, links[one.agent_id][1], made[one.id][1]) for one in wanted],
                expires_at=expires_at,
            )
        failpoint("streams.asking")
        for stream in wanted:
            link, epoch = links[stream.agent_id]
            # One that is not said, because the link is another by now, is asked for on that.
            if link.epoch == epoch:
                link.say(_order(stream, link.base, made[stream.id][0], expires_at))
        failpoint("streams.asked")
        return len(wanted)


def _order(stream: repository.Wanted, base: str, secret: str, expires_at: datetime) -> OpenStream:
    return OpenStream(
        stream=stream.id,
        session=stream.session_id,
        owner=stream.owner,
        protocol=stream.protocol or usual(stream.channel),
        channel=stream.channel,
        mode=stream.mode,
        url=f"{base}/api/v1/streams/{stream.id}/agent",
        secret=secret,
        expires_at=expires_at,
        replaces=stream.replaces,
    )


async def streams_refused(unit: Unit, speaker: Speaker, items: Sequence[StreamRefused]) -> None:
    """Note streams that an agent does not open; their viewers are told at once."""
    await repository.refuse(
        unit.connection,
        speaker.agent,
        [(item.stream, refused(item.code, item.message)) for item in items],
        unit.now,
    )
    unit.ring_after_commit(Bell.STREAMS)
