"""Metrics, answered on an address of their own to who has the token.

A unix socket, or HOST:PORT; `GET /metrics` with `Authorization: Bearer TOKEN`. Nothing else is
said there, and to a stranger nothing at all.
"""

import asyncio
import hmac
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from porthole_contract.errors import Refused

_WITHIN: Final = 5.0
_LONGEST: Final = 8192
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ADDRESS: Final = re.compile(r"(?:\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<plain>[^:]+)):(?P<port>\d+)")


class Exposition:
    """Answers who collects metrics.

    Args:
        tell: returns them in Prometheus' text format.
        token: what a collector shows.
    """

    def __init__(self, tell: Callable[[], bytes], token: str) -> None:
        self._tell = tell
        self._token = token.encode()
        self._server: asyncio.Server | None = None

    async def open(self, where: str) -> None:
        """Begin to listen.

        Args:
            where: `unix:PATH` or `HOST:PORT`.

        Raises:
            Refused: it cannot be listened on.
        """
        try:
            if where.startswith("unix:"):
                path = _free(where.removeprefix("unix:"))
                before = os.umask(0o177)
                try:
                    self._server = await asyncio.start_unix_server(
                        self._serve, path, limit=_LONGEST
                    )
                finally:
                    os.umask(before)
                return
            match = _ADDRESS.fullmatch(where)
            if match is None:
                raise Refused("address_wrong", f"{where!r} is neither unix:PATH nor HOST:PORT.")
            host = match["bracketed"] or match["plain"]
            port = int(match["port"])
            self._server = await asyncio.start_server(self._serve, host, port, limit=_LONGEST)
        except OSError as error:
            raise Refused("port_taken", f"Metrics cannot be told on {where}: {error}.") from error

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked does not want to know
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        request, *lines = head.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if not hmac.compare_digest(given, self._token):
            return _response("401 Unauthorized", b"")
        if request.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return _response("404 Not Found", b"")
        return _response("200 OK", self._tell())


async def begin(where: str | None, tell: Callable[[], bytes], file: Path) -> Exposition | None:
    """Answer collectors from now on, with the token in `file`; None: nobody is to be answered.

    Raises:
        Refused: it cannot be listened on, or there is no token.
    """
    if where is None:
        return None
    exposition = Exposition(tell, token(file))
    await exposition.open(where)
    return exposition


def token(file: Path) -> str:
    """Return the token in a file, which is made with a new one if it is not there.

    Raises:
        Refused: it cannot be read or made.
    """
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as opened:
                opened.write(f"{secrets.token_hex(32)}\n")
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            "token_unreadable", f"The token of metrics is not in {file}: {error}."
        ) from error
    if not text:
        raise Refused("token_unreadable", f"There is no token of metrics in {file}.")
    return text


def _free(where: str) -> Path:
    """Return a path of which a socket that a killed process left is gone."""
    path = Path(where)
    path.unlink(missing_ok=True)
    return path


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body
