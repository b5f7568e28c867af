"""What a session's story says of programs that drive it.

The first use of each kind is told at once, and when the stream is over, how many there were:
a program that types a letter a second does not write a line a second. What was typed or
copied is told nobody.
"""

import asyncio
from collections import Counter
from typing import Final
from uuid import UUID

from porthole_contract.stream import drive
from porthole_control.background import keep_going
from porthole_control.db.database import Database
from porthole_control.events import service as events
from porthole_control.events.repository import Remark

_KINDS: Final[dict[type[drive.Request], tuple[str, str, str]]] = {
    drive.TakePicture: ("PictureTaken", "takes pictures of it", "pictures"),
    drive.Act: ("InputSent", "uses keys and pointer", "inputs"),
    drive.ReadClipboard: ("ClipboardRead", "reads its clipboard", "looks at the clipboard"),
    drive.WriteClipboard: ("ClipboardWritten", "writes its clipboard", "texts for the clipboard"),
    drive.ReadImage: ("ClipboardRead", "reads its clipboard", "looks for a copied picture"),
    drive.WriteImage: ("ClipboardWritten", "writes its clipboard", "pictures for the clipboard"),
}


class Uses:
    """The uses of one stream.

    Args:
        database: where stories are.
        session: whose story.
        who: the user's program, or their console.
    """

    def __init__(self, database: Database, session: UUID, who: str) -> None:
        self._database = database
        self._session = session
        self._who = who
        self._counts: Counter[type[drive.Request]] = Counter()
        self._telling: set[asyncio.Task[bool]] = set()

    def used(self, request: drive.Request) -> None:
        """Count one; the first of its kind is told."""
        kind = type(request)
        self._counts[kind] += 1
        if self._counts[kind] == 1:
            word, sentence, _ = _KINDS[kind]
            task = asyncio.create_task(self._tell(word, f"{self._who} {sentence}."))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def over(self) -> None:
        """It is over: tell how many there were."""
        await asyncio.gather(*self._telling, return_exceptions=True)
        if self._counts:
            parts = [f"{count} {_KINDS[kind][2]}" for kind, count in self._counts.items()]
            counted = ", ".join(parts)
            await self._tell("DriveEnded", f"{self._who} is done: {counted}.")

    async def _tell(self, kind: str, message: str) -> bool:
        remark = Remark(self._session, kind, message)
        return await keep_going("story", lambda: events.remark(self._database, remark))
