"""WebSockets as this end judges them.

A farewell is no reason to stay: whoever takes nothing, which is why they are left, does not take
that either.

Of a stream, the control plane is judged by all that it says or takes, and only while it is read
from, as it judges us. A pong alone proves nothing: it stands behind the data that back-pressure
holds up, so a desktop that takes its time would cost its stream.
"""

import asyncio
import contextlib
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

PING_EVERY: Final = 15.0
"""Seconds."""
DEAD_AFTER: Final = 45.0
"""Seconds without anything from a peer that is read from."""


_GONE_WITHIN: Final = 2.0
"""Seconds for a farewell and its answer."""


class PromptConnection(ClientConnection):
    """One that ends when it is closed, whatever the other end takes."""

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say farewell, or be gone without."""
        try:
            async with asyncio.timeout(_GONE_WITHIN):
                await super().close(code, reason)
        except TimeoutError:
            self.transport.abort()


class PatientConnection(PromptConnection):
    """One that is not cut because what it waits for is slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Take in bytes."""
        self._heard_at = self.loop.time()
        super().data_received(data)

    def resume_writing(self) -> None:
        """Note that the peer has read what waited for it."""
        self._heard_at = self.loop.time()
        super().resume_writing()

    async def keepalive(self) -> None:
        """Ping, and give up a peer that says and takes nothing."""
        self._heard_at = self.loop.time()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_EVERY)
                if self.recv_messages.paused:
                    self._heard_at = self.loop.time()  # what it says meanwhile is not known
                elif self.loop.time() - self._heard_at >= DEAD_AFTER:
                    self.transport.abort()
                    return
                if not self.paused:
                    await self.ping()
