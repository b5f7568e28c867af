"""What a session's story says of those who look at it."""

import asyncio
from typing import Final
from uuid import UUID

from porthole_control.background import keep_going
from porthole_control.db.database import Database
from porthole_control.events import service as events
from porthole_control.events.repository import Remark
from porthole_control.streams import repository
from porthole_control.streams.endings import Ending
from porthole_control.streams.pump import Counts

_UNTOLD: Final = frozenset({"logs", "drive"})
"""Channels on which nobody looks at a desktop."""
_LOOKS: Final = ("looks at it", "was not let see it", "looks at it no more")
_WORDS: Final = {
    "exec": (
        "runs a program in it",
        "was not let run a program in it",
        "runs that program no more",
    ),
    "files": ("reaches its files", "was not let reach its files", "reaches its files no more"),
    "audio": ("hears it", "was not let hear it", "hears it no more"),
    "microphone": ("speaks into it", "was not let speak into it", "speaks into it no more"),
}
"""What somebody does, was not let do, and does no more; on other channels they look."""


class Story:
    """Tells of one stream, in order; its bytes wait for none of it.

    Args:
        database: where stories are.
        stream: which stream.
    """

    def __init__(self, database: Database, stream: UUID) -> None:
        self._database = database
        self._stream = stream
        self._opening: asyncio.Task[bool] | None = None

    def opened(self) -> None:
        """Both legs are there."""
        work = keep_going("story", lambda: self._tell("StreamOpened", 0, "{how}."))
        self._opening = asyncio.create_task(work, name="stream-story")

    async def over(self, ending: Ending, counts: Counts, seconds: float) -> None:
        """It has ended, or was never opened."""
        why = ending.sentence or ending.name
        if self._opening is None:
            kind, did, rest = "StreamRefused", 1, f": {why}"
        else:
            await self._opening
            kind, did = "StreamClosed", 2
            rest = (
                f", after {seconds:.0f} s, {counts.to_viewer} bytes"
                f" seen and {counts.from_viewer} sent: {why}"
            )
        await keep_going("story", lambda: self._tell(kind, did, rest))

    async def _tell(self, kind: str, did: int, rest: str) -> None:
        async with self._database.reading() as unit:
            told = await repository.told_of(unit.connection, self._stream)
        if told is None or told.channel in _UNTOLD:
            return
        it = "them" if told.channel == "files" else "it"
        touches = told.mode == "control" or told.channel == "audio"
        how = "" if touches else f", without touching {it}"
        does = _WORDS.get(told.channel, _LOOKS)[did]
        message = f"{told.viewer} {does}{rest.replace('{how}', how, 1)}"
        await events.remark(self._database, Remark(told.session, kind, message))
