"""How bytes flow: back-pressure, slow and stalled viewers, rubbish, processes that end."""

import asyncio
import contextlib
import gc
import os
import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from porthole_contract.link.commands import OpenStream
from porthole_control import websocket_server
from porthole_control.websocket_server import WebSocketServerProtocol
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, dial_back, view
from tests.support.served import Served, served
from tests.support.streaming import closing, echo, running_session, ticket
from tests.support.waiting import eventually

IN_FLIGHT = 256 * 1024
CHUNK = 64 * 1024


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served):
    made = await ScriptedAgent.enrol(one.control_plane)
    async with made.linked(one.ws):
        made.describe()
        made.on_stream = echo
        yield made


class Flood:
    """An agent's side of a stream that sends as much as it is let."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, order: OpenStream) -> None:
        block = os.urandom(CHUNK)
        async with dial_back(order, write_limit=CHUNK) as leg:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await leg.send(block)
                    self.sent += len(block)


def held() -> int:
    """Return how many bytes the server's WebSockets hold between their sockets."""
    total = 0
    for protocol in [o for o in gc.get_objects() if type(o) is WebSocketServerProtocol]:
        waiting = list(protocol.queue._messages or ())
        total += sum(len(message.get("bytes") or b"") for message in waiting)
        total += sum(len(frame) for frame in protocol.frames)
        total += len(protocol.conn.reader.buffer)
        total += protocol.transport.get_write_buffer_size()
    return total


async def test_a_viewer_that_does_not_read_stops_its_agent_and_nobody_else(
    one: Served, agent: ScriptedAgent
):
    session = await running_session(one, agent)
    flood = Flood()
    agent.on_stream = flood
    async with view(await ticket(one, session), max_queue=1) as stalled:
        stalled.transport.pause_reading()
        sent = -1
        async with asyncio.timeout(10):
            while flood.sent != sent or not sent:
                sent = flood.sent
                await asyncio.sleep(0.5)
        # Two legs, and in each direction of each at the most so much.
        assert held() <= 2 * IN_FLIGHT
        agent.on_stream = echo
        async with view(await ticket(one, session)) as lively:
            for _ in range(20):
                await lively.send(b"x" * 1000)
                assert await lively.recv() == b"x" * 1000
        assert flood.sent == sent
        stalled.transport.resume_reading()

        async def goes_on() -> bool:
            await stalled.recv()
            return flood.sent > sent

        await eventually(goes_on, True)


async def test_every_byte_arrives_in_order(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    data = os.urandom(8 * 1024 * 1024)
    received = bytearray()

    async with view(await ticket(one, session)) as viewer:

        async def send() -> None:
            for start in range(0, len(data), 100_000):
                await viewer.send(data[start : start + 100_000])

        sending = asyncio.create_task(send())
        async with asyncio.timeout(20):
            while len(received) < len(data):
                received += await viewer.recv()
        await sending
    assert received == data


async def test_every_byte_arrives_across_two_processes(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, tmp_path: Path
):
    session = await running_session(one, agent)
    data = os.urandom(4 * 1024 * 1024)

    async def tell(order: OpenStream) -> None:
        async with dial_back(order) as leg:
            for start in range(0, len(data), CHUNK):
                await leg.send(data[start : start + CHUNK])
            await leg.recv()

    agent.on_stream = tell
    async with served(test_database, tmp_path / "home") as other:
        url = (await ticket(one, session)).replace(one.ws, other.ws)
        received = bytearray()
        async with view(url) as viewer, asyncio.timeout(20):
            while len(received) < len(data):
                received += await viewer.recv()
    assert received == data


async def test_a_viewer_may_speak_first(one: Served, agent: ScriptedAgent):
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def slow(order: OpenStream) -> None:
        await asyncio.sleep(0.3)
        async with dial_back(order) as leg:
            heard.set_result(await leg.recv() + await leg.recv())
            await leg.wait_closed()

    agent.on_stream = slow
    async with view(await ticket(one, await running_session(one, agent))) as viewer:
        await viewer.send(b"one ")
        await viewer.send(b"two")
        assert await heard == b"one two"


async def test_text_is_no_stream(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        await viewer.send("text")
        assert (await closing(viewer))[0] == 4008


async def test_a_message_that_is_too_long_ends_its_stream_only(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    async with (
        view(await ticket(one, session)) as rude,
        view(await ticket(one, session)) as polite,
    ):
        await rude.send(b"x" * 1_000_000)
        assert (await closing(rude))[0] == 1009
        await polite.send(b"hello")
        assert await polite.recv() == b"hello"


async def test_a_message_in_too_many_pieces_ends_its_stream_only(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as rude:
        with contextlib.suppress(ConnectionClosed):
            await rude.send([b""] * 5000)
        assert (await closing(rude))[0] == 1009


async def test_pings_of_who_does_not_read_do_not_pile_up(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    agent.on_stream = Flood()
    async with view(await ticket(one, session), max_queue=1) as viewer:
        viewer.transport.pause_reading()
        await asyncio.sleep(1)
        ping = b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125  # masked with zeros
        for _ in range(20_000):
            viewer.transport.write(ping)
            if viewer.transport.get_write_buffer_size() > CHUNK:
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        assert held() <= 2 * IN_FLIGHT


async def test_a_peer_that_is_gone_without_a_word_is_noticed(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(websocket_server, "PING_SECONDS", 0.2)
    monkeypatch.setattr(websocket_server, "DEAD_SECONDS", 0.5)
    ended = asyncio.Event()

    async def wait(order: OpenStream) -> None:
        async with dial_back(order) as leg:
            await leg.wait_closed()
            ended.set()

    agent.on_stream = wait
    async with view(await ticket(one, await running_session(one, agent))) as viewer:
        viewer.transport.pause_reading()  # answers no pings any more
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_slow_viewer_is_no_reason_to_cut_its_agent_off(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(websocket_server, "PING_SECONDS", 0.2)
    monkeypatch.setattr(websocket_server, "DEAD_SECONDS", 1.0)
    session = await running_session(one, agent)
    agent.on_stream = Flood()
    async with view(await ticket(one, session), max_queue=1) as viewer:
        for _ in range(40):
            assert len(await viewer.recv()) == CHUNK
            await asyncio.sleep(0.08)


async def test_a_slow_viewer_gets_everything_that_was_said_before_the_end(
    one: Served, agent: ScriptedAgent
):
    session = await running_session(one, agent)
    data = os.urandom(8 * 1024 * 1024)

    async def tell(order: OpenStream) -> None:
        async with dial_back(order, close_timeout=60) as leg:
            for start in range(0, len(data), CHUNK // 4):
                await leg.send(data[start : start + CHUNK // 4])
            await leg.close(1000, "done: That is all.")

    agent.on_stream = tell
    received = bytearray()
    async with view(await ticket(one, session), max_queue=1) as viewer:
        reading = viewer.transport.get_extra_info("socket")
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        with contextlib.suppress(ConnectionClosed):
            while True:
                received += await viewer.recv()
                if len(data) - len(received) < 1024 * 1024:
                    await asyncio.sleep(0.1)  # 160 KB a second
    assert len(received) == len(data)
    assert (viewer.close_code, viewer.close_reason) == (1000, "done: That is all.")


async def test_a_process_that_ends_tells_its_viewers(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        await viewer.send(b"hello")
        await viewer.recv()
        one.stop()
        async with asyncio.timeout(2):
            assert await closing(viewer) == (
                1001,
                "going_away: The control plane is restarting.",
            )
