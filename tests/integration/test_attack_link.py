"""Who opens sockets and should not, and what no WebSocket library would ever send."""

import asyncio
import logging
import struct
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from porthole_control.agents import service as agents
from porthole_control.link import hub
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import SUBPROTOCOL, ScriptedAgent
from tests.support.served import Served, served
from tests.support.waiting import eventually


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


async def linked(at: Served, agent: ScriptedAgent) -> bool:
    answer = await at.control_plane.admin.get(f"/api/v1/agents/{agent.id}")
    return answer.raise_for_status().json()["linked"]


async def take_for_dead(at: Served) -> None:
    """Do what happens when a process could not write for a while: links count as gone."""
    async with at.control_plane.database.unit() as unit:
        await agents.forget_dead_links(unit, silent_since=unit.now, unseen_since=unit.now)


async def test_a_link_that_was_taken_for_dead_is_back_by_itself(
    one: Served, monkeypatch: pytest.MonkeyPatch
):
    """Somebody may have kept the process, or its database, busy for that long."""
    monkeypatch.setattr(hub, "_SEEN_EVERY", 0.2)
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        await eventually(lambda: linked(one, agent), True)
        await take_for_dead(one)
        assert not await linked(one, agent)
        await eventually(lambda: linked(one, agent), True)
        assert agent.goodbye is None
        assert agent.channel.epoch == 1
    await eventually(lambda: linked(one, agent), False)
    # And what has ended stays so.
    await take_for_dead(one)
    with pytest.raises(AssertionError):
        await eventually(lambda: linked(one, agent), True, within=1)


def a_frame(opcode: int, data: bytes, *, first: int = 0x80, mask: int = 0x80, size: int = -1):
    """Return a frame as it is on the wire; a mask of zeros changes nothing."""
    length = len(data) if size < 0 else size
    if length < 126:
        head = struct.pack(">BB", first | opcode, mask | length)
    else:
        head = struct.pack(">BBQ", first | opcode, mask | 127, length)
    return head + (bytes(4) if mask else b"") + data


TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
BROKEN = {
    "not masked": a_frame(TEXT, b"{}", mask=0),
    "reserved bits": a_frame(TEXT, b"{}", first=0xF0),
    "unknown opcode": a_frame(3, b"{}"),
    "no text": a_frame(TEXT, b"\xff\xfe"),
    "longer than memory": a_frame(BINARY, b"x", size=2**62),
    "long ping": a_frame(PING, bytes(200)),
    "ping in pieces": a_frame(PING, b"x", first=0),
    "middle first": a_frame(0, b"x"),
    "no code": a_frame(CLOSE, b"\0\1"),
    "a request": b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "pieces without end": a_frame(BINARY, b"", first=0) + a_frame(0, b"", first=0) * 5000,
}


async def raw_socket(at: Served, path: str, *headers: str):
    """Open a WebSocket and return the connection below it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    asked = (
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{at.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    )
    writer.write("\r\n".join([*asked, "", ""]).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101")
    return reader, writer


@pytest.mark.parametrize("rubbish", BROKEN.values(), ids=BROKEN.keys())
async def test_frames_that_are_none_end_their_link_only(one: Served, rubbish: bytes):
    agent = await ScriptedAgent.enrol(one.control_plane)
    with capture_logs() as logged:
        async with agent.linked(one.ws):
            path = "/api/v1/agents/link"
            reader, writer = await raw_socket(one, path, f"Sec-WebSocket-Protocol: {SUBPROTOCOL}")
            writer.write(rubbish)
            async with asyncio.timeout(5):
                said = await reader.read()
            writer.transport.abort()
            assert said[0] == 0x80 | CLOSE
            assert struct.unpack(">H", said[2:4])[0] in {1002, 1007, 1009}
            assert agent.goodbye is None
            assert await linked(one, agent)
    assert {line["event"] for line in logged} & {"link_gone", "link_refused"}


async def test_pages_of_browsers_do_not_dial_in(one: Served, caplog: pytest.LogCaptureFixture):
    """Any page can open sockets to this machine; it must not use up what agents need."""
    paths = ("/api/v1/agents/link", f"/api/v1/streams/{uuid4()}/agent")
    with caplog.at_level(logging.ERROR):
        for path in paths:
            for origin in ("https://evil.example", "null", one.url):
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(
                        one.ws + path,
                        origin=origin,  # type: ignore[arg-type]
                        subprotocols=[SUBPROTOCOL],
                    ):
                        pass
                answer = refused.value.response
                assert answer.status_code == 403
                assert b"wrong_origin" in answer.body
    assert not caplog.records


async def test_sockets_answer_to_our_names_only(one: Served):
    for path in ("/api/v1/agents/link", "/api/v1/streams/x"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(
                f"ws://evil.example:{one.port}{path}",
                host="127.0.0.1",
                port=one.port,
                subprotocols=[SUBPROTOCOL],
            ):
                pass
        assert refused.value.response.status_code == 421
        assert b"wrong_host" in refused.value.response.body
