"""Pictures of desktops, for programs and for lists.

Who only looks gets one that is a second old at the most, however many look. Who uses the
desktop gets a new one each time: it has to show what they have just done.
"""

import asyncio
from typing import Final
from uuid import UUID

from porthole_contract.stream import drive
from porthole_control.driving.drives import Drives, Right
from porthole_control.errors import Unanswered

FRESH: Final = 1.0
"""Seconds for which a picture is as good as a new one."""
_WITHIN: Final = 20.0
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_Key = tuple[UUID, str, int | None]


class Pictures:
    """The pictures of the last second, by session, owner and width.

    Args:
        drives: takes new ones.
    """

    def __init__(self, drives: Drives) -> None:
        self._drives = drives
        self._kept: dict[_Key, asyncio.Task[bytes]] = {}

    async def take(self, right: Right, width: int | None) -> bytes:
        """Return a PNG of a session's screen.

        Raises:
            Conflict: the desktop, or its gate, says no.
            Unavailable: it cannot be reached.
            Unanswered: it has not answered, or with something else.
        """
        if right.mode == "control":
            return await self._take(right, width)
        key = (right.session.id, right.principal.name, width)
        taking = self._kept.get(key)
        if taking is None:
            taking = self._kept[key] = asyncio.create_task(self._take(right, width))
            taking.add_done_callback(lambda done: self._taken(key, done))
        return await asyncio.shield(taking)

    def _taken(self, key: _Key, taking: asyncio.Task[bytes]) -> None:
        loop = asyncio.get_running_loop()
        # A failure is nobody's picture but theirs who waited for it.
        good = not taking.cancelled() and taking.exception() is None
        loop.call_later(FRESH if good else 0.0, self._forget, key, taking)

    def _forget(self, key: _Key, taking: asyncio.Task[bytes]) -> None:
        if self._kept.get(key) is taking:
            del self._kept[key]

    async def _take(self, right: Right, width: int | None) -> bytes:
        _, png = await self._drives.ask(
            right, lambda number: drive.TakePicture(id=number, width=width), within=_WITHIN
        )
        if not png.startswith(_SIGNATURE):
            raise Unanswered("The desktop has sent no picture.")
        return png
