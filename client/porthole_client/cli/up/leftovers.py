"""End what an earlier `up` left behind, before anything is started again.

A part is known by its record (pid and time of its start) and by the lock that it holds
open. Whoever has that lock's file open is a part of ours, whatever its pid.
"""

import signal
import time
from pathlib import Path

from porthole_client.cli.exits import Failure
from porthole_client.cli.up import locks, record
from porthole_client.cli.up.plan import part_lock
from porthole_client.cli.up.processes import holders
from porthole_client.home import Home

PATIENCE = 30.0  # seconds for a part to end by itself
_LETTING_GO = 10.0  # seconds until its lock is free after that


def end(home: Home) -> list[str]:
    """End the parts of an earlier `up`, last started first; return their names.

    Raises:
        Failure: one of them cannot be ended.
    """
    earlier = record.read(home)
    ended = []
    for part in reversed(earlier.parts if earlier else ()):
        lock = part_lock(home, part.name)
        alive = part.process is not None and part.process.is_alive()
        if not alive and locks.is_free(lock):
            continue
        ended.append(part.name)
        if part.process is not None:
            part.process.end(PATIENCE)
        if not _let_go(lock):
            raise Failure(
                f"The {part.name} of an earlier run still holds {lock} and could not be ended."
                f" See who it is with `fuser {lock}`."
            )
    return ended


def _let_go(lock: Path) -> bool:
    """End whoever holds a lock; False if it is still held after a while.

    A process whose first thread has ended looks like one that is over, and its files are seen
    no more, while its other threads end and hold them for a moment longer.
    """
    until = time.monotonic() + _LETTING_GO
    while not locks.is_free(lock):
        if time.monotonic() > until:
            return False
        for process in holders(lock):
            process.send(signal.SIGKILL)
        time.sleep(0.05)
    return True
