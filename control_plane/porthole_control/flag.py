"""An event for what there are thousands of: it weighs next to nothing while nobody waits."""

import asyncio


class Flag:
    """What `asyncio.Event` is, without the 700 bytes that it keeps ready for those who wait."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it: whoever waits goes on."""
        self._is_set = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def clear(self) -> None:
        """Take it back: whoever waits from now on waits for the next time."""
        self._is_set = False

    async def wait(self) -> None:
        """Return when it is set."""
        if self._is_set:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        finally:
            self._waiting.remove(waiting)
