"""Pieces of inventories, put together. Pure.

Only a whole snapshot proves that something is absent, so pieces that do not fit are
dropped together with what they belong to; the agent sends a whole one again in a while.
"""

from dataclasses import dataclass
from uuid import UUID

from porthole_contract.link.codec import size_of
from porthole_contract.link.reports import (
    HomeObserved,
    InventoryPart,
    SessionEnded,
    SessionObserved,
)

MOST = 20_000
"""Sessions, homes and ended sessions of one agent; more are not believed."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a snapshot in frames."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that an agent has, at one moment."""

    place: UUID
    sessions: tuple[SessionObserved, ...]
    homes: tuple[HomeObserved, ...]
    ended: tuple[SessionEnded, ...]


class Assembly:
    """One agent's inventory that is being received."""

    def __init__(self) -> None:
        self._parts: list[InventoryPart] = []
        self._things = 0
        self._bytes = 0

    def add(self, part: InventoryPart) -> Snapshot | None:
        """Take in a piece; return the whole if it was the last one."""
        if part.index == 0:
            self._clear()
        elif not self._continues(part):
            self._clear()
            return None
        self._things += len(part.sessions) + len(part.homes) + len(part.ended)
        self._bytes += size_of(part)
        if self._things > MOST or self._bytes > MOST_BYTES:
            self._clear()
            return None
        self._parts.append(part)
        if not part.last:
            return None
        whole = Snapshot(
            place=part.place,
            sessions=tuple(one for piece in self._parts for one in piece.sessions),
            homes=tuple(one for piece in self._parts for one in piece.homes),
            ended=tuple(one for piece in self._parts for one in piece.ended),
        )
        self._clear()
        return whole

    def _continues(self, part: InventoryPart) -> bool:
        if not self._parts:
            return False
        before = self._parts[-1]
        return (part.snapshot, part.place, part.index) == (
            before.snapshot,
            before.place,
            before.index + 1,
        )

    def _clear(self) -> None:
        self._parts = []
        self._things = 0
        self._bytes = 0
