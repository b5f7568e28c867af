"""A TCP relay, and with several upstreams a load balancer without stickiness.

Each new connection goes to the next upstream that takes it, whether or not that does anything
with it: a balancer that does not look is the worst one that there is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

CHUNK: Final = 65536
_TAKES_WITHIN: Final = 2.0

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """A relay from a port of its own to each of `upstreams` in turn, all on 127.0.0.1.

    Attributes:
        port: its own.
        taken: how many connections each upstream has taken.
    """

    def __init__(self, upstreams: Sequence[int]) -> None:
        self.port = 0
        self.taken = dict.fromkeys(upstreams, 0)
        self._turn = 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def between(self, near: End, far: End) -> None:
        """Carry what one end says to the other until both have said all."""
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(near[0], far[1]))
            both.create_task(_pump(far[0], near[1]))

    def abort(self) -> None:
        """Break every connection that there is."""
        for end in list(self._ends):
            end.transport.abort()

    async def _carry(self, near: End) -> None:
        ends = [near]
        try:
            ends.append(await self._next())
            self._ends |= {writer for _, writer in ends}
            await self.between(*ends)
        except* (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # one end is gone, so the other one goes
        finally:
            for _, writer in ends:
                self._ends.discard(writer)
                writer.transport.abort()

    async def _next(self) -> End:
        ports = list(self.taken)
        for _ in ports:
            port = ports[self._turn % len(ports)]
            self._turn += 1
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_TAKES_WITHIN):
                    found = await asyncio.open_connection("127.0.0.1", port)
                self.taken[port] += 1
                return found
        raise ConnectionRefusedError

    async def _accept(self, *near: *End) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(near)
        self._tasks.discard(task)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Relay for as long as the context lasts."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
