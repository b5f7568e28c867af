"""What the gate tells of its own start, for whoever collects traces.

It opens no connection for that: its spans go up the control channel, to the first observer that
listens once they are there.
"""

import os
import time
from typing import Final

from porthole_contract.trace import Span, Traceparent

_MOST: Final = 16
"""Spans that wait for an observer; there are never more than two."""


class Spans:
    """The spans of one gate's start: until the picture is there, and its desktop's part of that.

    Args:
        traceparent: what the start is a part of; None, or rubbish: nothing is told.
    """

    def __init__(self, traceparent: str | None) -> None:
        above = Traceparent.read(traceparent)
        self._above = above if above is not None and above.sampled else None
        self._begun = time.time_ns()
        self._desktop_since: int | None = None
        self._over = self._above is None
        self._untold: list[Span] = []

    def supervised(self) -> None:
        """The supervisor has been heard: the desktop has begun."""
        if self._desktop_since is None:
            self._desktop_since = time.time_ns()

    def drawn(self) -> None:
        """There is a picture; the first time counts."""
        above = self._above
        if self._over or above is None:
            return
        self._over = True
        now = time.time_ns()
        own = _new_id()
        self._untold = [
            Span(
                trace=above.trace,
                span=own,
                parent=above.span,
                name="gate waits for the picture",
                start=self._begun,
                end=max(now, self._begun),
            ),
            Span(
                trace=above.trace,
                span=_new_id(),
                parent=own,
                name="desktop paints",
                start=self._desktop_since or now,
                end=max(now, self._desktop_since or now),
            ),
        ][:_MOST]

    def take(self) -> list[Span]:
        """Return what was not told yet; it is told now."""
        untold, self._untold = self._untold, []
        return untold


def _new_id() -> str:
    return os.urandom(8).hex()
