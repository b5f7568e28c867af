"""When a stream's other end counts as gone, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import unix_connect
from websockets.asyncio.server import ServerConnection, unix_serve

from porthole_agent import patience
from porthole_agent.patience import PatientConnection

DEAD_AFTER = 0.4


@pytest.fixture
async def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[PatientConnection, ServerConnection]]:
    monkeypatch.setattr(patience, "PING_EVERY", DEAD_AFTER / 4)
    monkeypatch.setattr(patience, "DEAD_AFTER", DEAD_AFTER)
    far: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def stay(connection: ServerConnection) -> None:
        far.put_nowait(connection)
        await connection.wait_closed()

    path = str(tmp_path / "here.sock")
    async with (
        unix_serve(stay, path, ping_interval=None, max_queue=1, close_timeout=0.1),
        unix_connect(
            path,
            uri="ws://here/",
            create_connection=PatientConnection,
            compression=None,
            max_queue=1,
            close_timeout=0.1,
        ) as near,
    ):
        assert isinstance(near, PatientConnection)
        yield near, await far.get()


async def test_one_that_only_answers_pings_lives(both) -> None:
    near, far = both
    await asyncio.sleep(3 * DEAD_AFTER)
    await far.send("still here")
    assert await near.recv() == "still here"


async def test_one_that_is_not_read_from_lives(both) -> None:
    near, far = both
    for number in range(5):
        await far.send(str(number))
    await asyncio.sleep(3 * DEAD_AFTER)
    assert near.recv_messages.paused
    assert [await near.recv() for _ in range(5)] == [str(number) for number in range(5)]


async def test_one_that_says_and_takes_nothing_is_given_up(both) -> None:
    near, far = both
    far.transport.pause_reading()
    async with asyncio.timeout(20 * DEAD_AFTER):
        await near.wait_closed()


async def test_one_that_takes_what_we_send_slowly_lives(both) -> None:
    near, far = both

    async def send() -> None:
        while True:
            await near.send(bytes(64 * 1024))

    sending = asyncio.create_task(send())
    for _ in range(60):
        await asyncio.sleep(DEAD_AFTER / 20)
        assert len(await far.recv()) == 64 * 1024
    assert not sending.done()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_one_that_takes_nothing_is_left_all_the_same(both, monkeypatch) -> None:
    near, far = both
    monkeypatch.setattr(patience, "_GONE_WITHIN", DEAD_AFTER)
    for number in range(5):  # what it says is not read, so it does not count as gone
        await far.send(str(number))
    far.transport.pause_reading()
    with suppress(TimeoutError):
        async with asyncio.timeout(DEAD_AFTER):
            while True:
                await near.send(bytes(64 * 1024))
    async with asyncio.timeout(20 * DEAD_AFTER):
        await near.close()
        await near.wait_closed()
