"""The line between two programs, which can be cut: a relay that knows nothing of HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from e2e.support.relay import End, Relay


class Line(Relay):
    """A relay whose connections can be broken."""

    def __init__(self, upstreams: Sequence[int]) -> None:
        super().__init__(upstreams)
        self._is_cut = False
        self._lost = asyncio.Event()

    def cut(self) -> None:
        """Break every connection, and every new one, until `mend`."""
        self._is_cut = True
        self.abort()

    def lose(self) -> None:
        """As `cut`, but only who has connected notices: upstreams hear nothing more, no end either.

        They hold those connections for as long as they like, or until the next `cut`.
        """
        self._is_cut = True
        self._lost.set()
        self._lost = asyncio.Event()

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    async def between(self, near: End, far: End) -> None:
        """Carry, unless the line is cut."""
        if self._is_cut:
            return
        carrying = asyncio.create_task(super().between(near, far))
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({carrying, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not lost.done():
                await carrying
                return
        finally:
            carrying.cancel()
            lost.cancel()
            await asyncio.gather(carrying, lost, return_exceptions=True)
        near[1].transport.abort()
        await far[1].wait_closed()

    @classmethod
    @asynccontextmanager
    async def open(cls, *upstreams: int) -> AsyncIterator["Line"]:
        """Relay for as long as the context lasts."""
        async with cls(upstreams).serving() as line:
            yield line
