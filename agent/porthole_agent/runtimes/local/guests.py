"""Who came in on a session's port: what is told of them. Pure.

A program is told of from the moment that its gate has taken its password, and for a while after
it left. Of one that never showed the right one nothing is kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from porthole_contract.link.reports import StreamSeen
from porthole_contract.stream.control import Closed, Viewer

REMEMBERED: Final = 16
"""Streams that have ended and are still told of."""
_UNEXPLAINED: Final = "stream_cut"
_LOST: Final = "The connection to the desktop was lost."


@dataclass(frozen=True, slots=True)
class _Guest:
    since: datetime
    proven: bool = False
    ended_at: datetime | None = None
    reason: str = ""
    message: str = ""
    to_viewer: int = 0
    from_viewer: int = 0


class Guests:
    """The programs that came in on one port."""

    def __init__(self) -> None:
        self._guests: dict[UUID, _Guest] = {}

    def came(self, stream: UUID, now: datetime) -> None:
        """A program has connected; nobody knows yet whether it has the password."""
        self._guests[stream] = _Guest(now)

    def seen(self, viewers: Iterable[Viewer]) -> None:
        """Take in which streams a gate has open."""
        for viewer in viewers:
            guest = self._guests.get(viewer.stream)
            if guest is not None and not viewer.unproven:
                self._guests[viewer.stream] = replace(guest, proven=True)

    def closed(self, news: Closed) -> None:
        """Take in why a gate has closed a stream."""
        guest = self._guests.get(news.viewer.stream)
        if guest is None:
            return
        if news.viewer.unproven:
            del self._guests[news.viewer.stream]
            return
        said = replace(guest, proven=True)
        if not guest.reason:
            said = replace(said, reason=news.reason, message=news.message)
        self._guests[news.viewer.stream] = said

    def cut(self, stream: UUID, reason: str, message: str) -> None:
        """Say why a stream is about to be cut off."""
        guest = self._guests.get(stream)
        if guest is not None:
            self._guests[stream] = replace(guest, reason=reason, message=message)

    def ending(self, reason: str, message: str) -> None:
        """Say why those who are there are about to be sent away, as far as nobody has yet."""
        for stream, guest in self._guests.items():
            if guest.ended_at is None and not guest.reason:
                self._guests[stream] = replace(guest, reason=reason, message=message)

    def explained(self, stream: UUID) -> bool:
        """Return whether it is known why a stream ended, or that nobody is to be told of it."""
        guest = self._guests.get(stream)
        return guest is None or bool(guest.reason)

    def left(self, stream: UUID, now: datetime, *, to_viewer: int, from_viewer: int) -> None:
        """A connection is over; these were its bytes."""
        guest = self._guests.pop(stream, None)
        if guest is None or not guest.proven:
            return
        if not guest.reason:
            guest = replace(guest, reason=_UNEXPLAINED, message=_LOST)
        self._guests[stream] = replace(
            guest, ended_at=now, to_viewer=to_viewer, from_viewer=from_viewer
        )
        gone = [one for one, guest in self._guests.items() if guest.ended_at is not None]
        for one in gone[:-REMEMBERED]:
            del self._guests[one]

    def told(self) -> tuple[StreamSeen, ...]:
        """Return what the control plane is told."""
        return tuple(
            StreamSeen(
                stream=stream,
                since=guest.since,
                ended_at=guest.ended_at,
                reason="" if guest.ended_at is None else guest.reason,
                message="" if guest.ended_at is None else guest.message,
                to_viewer=guest.to_viewer,
                from_viewer=guest.from_viewer,
            )
            for stream, guest in self._guests.items()
            if guest.proven
        )
