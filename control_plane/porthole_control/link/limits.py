"""How many links may be tried at once, and how often. Pure but for the clock it is given."""

from collections import defaultdict
from uuid import UUID

GREETINGS = 128
"""Greetings under way in this process."""
GREETINGS_OF_ADDRESS = 32
"""Greetings under way from one address."""
LINKS_OF_AGENT = 20
"""Links that one agent may begin within `WINDOW_SECONDS`."""
WINDOW_SECONDS = 10.0
_MOST_REMEMBERED = 10_000


class Limits:
    """Counts greetings and links."""

    def __init__(self) -> None:
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._all = 0
        self._links: dict[UUID, list[float]] = {}

    def enter(self, address: str) -> bool:
        """Count a greeting that begins; return whether it may. If so, `leave` it."""
        if self._all >= GREETINGS or self._under_way[address] >= GREETINGS_OF_ADDRESS:
            if not self._under_way[address]:
                del self._under_way[address]
            return False
        self._all += 1
        self._under_way[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Count a greeting that is over."""
        self._all -= 1
        self._under_way[address] -= 1
        if not self._under_way[address]:
            del self._under_way[address]

    def linked(self, agent: UUID, now: float) -> bool:
        """Count a link of an agent that has proven itself; return whether it may have it."""
        if len(self._links) > _MOST_REMEMBERED:
            self._links.clear()
        times = self._links.setdefault(agent, [])
        while times and now - times[0] > WINDOW_SECONDS:
            times.pop(0)
        if len(times) >= LINKS_OF_AGENT:
            return False
        times.append(now)
        return True
