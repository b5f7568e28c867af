"""What the front of a chaos run does to links: it spoils what it says that it spoils."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from e2e.chaos.front import Front
from tests.support.waiting import eventually

PATH = "/api/v1/agents/link"


class Far:
    """The other end: it answers each message with the same."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ended = 0

    async def serve(self, socket: ServerConnection) -> None:
        try:
            async for message in socket:
                self.heard.append(str(message))
                await socket.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.ended += 1


@asynccontextmanager
async def a_link() -> AsyncIterator[tuple[Front, Far, ClientConnection]]:
    far = Far()
    async with serve(far.serve, "127.0.0.1", 0, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with (
            Front.open([port], seed=1) as front,
            connect(f"ws://127.0.0.1:{front.port}{PATH}", ping_interval=None) as near,
        ):
            for number in range(4):  # a greeting is let through
                await near.send(f"greeting {number}")
                assert await near.recv() == f"greeting {number}"
            far.heard.clear()
            yield front, far, near


async def test_what_is_not_spoilt_comes_as_it_was() -> None:
    async with a_link() as (_, far, near):
        await near.send("x" * 100_000)
        assert await near.recv() == "x" * 100_000
        assert len(far.heard) == 1


async def test_frames_are_doubled() -> None:
    async with a_link() as (front, far, near), front.spoiling("link-double"):
        for number in range(20):
            await near.send(str(number))
        await asyncio.sleep(0.5)
        assert len(far.heard) > 22
        assert set(far.heard) == {str(number) for number in range(20)}


async def test_frames_are_lost_and_the_link_stays() -> None:
    async with a_link() as (front, far, near):
        async with front.spoiling("link-drop"):
            for number in range(20):
                await near.send(str(number))
            await asyncio.sleep(0.5)
        await near.send("the last")

        async def last() -> str:
            return far.heard[-1]

        await eventually(last, "the last")
        assert len(far.heard) < 20
        assert far.ended == 0


async def test_a_half_open_link_carries_nothing_and_does_not_end() -> None:
    async with a_link() as (front, far, near):
        async with front.spoiling("link-half-open"):
            await near.send("word")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await near.recv()
            near.transport.abort()
            await asyncio.sleep(0.5)
            assert (far.heard, far.ended) == ([], 0)

        async def ended() -> int:
            return far.ended

        await eventually(ended, 1)


async def test_late_frames_come_when_the_link_is_gone() -> None:
    async with a_link() as (front, far, near), front.spoiling("link-late"):
        await near.send("late")
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(5):
                await near.recv()
        assert far.heard == []

        async def heard() -> list[str]:
            return far.heard

        await eventually(heard, ["late"])


async def test_links_are_cut() -> None:
    async with a_link() as (front, _, near):
        front.cut()
        with pytest.raises(ConnectionClosed):
            await near.recv()
