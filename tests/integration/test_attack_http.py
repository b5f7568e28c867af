"""Clients that send requests which never end, or never begin, or take no answer.

Each is told so where that is possible, a line in the log has it, and somebody else who asks
at the same time waits for none of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from porthole_control import http_server
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent
from tests.support.served import Served, served

BEGUN = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = BEGUN + b"\r\n"


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.5)


class Raw:
    """A connection on which anything can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> bool:
        """Send, and return whether it could be."""
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def rest(self, within: float = 5) -> bytes:
        """Return all that comes until the other end closes."""
        said = b""
        async with asyncio.timeout(within):
            try:
                while data := await self.reader.read(65536):
                    said += data
            except ConnectionError:
                pass
        return said


@asynccontextmanager
async def raw(at: Served) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def somebody_else(at: Served, patience: float = 5.0) -> AsyncIterator[None]:
    """Ask all the time; nobody may have to wait longer than `patience`."""
    waits: list[float] = []

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=at.url) as client:
            while True:
                begun = time.monotonic()
                (await client.get("/readyz")).raise_for_status()
                waits.append(time.monotonic() - begun)
                await asyncio.sleep(0.01)

    task = asyncio.create_task(ask())
    try:
        yield
        await asyncio.sleep(0.05)
    finally:
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(error, asyncio.CancelledError), error
    assert waits
    assert max(waits) < patience


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (b"GET /", b"a" * 8192),
        (BEGUN + b"X-Long: ", b"a" * 8192),
        (BEGUN, b"X: y\r\n" * 1024),
        (BEGUN + b"X", b"x" * 8192),
    ],
    ids=["path", "value", "headers", "name"],
)
async def test_a_head_without_end_is_refused_soon(one: Served, begin: bytes, go_on: bytes):
    sent = 0
    with capture_logs() as logged:
        async with somebody_else(one), raw(one) as client:
            assert await client.send(begin)
            while sent < 8 << 20 and await client.send(go_on):
                sent += len(go_on)
                await asyncio.sleep(0)
            said = await client.rest()
    assert sent < 8 << 20
    assert said == b"" or b" 431 " in said.splitlines()[0]
    assert {"connection_refused"} <= {line["event"] for line in logged}


async def test_a_head_that_is_too_long_is_told_so(one: Served):
    async with raw(one) as client:
        await client.send(BEGUN)
        await asyncio.sleep(0.05)
        await client.send(b"X-Long: " + b"a" * (http_server.HEAD_BYTES - 100))
        await asyncio.sleep(0.05)
        await client.send(b"a" * 200)
        said = await client.rest()
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b'"code": "too_large"' in said


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("drop", [b"X", b"\r\n"], ids=["letters", "empty lines"])
async def test_a_head_that_takes_too_long(one: Served, drop: bytes):
    begun = time.monotonic()
    async with somebody_else(one), raw(one) as client:
        if drop == b"X":
            await client.send(BEGUN)
        reading = asyncio.create_task(client.rest())
        while not reading.done() and await client.send(drop):
            await asyncio.sleep(0.05)
        said = await reading
    assert time.monotonic() - begun < 10
    assert drop == b"\r\n" or b'"code": "too_slow"' in said


@pytest.mark.usefixtures("hurried")
async def test_a_connection_on_which_nothing_comes_is_closed(one: Served):
    async with somebody_else(one), raw(one) as silent:
        assert await silent.rest(within=2) == b""


@pytest.mark.usefixtures("hurried")
async def test_the_rest_of_an_unwanted_body_is_not_waited_for(one: Served):
    length = b"Content-Length: 10000000\r\n\r\n"
    async with raw(one) as client:
        await client.send(b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n" + length)
        assert (await client.reader.readline()).startswith(b"HTTP/1.1 413")
        reading = asyncio.create_task(client.rest())
        while not reading.done() and await client.send(b"x"):
            await asyncio.sleep(0.05)
        await reading


@pytest.mark.usefixtures("hurried")
async def test_whoever_is_busy_is_not_cut_off(one: Served):
    """The limits are for what is not whole: long bodies, long answers and pauses may be."""
    token = one.control_plane.admin.headers["authorization"]
    head = (
        "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: {token}\r\nContent-Length: 29\r\n\r\n"
    )
    async with raw(one) as client:
        await client.send(head.encode() + b'{"template": ')
        await asyncio.sleep(0.7)
        await client.send(b'"there is none"')
        await asyncio.sleep(0.7)
        await client.send(b"}")
        assert (await client.reader.readline()).startswith(b"HTTP/1.1 422")
        # And the connection is good for the next one, after a pause.
        await asyncio.sleep(0.7)
        await client.send(WHOLE)
        assert b"HTTP/1.1 200" in await client.reader.readuntil(b'"ready"}')


@pytest.mark.usefixtures("hurried")
async def test_a_websocket_is_no_request(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        await asyncio.sleep(1)
        assert agent.channel.attached
        assert agent.goodbye is None
        assert agent.socket is not None
        assert agent.socket.close_code is None


async def test_who_takes_no_answer_is_let_go(one: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_server, "TAKEN_SECONDS", 0.5)
    asked = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with capture_logs() as logged:
        async with somebody_else(one), raw(one) as client:
            client.writer.transport.pause_reading()
            async with asyncio.timeout(20):
                while await client.send(asked * 20):
                    await asyncio.sleep(0.05)
    assert "answer_not_taken" in {line["event"] for line in logged}


async def test_there_are_only_so_many_connections(one: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_server, "most_connections", lambda: 5)
    with capture_logs() as logged:
        async with raw(one), raw(one), raw(one), raw(one), raw(one) as last, raw(one) as more:
            await last.send(WHOLE)
            assert (await last.reader.readline()).startswith(b"HTTP/1.1 200")
            await more.send(WHOLE)
            assert await more.rest() == b""
    assert "too_many_connections" in {line["event"] for line in logged}
