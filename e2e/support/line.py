"""The line between two programs, which can be cut: a relay that knows nothing of HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from e2e.support.relay import End, Relay


class Line(Relay):
    """A relay whose connections can be broken."""

    def __init__(self, upstreams: Sequence[int]) -> None:
        super().__init__(upstreams)
        self._is_cut = False

    def cut(self) -> None:
        """Break every connection, and every new one, until `mend`."""
        self._is_cut = True
        self.abort()

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    async def between(self, near: End, far: End) -> None:
        """Carry, unless the line is cut."""
        if not self._is_cut:
            await super().between(near, far)

    @classmethod
    @asynccontextmanager
    async def open(cls, *upstreams: int) -> AsyncIterator["Line"]:
        """Relay for as long as the context lasts."""
        async with cls(upstreams).serving() as line:
            yield line
