"""Whether what we are told keeps up with what there is (pure).

A watch that has silently ended looks like a quiet cluster. Positive evidence tells them apart:
a list that has a newer state of an object than the watch has told for longer than `PATIENCE`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

PATIENCE: Final = timedelta(seconds=30)

Key = tuple[str, str]


class Watchfulness:
    """Compares what was told with what was listed.

    Args:
        now: when the watch began.
    """

    def __init__(self, now: datetime) -> None:
        self._told: dict[Key, str] = {}
        self._missed: dict[Key, datetime] = {}
        self.last_event = now
        """When the watch last told anything."""

    def told(self, key: Key, version: str | None, now: datetime) -> None:
        """The watch told a state of an object; None: that it is gone."""
        self.last_event = now
        self._missed.pop(key, None)
        if version is None:
            self._told.pop(key, None)
        else:
            self._told[key] = version

    def listed(self, versions: Mapping[Key, str], now: datetime) -> tuple[Key, ...]:
        """A list had these states; return the objects of which the watch has told another."""
        news = tuple(key for key, version in versions.items() if self._told.get(key) != version)
        self._missed = {key: self._missed.get(key, now) for key in news}
        for key in set(self._told) - set(versions):
            del self._told[key]
        return news

    def is_blind(self, now: datetime) -> bool:
        """Whether something that was listed long ago has still not been told."""
        return any(now - since > PATIENCE for since in self._missed.values())
