"""TLS in front of the embedded PostgreSQL, whose build has none.

Speaks the first words of PostgreSQL's protocol: agrees to TLS and to nothing else, looks whom
the connection is for, and then carries bytes between it and the server's unix socket. Only
our one role comes in, to our one database; its password is the server's business.
"""

import asyncio
import contextlib
import ssl
import struct
from pathlib import Path
from threading import Thread
from typing import Final

from porthole_control.db.layout import DATABASE, PORT, ROLE

_TLS: Final = 80877103
_GSS: Final = 80877104
_CANCEL: Final = 80877102
_PROTOCOL_3: Final = 3
_LONGEST_START: Final = 10_000
_GREETING_SECONDS: Final = 10.0
_PIECE: Final = 64 * 1024
_FATAL: Final = "28000"  # invalid authorization specification


class Turned(Exception):
    """A connection is turned away, with this sentence."""


def serve(address: str, certificate: Path, key: Path, sockets: Path) -> Thread:
    """Serve TCP with TLS, in a thread that ends with the program.

    Args:
        address: where to listen, on PostgreSQL's port.
        certificate: PEM file with the certificate and what leads to its authority.
        key: PEM file with its key.
        sockets: the folder of the server's unix socket.

    Raises:
        OSError: the address cannot be listened on, or a file cannot be read.
        ssl.SSLError: certificate and key are none, or do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    front = _Front(context, sockets / f".s.PGSQL.{PORT}")
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(front.connected, address, PORT))

    def run() -> None:
        loop.run_until_complete(server.serve_forever())

    thread = Thread(target=run, name="tls", daemon=True)
    thread.start()
    return thread


class _Front:
    def __init__(self, context: ssl.SSLContext, socket: Path) -> None:
        self._context = context
        self._socket = socket

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        behind: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                start = await self._greet(reader, writer)
                answers, behind = await asyncio.open_unix_connection(str(self._socket))
            behind.write(start)
            await _both_ways((reader, behind), (answers, writer))
        except Turned as turned:
            with contextlib.suppress(OSError):
                writer.write(refusal(str(turned)))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError):
            pass  # who leaves, or says nothing, has nothing to be told
        finally:
            for one in (writer, behind):
                if one is not None:
                    one.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Return the first message that is for the server itself, TLS being spoken by then."""
        while True:
            start = await _first_message(reader)
            code = wanted(start)
            if code == _GSS:
                writer.write(b"N")
            elif code == _TLS and writer.get_extra_info("ssl_object") is None:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._context)
            elif writer.get_extra_info("ssl_object") is None:
                raise Turned("This database is reached with TLS only: sslmode=verify-full.")
            else:
                judge(start)
                return start


def wanted(start: bytes) -> int:
    """Return the code of a first message: a version, or one of the requests."""
    code: int = struct.unpack_from("!I", start, 4)[0]
    return code


def judge(start: bytes) -> None:
    """Check whom a first message is from, and for which database.

    Raises:
        Turned: not our role, or not our database.
    """
    code = wanted(start)
    if code == _CANCEL:
        return
    if code >> 16 != _PROTOCOL_3:
        raise Turned("This version of PostgreSQL's protocol is not spoken here.")
    words = start[8:].split(b"\0")
    given = dict(zip(words[::2], words[1::2], strict=False))
    user = given.get(b"user", b"").decode(errors="replace")
    database = given.get(b"database", b"").decode(errors="replace") or user
    if (user, database) != (ROLE, DATABASE):
        raise Turned(f"Only the role {ROLE} comes in this way, to the database {DATABASE}.")


def refusal(sentence: str) -> bytes:
    """Return PostgreSQL's message for an error that ends the connection."""
    fields = {"S": "FATAL", "V": "FATAL", "C": _FATAL, "M": sentence}
    body = b"".join(f"{name}{value}\0".encode() for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


async def _first_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(8)
    length = struct.unpack("!I", head[:4])[0]
    if not 8 <= length <= _LONGEST_START:  # noqa: PLR2004 - a length and a code
        raise Turned("This is not PostgreSQL's protocol.")
    return head + await reader.readexactly(length - 8)


_Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both_ways(there: _Way, back: _Way) -> None:
    """Carry bytes until either side has ended."""
    ways = [asyncio.ensure_future(_carry(*way)) for way in (there, back)]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
