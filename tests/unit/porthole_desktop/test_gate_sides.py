"""One end of a connection, with a socket at the other one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from porthole_desktop.gate.side import GOODBYE, Side


class Nobody:
    """An owner whom nothing concerns."""

    def received(self, side: Side, data: bytes) -> None:
        """Bytes have come."""

    def writable(self, side: Side, *, can: bool) -> None:
        """There is room, or none."""

    def lost(self, side: Side) -> None:
        """It is over."""


@asynccontextmanager
async def a_side() -> AsyncIterator[tuple[Side, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a side, and what the other end reads and writes."""
    side, (ours, theirs) = Side(Nobody()), socket.socketpair()
    await asyncio.get_running_loop().create_unix_connection(lambda: side, sock=ours)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    try:
        yield side, reader, writer
    finally:
        side.abort()
        writer.close()
        await writer.wait_closed()


async def test_who_is_busy_speaking_hears_the_last_word_all_the_same() -> None:
    async with a_side() as (side, reader, writer), asyncio.timeout(GOODBYE / 2):
        side.hold("full")
        writer.write(bytes(4 * 2**20))
        side.write(b"let go")
        side.hang_up()
        await writer.drain()
        assert await reader.read() == b"let go"
        assert not side.over.is_set(), "it may still be at that word"
        writer.close()
        await side.over.wait()


async def test_who_does_not_hang_up_is_waited_for_no_longer_than_for_a_goodbye() -> None:
    async with a_side() as (side, _, _), asyncio.timeout(2 * GOODBYE):
        side.hang_up()
        await side.over.wait()
