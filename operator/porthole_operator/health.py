"""`GET /healthz`: 200 as long as the operator does its work, 503 otherwise; the log says why."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

_WITHIN: Final = 2.0
_LONGEST: Final = 8192


class Health:
    """Serves health.

    Args:
        trouble: returns what is wrong, in a sentence, or nothing.
    """

    def __init__(self, trouble: Callable[[], str]) -> None:
        self._trouble = trouble
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
            return _response("404 Not Found")
        if trouble := self._trouble():
            _log.warning("unhealthy", why=trouble)
            return _response("503 Service Unavailable")
        return _response("200 OK")


def _response(status: str) -> bytes:
    """Return an answer that says no more than its status: anybody may ask."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
