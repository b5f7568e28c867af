"""`GET /healthz`: 200 as long as the operator does its work, 503 with the reason otherwise."""

import asyncio
import json
from collections.abc import Callable
from typing import Final

_WITHIN: Final = 2.0
_LONGEST: Final = 8192


class Health:
    """Serves health.

    Args:
        trouble: returns what is wrong, in a sentence, or nothing.
        details: returns what else is worth telling.
    """

    def __init__(
        self, trouble: Callable[[], str], details: Callable[[], dict[str, object]]
    ) -> None:
        self._trouble = trouble
        self._details = details
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> None:
        """Begin to listen on all addresses.

        Raises:
            OSError: the port cannot be had.
        """
        self._server = await asyncio.start_server(self._serve, None, port, limit=_LONGEST)

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked does not want to know
        finally:
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        words = request.split(b" ")
        if words[:2] != [b"GET", b"/healthz"]:
            return _response("404 Not Found", {"error": "There is only GET /healthz here."})
        trouble = self._trouble()
        if trouble:
            return _response("503 Service Unavailable", {"trouble": trouble, **self._details()})
        return _response("200 OK", self._details())


def _response(status: str, body: dict[str, object]) -> bytes:
    text = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + text
