"""Those who want to hear of changes, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from porthole_agent.runtimes.port import Change

_QUEUE: Final = 4096
"""Changes that one listener may be behind; the oldest are dropped, an inventory has them."""


class Listeners:
    """Hands each change to everybody who listens."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Change]] = set()

    def tell(self, change: Change) -> None:
        """Hand a change to everybody who listens."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(change)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield every change from the first step on."""
        queue: asyncio.Queue[Change] = asyncio.Queue(_QUEUE)
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)
