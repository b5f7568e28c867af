"""What leaves the server's end of a WebSocket, and what the application takes from it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from porthole_control.websocket_server import PING_SECONDS, WebSocketServerProtocol


class Wire:
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True
        self.closing = False
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.written.extend(pieces)

    def taken(self) -> bytes:
        data, self.written = b"".join(self.written), []
        return data

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None: ...


class Pair:
    """A server's end, and the client's by the library alone."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.may_hear = asyncio.Event()
        self.may_hear.set()
        self.wire = Wire()
        self.client = ClientProtocol(parse_uri("ws://here/api/v1/streams/x"))
        config = uvicorn.Config(
            self._application, interface="asgi3", ws_per_message_deflate=False, log_config=None
        )
        config.load()
        self.server = WebSocketServerProtocol(config, ServerState(), {})

    async def _application(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await self.may_hear.wait()
            self.heard.append(message.get("bytes"))

    async def open(self) -> None:
        self.server.connection_made(self.wire)  # type: ignore[arg-type]
        self.client.send_request(self.client.connect())
        self.bring()
        await settle()
        self.take()

    def bring(self) -> None:
        """Bring to the server what the client has to say."""
        self.server.data_received(b"".join(self.client.data_to_send()))

    def take(self) -> Sequence[Frame]:
        """Return what the client understands of what the server has written."""
        self.client.receive_data(self.wire.taken())
        return [event for event in self.client.events_received() if isinstance(event, Frame)]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def pair() -> Pair:
    made = Pair()
    await made.open()
    return made


@pytest.mark.parametrize("size", [0, 125, 126, 4095, 4096, 20_000, 65_535, 65_536, 300_000])
async def test_a_message_arrives_as_it_is_whatever_its_length(pair: Pair, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    for _ in range(2):
        await pair.server.send({"type": "websocket.send", "bytes": data[:size]})
    await pair.server.send({"type": "websocket.send", "text": "and text"})
    frames = pair.take()
    assert [frame.opcode for frame in frames] == [Opcode.BINARY, Opcode.BINARY, Opcode.TEXT]
    assert [frame.data for frame in frames] == [data[:size], data[:size], b"and text"]
    assert all(frame.fin for frame in frames)


@pytest.mark.parametrize("size", [4096, 65_535, 65_536])
async def test_a_large_message_is_not_copied(pair: Pair, size: int) -> None:
    data = bytes(size)
    await pair.server.send({"type": "websocket.send", "bytes": data})
    assert any(piece is data for piece in pair.wire.written)


@pytest.mark.parametrize("size", [100, 20_000])
async def test_who_does_not_read_is_waited_for(pair: Pair, size: int) -> None:
    pair.server.pause_writing()
    data = bytes(size)
    sending = asyncio.create_task(pair.server.send({"type": "websocket.send", "bytes": data}))
    await settle()
    assert pair.wire.written == []
    pair.server.resume_writing()
    await sending
    assert [frame.data for frame in pair.take()] == [data]


async def test_messages_are_taken_in_their_order_and_no_more_is_read_meanwhile(pair: Pair) -> None:
    pair.may_hear.clear()
    for number in range(5):
        pair.client.send_binary(bytes([number]))
    pair.bring()
    await settle()
    assert pair.heard == []
    assert not pair.wire.reading
    pair.may_hear.set()
    await settle()
    assert pair.heard == [bytes([number]) for number in range(5)]
    assert pair.wire.reading
    pair.client.send_binary(b"later")
    pair.bring()
    await settle()
    assert pair.heard[-1] == b"later"


@pytest.mark.parametrize(
    ("says", "hears", "pings"), [(True, True, 0), (True, False, 1), (False, True, 1)]
)
async def test_a_ping_is_sent_where_one_side_was_silent(
    pair: Pair, says: bool, hears: bool, pings: int
) -> None:
    pair.server._look()  # what was said to open it counts
    pair.take()
    pair.server._heard_at -= PING_SECONDS
    if says:
        await pair.server.send({"type": "websocket.send", "text": "something"})
    if hears:
        pair.client.send_text(b"something")
        pair.bring()
    pair.server._look()
    assert [frame.opcode for frame in pair.take()].count(Opcode.PING) == pings
    pair.server.stop_keepalive()


async def test_who_leaves_the_end_unread_is_let_go_of(pair: Pair) -> None:
    pair.wire.closing = True
    pair.server._look()
    assert not pair.wire.aborted  # a slow one may still read what stands before the end
    pair.server._look()
    assert pair.wire.aborted
    pair.server.stop_keepalive()


async def test_who_is_kept_busy_reading_is_answered_its_ping_in_between(pair: Pair) -> None:
    pair.server.pause_writing()
    for payload in (b"first", b"last"):
        pair.client.send_ping(payload)
        pair.bring()
    assert pair.wire.written == []
    pair.server.resume_writing()
    assert [(frame.opcode, frame.data) for frame in pair.take()] == [(Opcode.PONG, b"last")]
    pair.server.pause_writing()
    pair.server.resume_writing()
    assert pair.take() == []
