"""Live streams whose right is gone are ended: at once when the bell rings, else in a second."""

import asyncio

from porthole_control.background import keep_going
from porthole_control.db import replicas
from porthole_control.db.database import Database
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.streams import repository
from porthole_control.streams.endings import REPLICA_LOST, verdict
from porthole_control.streams.rendezvous import Rendezvous

_LOOK_SECONDS = 1.0
_TIDY_SECONDS = 30.0


class Watch:
    """Looks after the streams whose viewers this process has.

    Args:
        database: where streams are.
        doorbell: rings when a right may be gone.
        rendezvous: where the streams of this process are.
        presence: whether it may say of others that they are dead.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        rendezvous: Rendezvous,
        presence: replicas.Presence,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._rendezvous = rendezvous
        self._presence = presence

    async def run(self) -> None:
        """Look, until cancelled."""
        with self._doorbell.hearing(Bell.STREAMS, Bell.ACCESS) as hearing:
            while True:
                await hearing.next(_LOOK_SECONDS)
                await keep_going("streams: rights", self._look)

    async def _look(self) -> None:
        mine = self._rendezvous.streams
        if not mine:
            return
        async with self._database.reading() as unit:
            standings = await repository.standings(unit.connection, mine)
        for stream in mine:
            ending = verdict(standings.get(stream), unit.now)
            if ending is not None:
                self._rendezvous.end(stream, ending)

    async def tidy(self) -> None:
        """End what dead processes have left behind, from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            await keep_going("streams: tidy", self._tidy)

    async def _tidy(self) -> None:
        async with self._database.unit() as unit:
            # After something that kept all from the database, nobody was seen, and all may live.
            if not self._presence.is_steady(unit.now):
                return
            await repository.end_those_of_the_dead(
                unit.connection,
                REPLICA_LOST,
                unit.now,
                silent_since=unit.now - replicas.LOST_AFTER,
            )
