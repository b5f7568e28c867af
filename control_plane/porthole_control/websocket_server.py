"""uvicorn's WebSocket protocol, with what links and streams need beside it.

uvicorn's own class reads no more while a message waits for the application, which is the
back-pressure that streams rely on. What is different here, and why:

* A message may be as long as its path allows, and come in so many pieces. A stream's bytes
  are opaque and can be cut anywhere, so nobody needs long ones, and a half received message
  is memory.
* Whether the peer lives is judged by all that it sends or reads, and only while we read.
  uvicorn waits for the pong alone, which stands behind the data that back-pressure holds
  up, and so it would cut a desktop off because its viewer is slow, and the viewer as well.
* A peer that does not read is answered its last ping only, and when it reads again: the pongs
  would pile up without end. None at all would be no answer to a peer that is kept busy reading.
* The kernel takes only so much that it cannot send yet; the rest waits where it slows the
  sender down, and a slow viewer is not seconds behind.
* A large message is sent as its header and itself. websockets copies it behind its header,
  and then once more, before it is written.
* Thousands of connections are open at once and say little: what only the handshake needed is
  let go, and nothing is kept ready for those who might wait.
* When the server stops, applications that were told so (`going_away`) say goodbye
  themselves; uvicorn would cut them off in the middle of it.
"""

import asyncio
import socket
import struct
from asyncio.transports import BaseTransport
from collections import deque
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from porthole_control.flag import Flag
from porthole_control.sockets import GOING_AWAY, LOST, ROOM

PING_SECONDS: Final = 10.0
"""How often it is looked whether both sides have said something since; where one has not, a ping is
sent. So neither is silent for twice as long, and proxies cut only what is silent for longer."""
DEAD_SECONDS: Final = 45.0
"""A peer that has sent nothing for so long, pongs included, is dead."""
STREAM_MESSAGE: Final = 256 * 1024
"""Bytes of the longest message on a stream."""
LINK_PATH: Final = "/api/v1/agents/link"
_MOST_FRAGMENTS: Final = 1024
_UNSENT: Final = 128 * 1024
_GOODBYE_SECONDS: Final = 2.0
_TCP_NOTSENT_LOWAT: Final = 25
_LARGE: Final = 4096
"""Bytes from which on two copies cost more than a second buffer for the kernel."""
_WHOLE_BINARY: Final = 0x82


class _Inbox:
    """What the application has not taken yet: as much of `asyncio.Queue` as is needed here."""

    def __init__(self) -> None:
        self._messages: deque[Any] | None = None
        self._more = Flag()

    def put_nowait(self, message: Any) -> None:
        """Add a message."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        self._more.set()

    def empty(self) -> bool:
        """Return whether there is nothing to take."""
        return self._messages is None

    async def get(self) -> Any:
        """Take the next message, as soon as there is one."""
        while self._messages is None:
            self._more.clear()
            await self._more.wait()
        message = self._messages.popleft()
        if not self._messages:
            self._messages = None
        return message


class WebSocketServerProtocol(WebSocketsSansIOProtocol):
    """One WebSocket of a client; made by uvicorn."""

    _tick: asyncio.TimerHandle | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard_at = 0.0
        self._has_said = False
        self._was_closing = False
        self._pong = b""
        self._tick = None
        self._lost = Flag()
        self.queue = _Inbox()  # type: ignore[assignment]
        self.writable = Flag()  # type: ignore[assignment]
        self.writable.set()

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over a connection."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
            raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)

    def data_received(self, data: bytes) -> None:
        """Take in bytes."""
        self._heard_at = self.loop.time()
        super().data_received(data)

    def resume_writing(self) -> None:
        """Note that the peer has read what waited for it: slowly, perhaps, but it lives."""
        self._heard_at = self.loop.time()
        if self._pong:
            self.transport.write(self._pong)
            self._pong = b""
        super().resume_writing()

    def handle_connect(self, event: Request) -> None:
        """Take in the request that opens it."""
        # A proxy may have left a path before it.
        if not event.path.partition("?")[0].endswith(LINK_PATH):
            self.conn.max_message_size = STREAM_MESSAGE
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][LOST] = {"event": self._lost}
            self.scope["extensions"][ROOM] = {"event": self.writable}

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is gone."""
        self._lost.set()
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        """Take in a further piece of a message."""
        if len(self.frames) >= _MOST_FRAGMENTS:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping; of several that wait for the peer to read, the last (RFC 6455, 5.5.3)."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._pong = pong or self._pong

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        self._has_said = True
        data = message.get("bytes")
        if data is not None and len(data) >= _LARGE and await self._sent_as_it_is(data):
            return
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.request.headers.clear()  # the parser keeps it
            del self.request, self.response
        # An answer instead of a WebSocket is an end like any other, not an application's error.
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    async def _sent_as_it_is(self, data: bytes) -> bool:
        """Send a large message without a copy, if messages can be sent now."""
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return False
        if self.conn.extensions:  # it would have to be compressed
            return False
        if len(data) < 1 << 16:
            head = struct.pack("!BBH", _WHOLE_BINARY, 126, len(data))
        else:
            head = struct.pack("!BBQ", _WHOLE_BINARY, 127, len(data))
        self.transport.writelines((head, data))
        return True

    # Whether the peer lives --------------------------------------------------------------

    def start_keepalive(self) -> None:
        """Begin to look whether the peer lives."""
        self._heard_at = self.loop.time()
        self._tick = self.loop.call_later(PING_SECONDS, self._look)

    def stop_keepalive(self) -> None:
        """Look no more."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _look(self) -> None:
        self._tick = None
        if self.transport.is_closing():
            self._see_off()
            return
        now = self.loop.time()
        if self.read_paused:
            # It may have said much; we do not know, and it is our doing.
            self._heard_at = now
        elif now - self._heard_at >= DEAD_SECONDS:
            self.transport.abort()
            return
        # Where both have something to say, a link above all, a ping would tell nothing new.
        is_quiet = not self._has_said or now - self._heard_at >= PING_SECONDS
        self._has_said = False
        if is_quiet and not self.close_sent:
            self.conn.send_ping(b"porthole")
            self.transport.write(b"".join(self.conn.data_to_send()))
        self._tick = self.loop.call_later(PING_SECONDS, self._look)

    # The end -----------------------------------------------------------------------------

    def _see_off(self) -> None:
        """Let go of a peer that leaves unread what stands before the end: it would stay open."""
        if self._was_closing:
            self.transport.abort()
            return
        self._was_closing = True
        self._tick = self.loop.call_later(PING_SECONDS, self._look)

    def shutdown(self) -> None:
        """End, because the server stops: at once, unless the application does it itself."""
        told = getattr(self, "scope", {}).get("extensions", {}).get(GOING_AWAY)
        if told is None or not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.loop.call_later(_GOODBYE_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()
