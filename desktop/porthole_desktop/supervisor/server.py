"""The supervisor's end of `supervisor.sock`: it tells what happens and takes orders.

Whoever may open the socket is checked by uid; how many may, and how much may wait for one
that does not read, is bounded.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from . import protocol
from .channels import Channels, Openers, Refusal
from .log import Log

MOST_PEERS: Final = 8
MOST_WAITING: Final = 256 * 1024
"""Bytes that may wait for a peer that does not read; then it is let go."""
_CHUNK: Final = 65536
_GREETING_SECONDS: Final = 5.0

Order = Callable[[dict[str, Any]], None]
"""Carries out one request of the conversation.

Raises:
    Refusal: it is not done.
"""


class Server:
    """Serves the socket at `path`.

    Args:
        path: where; anything that is there is replaced.
        gate_uid: the only uid besides root that may speak (None: any that can open it).
        state: returns the fields of the `state` message a new peer hears first.
        order: carries out `start` and `stop`.
        openers: what serves channels, by name.
    """

    def __init__(
        self,
        path: Path,
        *,
        gate_uid: int | None,
        state: Callable[[], dict[str, Any]],
        order: Order,
        openers: Openers,
        log: Log,
    ) -> None:
        self._path = path
        self._gate_uid = gate_uid
        self._state = state
        self._order = order
        self._openers = openers
        self._log = log
        self._peers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117)
        try:
            listener.bind(str(self._path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._meet, sock=listener)

    async def close(self) -> None:
        """Say what is still to be said, and close."""
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.2):
                    await peer.drain()
            peer.close()
        self._path.unlink(missing_ok=True)

    def tell(self, kind: str, **fields: Any) -> None:
        """Tell every peer; one that does not read is let go."""
        frame = protocol.say(kind, **fields)
        for peer in list(self._peers):
            self._send(peer, frame)

    def _send(self, peer: asyncio.StreamWriter, frame: bytes) -> None:
        transport = peer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(frame) > MOST_WAITING:
            self._log.say("A peer on supervisor.sock does not read; it is let go.")
            transport.abort()
            return
        peer.write(frame)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            uid = peer_uid(writer.get_extra_info("socket"))
            if self._gate_uid is not None and uid not in (0, self._gate_uid):
                self._log.say(f"uid {uid} may not speak on supervisor.sock.")
            elif len(self._peers) >= MOST_PEERS:
                self._log.say(f"There are {MOST_PEERS} peers on supervisor.sock already.")
            else:
                await self._converse(reader, writer)
        except (protocol.Broken, TimeoutError) as error:
            self._log.say(f"A peer on supervisor.sock is let go: {error or 'it said nothing'}.")
        except OSError:
            pass  # it left
        finally:
            self._peers.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channels = Channels(writer, self._openers, self._log)
        try:
            await self._hear(reader, writer, channels)
        finally:
            await channels.close()

    async def _hear(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, channels: Channels
    ) -> None:
        decoder = protocol.Decoder()
        writer.write(protocol.hello("supervisor"))
        greeted = False
        while True:
            async with asyncio.timeout(None if greeted else _GREETING_SECONDS):
                data = await reader.read(_CHUNK)
            if not data:
                return
            for frame in decoder.feed(data):
                if frame.channel != protocol.CONVERSATION:
                    channels.feed(frame)
                    continue
                message = frame.message()
                if greeted:
                    self._answer(writer, message, channels)
                    continue
                protocol.check_hello(message)
                greeted = True
                self._send(writer, protocol.say("state", **self._state()))
                self._peers.add(writer)
            await writer.drain()

    def _answer(
        self, writer: asyncio.StreamWriter, message: dict[str, Any], channels: Channels
    ) -> None:
        number = message.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            raise protocol.Broken("A request has no id.")
        try:
            if message["type"] == "open":
                channels.open(message.get("name"), message.get("channel"))
            else:
                self._order(message)
        except Refusal as refusal:
            fault = {"code": refusal.code, "message": str(refusal)}
            self._send(writer, protocol.say("reply", id=number, ok=False, error=fault))
        else:
            self._send(writer, protocol.say("reply", id=number, ok=True))


def peer_uid(connection: socket.socket) -> int:
    """Return the uid of the process at the other end of a unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
