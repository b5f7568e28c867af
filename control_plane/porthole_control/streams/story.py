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

_UNTOLD: Final = frozenset({"logs"})
"""Channels on which nobody looks at a desktop."""


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
        work = keep_going("story", lambda: self._tell("StreamOpened", "{who} looks at it{how}."))
        self._opening = asyncio.create_task(work, name="stream-story")

    async def over(self, ending: Ending, counts: Counts, seconds: float) -> None:
        """It has ended, or was never opened."""
        why = ending.sentence or ending.name
        if self._opening is None:
            kind, sentence = "StreamRefused", f"{{who}} was not let see it: {why}"
        else:
            await self._opening
            kind = "StreamClosed"
            sentence = (
                f"{{who}} looks at it no more, after {seconds:.0f} s, {counts.to_viewer} bytes"
                f" seen and {counts.from_viewer} sent: {why}"
            )
        await keep_going("story", lambda: self._tell(kind, sentence))

    async def _tell(self, kind: str, sentence: str) -> None:
        async with self._database.reading() as unit:
            told = await repository.told_of(unit.connection, self._stream)
        if told is None or told.channel in _UNTOLD:
            return
        how = "" if told.mode == "control" else ", without touching it"
        message = sentence.replace("{how}", how).replace("{who}", told.viewer, 1)
        await events.remark(self._database, Remark(told.session, kind, message))
