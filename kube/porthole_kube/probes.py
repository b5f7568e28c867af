"""What a program's probes are told: a status, and not a word more. The log says why."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from porthole_contract.errors import Refused

_log = structlog.get_logger(__name__)

_WITHIN: Final = 2.0
_LONGEST: Final = 8192


class Probes:
    """Answers on a port, to anybody.

    Args:
        checks: by path, what is wrong, in a sentence, or nothing.
    """

    def __init__(self, checks: Mapping[str, Callable[[], str]]) -> None:
        self._checks = checks
        self._said = dict.fromkeys(checks, "")
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> None:
        """Begin to listen on all addresses.

        Raises:
            Refused: the port cannot be had.
        """
        try:
            self._server = await asyncio.start_server(self._serve, None, port, limit=_LONGEST)
        except OSError as error:
            raise Refused(
                "port_taken", f"Probes cannot be answered on port {port}: {error}."
            ) from error

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(self._status(request.split(b"\r\n", 1)[0])))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked does not want to know
        finally:
            writer.close()

    def _status(self, request: bytes) -> str:
        method, _, rest = request.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0]
        if method != "GET" or path not in self._checks:
            return "404 Not Found"
        why = self._checks[path]()
        if bool(why) != bool(self._said[path]):
            _log.warning("probe_changed", path=path, why=why or "It is well again.")
        self._said[path] = why
        return "503 Service Unavailable" if why else "200 OK"


def _response(status: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
