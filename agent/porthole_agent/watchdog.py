"""Ends the program when its own dialling is stuck.

That the control plane is away is normal and is waited for; that this program does not even
try any more is not, and only a new process helps.
"""

import asyncio
import os
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

STUCK_AFTER = 90.0
"""Seconds without a dial while there is no link; a dial itself ends within twenty."""
_LOOK_EVERY = 5.0
_EXIT_CODE = 70


class Watchdog:
    """Watches the dialling.

    Args:
        dialled_at: when the last dial began, on the loop's clock.
        linked: whether there is a link.
    """

    def __init__(self, dialled_at: Callable[[], float], linked: Callable[[], bool]) -> None:
        self._dialled_at = dialled_at
        self._linked = linked

    async def run(self) -> None:
        """Watch until cancelled; does not return when the program has to end."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            since = clock() - max(begun, self._dialled_at())
            if not self._linked() and since > STUCK_AFTER:
                _log.critical("dialling_is_stuck", seconds=round(since))
                os._exit(_EXIT_CODE)
            if self._linked():
                begun = clock()
