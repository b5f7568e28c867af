"""End what an earlier `up` left behind, before anything is started again.

A part is known by its record (pid and time of its start) and by the lock that it holds
open. Whoever has that lock's file open is a part of ours, whatever its pid.
"""

import signal

from porthole_client.cli.exits import Failure
from porthole_client.cli.up import locks, record
from porthole_client.cli.up.plan import part_lock
from porthole_client.cli.up.processes import holders, wait_over
from porthole_client.home import Home

PATIENCE = 30.0  # seconds for a part to end by itself


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
        rest = holders(lock)
        for process in rest:
            process.send(signal.SIGKILL)
        if not wait_over(rest, 5) or not locks.is_free(lock):
            raise Failure(
                f"The {part.name} of an earlier run still holds {lock} and could not be ended."
                f" See who it is with `fuser {lock}`."
            )
    return ended
