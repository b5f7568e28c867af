"""What people do: when somebody last used the desktop, and how fast one viewer types."""

from collections.abc import Callable
from typing import Final, Protocol

from porthole_contract.stream.control import HEARTBEAT

_BURST: Final = 3
"""Seconds' worth of events that may come at once."""


class Input(Protocol):
    """Told of what a person does: real events, after the mode was judged."""

    def event(self) -> None:
        """A key or pointer event arrived, whether it may pass or not."""

    def used(self) -> None:
        """A key or pointer event passes, and it is not a repetition of the last."""


class Idleness:
    """Since when nobody has used the desktop.

    Args:
        clock: seconds, monotonic.
        back: called when somebody uses it after a while: who counts hears at once.
    """

    def __init__(self, clock: Callable[[], float], back: Callable[[], None]) -> None:
        self._clock = clock
        self._back = back
        self._last = clock()

    def used(self) -> None:
        """Somebody pressed a key or moved the pointer."""
        before, self._last = self._last, self._clock()
        if self._last - before >= HEARTBEAT.total_seconds():
            self._back()

    def seconds(self) -> float:
        """Return how long ago that was; at first, since the gate began."""
        return max(0.0, self._clock() - self._last)


class Pace:
    """How many events a second one viewer may cause.

    Args:
        rate: events a second.
        clock: seconds, monotonic.
    """

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._room = float(rate * _BURST)
        self._at = clock()

    def event(self) -> None:
        """Count one."""
        self._room = self._room_now() - 1
        self._at = self._clock()

    def debt(self) -> float:
        """Return for how many seconds nothing more should be read; 0 if it may."""
        return max(0.0, -self._room_now() / self._rate)

    def _room_now(self) -> float:
        gained = (self._clock() - self._at) * self._rate
        return min(self._rate * _BURST, self._room + gained)
