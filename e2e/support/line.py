"""The line between two programs, which can be cut: a TCP relay that knows nothing of HTTP.

With several upstreams it is a load balancer without stickiness: each new connection goes to
the next one that listens.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

_CHUNK = 65536


class Line:
    """A relay from a port of its own to each of `upstreams` in turn."""

    def __init__(self, upstreams: Sequence[int]) -> None:
        self.port = 0
        self.taken = dict.fromkeys(upstreams, 0)
        self._turn = 0
        self._is_cut = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break every connection, and every new one, until `mend`."""
        self._is_cut = True
        for end in list(self._ends):
            end.transport.abort()

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await self._next()
            self._ends |= {writer, far}
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far))
                both.create_task(_pump(far_reader, writer))
        except* OSError:
            pass  # one end is gone, so the other one goes
        finally:
            for end in (writer, far):
                if end is not None:
                    self._ends.discard(end)
                    end.transport.abort()

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self.taken:
            port = list(self.taken)[self._turn % len(self.taken)]
            self._turn += 1
            with contextlib.suppress(ConnectionRefusedError):
                found = await asyncio.open_connection("127.0.0.1", port)
                self.taken[port] += 1
                return found
        raise ConnectionRefusedError

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(reader, writer)
        self._tasks.discard(task)

    @classmethod
    @asynccontextmanager
    async def open(cls, *upstreams: int) -> AsyncIterator["Line"]:
        """Relay for as long as the context lasts."""
        line = cls(upstreams)
        server = await asyncio.start_server(line._accept, "127.0.0.1", 0)
        line.port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            for task in list(line._tasks):
                task.cancel()
            await asyncio.gather(*line._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
