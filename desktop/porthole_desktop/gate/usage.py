"""What a session uses: its desktop, as that says, and its gate, as the kernel counts it.

The desktop can say what it likes. What is no number that could be is taken for nothing said; a
lie is one about its own user's session, and costs a gate as much as the truth does.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from porthole_contract.kernel import carried
from porthole_contract.stream.control import Usage
from porthole_desktop.supervisor.usage import Used, look

SAID_AGAIN: Final = 1.0
"""Seconds within which nothing new is taken, however often it is said."""
GOOD_FOR: Final = 30.0
"""Seconds after which what was said is nothing any more."""
_MOST: Final = 2**53
_NETWORK: Final = Path("/proc/self/net/dev")


class Meter:
    """What is used, looked at whenever the desktop says what it uses.

    Args:
        clock: seconds, monotonic.
        own: looks at what the gate's own container uses.
        network: reads what the kernel says of the network that gate and desktop have in common.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        own: Callable[[], Used | None] = look,
        network: Callable[[], str] = _NETWORK.read_text,
    ) -> None:
        self._clock = clock
        self._own = own
        self._network = network
        self._at = float("-inf")
        self._seen: Usage | None = None

    def told(self, said: Any) -> None:
        """Take what a supervisor has told."""
        desktop, now = used(said), self._clock()
        if desktop is None or now - self._at < SAID_AGAIN:
            return
        self._at = now
        gate = self._own() or Used(0, 0)
        try:
            received, sent = carried(self._network())
        except (OSError, ValueError):
            received = sent = 0
        self._seen = Usage(
            age=0,
            cpu_seconds=(desktop.cpu + gate.cpu) / 1e6,
            memory=desktop.memory + gate.memory,
            received=received,
            sent=sent,
        )

    def now(self) -> Usage | None:
        """Return what is used, and how long ago that was; None if it is not known."""
        age = self._clock() - self._at
        if self._seen is None or age > GOOD_FOR:
            return None
        return self._seen.model_copy(update={"age": round(age, 3)})


def used(said: Any) -> Used | None:
    """Return what a supervisor has told of its container, if that can be (pure)."""
    match said:
        case {"cpu": int(cpu), "memory": int(memory)} if (
            0 <= cpu < _MOST
            and 0 <= memory < _MOST
            and not isinstance(cpu, bool)
            and not isinstance(memory, bool)
        ):
            return Used(cpu, memory)
        case _:
            return None
