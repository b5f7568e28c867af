"""WebSockets as links and streams use them: a thin view of ASGI's own.

Starlette's class is made for one handler that takes turns; ours read and write at the same
time, move many small messages, and tell a peer in words why it is turned away.
"""

import asyncio
import contextlib
import json
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import Message, Receive, Scope, Send

from porthole_control.flag import Flag

logger = structlog.get_logger(__name__)

CLOSING_SECONDS = 30.0
"""How long who is turned away, or whose time is over, has to make room for our last words."""
LONGEST_REASON = 123
"""Bytes of UTF-8 that a close frame has room for."""
GOING_AWAY = "porthole.going_away"
"""The name of an ASGI extension of ours: an event that is set when the server stops."""
LOST = "porthole.lost"
"""The name of another: a flag that is set when the connection is gone, heard or not."""
ROOM = "porthole.room"
"""The name of a third: a flag that is set while something can be sent at once."""


class Gone(Exception):
    """The peer has left, or the connection is lost (code 1006 or 1005)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"The connection ended with {code} {reason!r}.")
        self.code = code
        self.reason = reason


class Socket:
    """One WebSocket of a client.

    One task may hear while others say. Nothing is buffered here: `say` returns when the
    transport has room, and who does not `hear` is not sent to.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._closed = False
        extensions = scope.get("extensions", {})
        # Servers that do not know our extensions never set these.
        self.going_away: asyncio.Event = (
            extensions.get(GOING_AWAY, {}).get("event") or asyncio.Event()
        )
        self.lost: Flag = extensions.get(LOST, {}).get("event") or Flag()
        self._room: Flag = extensions.get(ROOM, {}).get("event") or Flag()

    @property
    def has_room(self) -> bool:
        """Whether `say` would return at once; False where the server does not tell."""
        return self._room.is_set()

    @property
    def headers(self) -> dict[str, str]:
        """What the request had; made when asked for, for a link is open much longer than that."""
        return {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]
        }

    @property
    def address(self) -> str:
        """The address of the other end, as far as it is known."""
        client = self.scope.get("client")
        return str(client[0]) if client else "unknown"

    @property
    def bearer(self) -> str:
        """The bearer token that was sent, or nothing."""
        kind, _, text = self.headers.get("authorization", "").partition(" ")
        return text.strip() if kind.lower() == "bearer" else ""

    def offers(self, subprotocol: str) -> bool:
        """Return whether the client speaks that subprotocol."""
        return subprotocol in self.scope.get("subprotocols", ())

    async def opening(self) -> None:
        """Take in that somebody wants to open it; comes first."""
        await self._receive()

    async def accept(self, subprotocol: str | None = None) -> None:
        """Open it."""
        await self._tell({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self, status: HTTPStatus, code: str, sentence: str) -> None:
        """Do not open it, and say why: an HTTP answer with a problem."""
        self._closed = True
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            await self._tell({"type": "websocket.close", "code": 1008})
            return
        body = {"title": status.phrase, "status": status, "code": code, "detail": sentence}
        await self._tell(
            {
                "type": "websocket.http.response.start",
                "status": int(status),
                "headers": [(b"content-type", b"application/problem+json")],
            }
        )
        await self._tell(
            {"type": "websocket.http.response.body", "body": json.dumps(body).encode()}
        )

    async def hear(self) -> str | bytes:
        """Return the next message.

        Raises:
            Gone: there will be none.
        """
        message: Message = await self._receive()
        if message["type"] == "websocket.receive":
            data: str | bytes | None = message.get("bytes")
            return message.get("text", "") if data is None else data
        raise Gone(message.get("code") or 1006, message.get("reason") or "")

    async def say(self, data: str | bytes) -> None:
        """Send a message; returns when there is room for more.

        Raises:
            Gone: nobody hears it any more.
        """
        kind = "text" if isinstance(data, str) else "bytes"
        await self._tell({"type": "websocket.send", kind: data})

    async def close(self, code: int, reason: str = "", *, last: str | None = None) -> None:
        """Close it, if it is open still. Who reads nothing is not waited for.

        Args:
            code: of the close frame.
            reason: why; it is cut to what fits.
            last: a message that is said before.
        """
        if self._closed or self.lost.is_set():
            return
        self._closed = True
        with contextlib.suppress(Gone, TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                if last is not None:
                    await self.say(last)
                await self._tell({"type": "websocket.close", "code": code, "reason": cut(reason)})

    async def _tell(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            # OSError: the client is gone. RuntimeError: the server has closed it meanwhile.
            raise Gone(1006) from error


async def refuse_pages(socket: Socket) -> bool:
    """Refuse a socket that a page in a browser opens where only programs do; return whether.

    A page of anybody's can open sockets to this machine: it must not use up what is there
    for agents.
    """
    if "origin" not in socket.headers:
        return False
    logger.warning("page_refused", address=socket.address)
    sentence = "Agents dial in here; pages in browsers do not."
    await socket.refuse(HTTPStatus.FORBIDDEN, "wrong_origin", sentence)
    return True


def cut(reason: str) -> str:
    """Return as much of `reason` as a close frame has room for, whole characters."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")
