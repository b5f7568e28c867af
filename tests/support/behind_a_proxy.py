"""A control plane with a certificate of a private authority, reached through a proxy alone."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from porthole_control.serving import bind_tcp
from porthole_operator.certificates import certificate
from tests.support.postgres import TestDatabase
from tests.support.served import Served, served

NAME = "control.example"
"""A name that no resolver knows: whoever gets there has asked the proxy."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, back), _pump(there, writer))


@dataclass
class Behind:
    """What stands behind the proxy. `asked`: what the proxy was asked for, in order."""

    served: Served
    url: str
    proxy: str
    authority: Path
    asked: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def behind_a_proxy(database: TestDatabase, folder: Path) -> AsyncIterator[Behind]:
    files = certificate("Porthole", [NAME])
    for name, content in files.items():
        (folder / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    front_socket = bind_tcp("127.0.0.1", 0)
    port = front_socket.getsockname()[1]
    url = f"https://{NAME}:{port}"
    async with served(database, folder / "control", public_url=url) as control:
        asked: list[str] = []

        async def terminate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _join(reader, writer, control.port)

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            asked.append(head.splitlines()[0])
            if head.split()[:2] != ["CONNECT", f"{NAME}:{port}"]:
                writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                await writer.drain()
                writer.close()
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, port)

        front = await asyncio.start_server(terminate, sock=front_socket, ssl=context)
        forward = await asyncio.start_server(proxy, "127.0.0.1", 0)
        at = forward.sockets[0].getsockname()[1]
        try:
            yield Behind(control, url, f"http://127.0.0.1:{at}", folder / "ca.crt", asked)
        finally:
            front.close()
            forward.close()
