"""A log that a flood cannot fill a disk with.

Lines go to stderr, which the runtime keeps. What the supervisor says itself and what its
programs say have a budget each: a burst, then a trickle. What is over it is counted and
the count is said when there is room again.
"""

import re
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

LONGEST_LINE: Final = 1000
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Log:
    """Writes lines within a budget of bytes.

    Args:
        name: what each line begins with.
        burst: bytes that may be written at once.
        trickle: bytes a second that come back.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        name: str,
        *,
        burst: int = 2**20,
        trickle: int = 64,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO = sys.stderr,
    ) -> None:
        self._name = name
        self._most = burst
        self._trickle = trickle
        self._clock = clock
        self._stream = stream
        self._room = float(burst)
        self._at = clock()
        self._dropped = 0

    def say(self, line: str) -> None:
        """Write one line, if there is room for it."""
        now = self._clock()
        self._room = min(self._most, self._room + (now - self._at) * self._trickle)
        self._at = now
        bare = _COLOURS.sub("", line[:LONGEST_LINE])
        text = "".join(c if c.isprintable() else "?" for c in bare)
        if self._dropped:
            text = f"({self._dropped} lines left out) {text}"
        entry = f"{self._name}: {text}\n"
        size = len(entry.encode(errors="replace"))
        if size > self._room:
            self._dropped += 1
            return
        self._room -= size
        self._dropped = 0
        try:
            self._stream.write(entry)
            self._stream.flush()
        except (OSError, ValueError):
            self._dropped += 1  # whoever kept the log is gone; the desktop goes on
