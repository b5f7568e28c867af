"""Whether somebody who comes now would see the desktop: `GET /healthz`.

200 only when the supervisor has said that the screen was drawn and the desktop answers
with a whole greeting in RFB (a connection that breaks off early counts as an attack to
some servers). The answer is remembered for a moment, so that asking often costs nothing. A
desktop that is seen over RDP alone is believed: each question would cost it a process.
"""

import asyncio
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream.channels import Channel
from porthole_desktop.gate.gate import Gate
from porthole_desktop.gate.rfb.handshake import DesktopGreeting
from porthole_desktop.gate.sockets import Unreachable, connect, listener

_REMEMBERED: Final = 2.0
_ANSWER_SECONDS: Final = 2.0
_REQUEST_SECONDS: Final = 2.0
_LONGEST_REQUEST: Final = 8192
_MOST_ASKING: Final = 32


class Health:
    """Serves health for one gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._server: asyncio.Server | None = None
        self._asking = 0
        self._looked_at = float("-inf")
        self._answers = False
        self._looking: asyncio.Task[bool] | None = None

    async def open(self, address: str) -> None:
        """Begin to listen.

        Raises:
            Invalid: the address means nothing.
            OSError: it cannot be listened on.
        """
        self._server = await asyncio.start_server(
            self._serve, sock=listener(address), limit=_LONGEST_REQUEST
        )

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asking += 1
        try:
            if self._asking <= _MOST_ASKING:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(request.split(b"\r\n", 1)[0]))
                async with asyncio.timeout(_REQUEST_SECONDS):
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked does not want to know
        finally:
            self._asking -= 1
            writer.close()

    async def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0]
        if path != b"/healthz":
            return _response("404 Not Found")
        if method not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed")
        well = self._gate.supervisor.drawn and await self._answers_viewers()
        return _response("200 OK" if well else "503 Service Unavailable")

    async def _answers_viewers(self) -> bool:
        if not self._gate.config.screens:
            return True
        if Channel.VNC not in self._gate.config.screens:
            told = self._gate.supervisor
            return told.rdp is not None and told.screen is not None
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= _REMEMBERED:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            self._answers = await asyncio.shield(self._looking)
            self._looking = None
            self._looked_at = asyncio.get_running_loop().time()
        return self._answers

    async def _look(self) -> bool:
        config = self._gate.config
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                connection = await connect(config.rfb, config.desktop_uid)
                reader, writer = await asyncio.open_unix_connection(sock=connection)
                try:
                    greeting = DesktopGreeting()
                    while greeting.screen is None:
                        data = await reader.read(_LONGEST_REQUEST)
                        if not data:
                            return False
                        writer.write(greeting.feed(data))
                finally:
                    writer.close()
        except (Unreachable, RemoteProtocolError, OSError, TimeoutError):
            return False
        return True


def _response(status: str) -> bytes:
    """Return an answer that says no more than its status: anybody may ask."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
