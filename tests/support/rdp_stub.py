"""A desktop that is not what it should be: a supervisor that says what a test wants it to, and
something behind `rdp.sock`.

async with rdp_stub(pair.sockets, fingerprint, desktop): ...
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from porthole_desktop.supervisor import protocol

Desktop = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CONFIRM = bytes.fromhex("030000130ed000001234000201080001000000")
"""What xrdp says to who asks for TLS."""


@contextlib.asynccontextmanager
async def rdp_stub(sockets: Path, fingerprint: str, desktop: Desktop) -> AsyncIterator[None]:
    """Serve both sockets of a desktop."""
    writers: list[asyncio.StreamWriter] = []

    async def supervise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(protocol.hello("supervisor"))
        told = {"fingerprint": fingerprint}
        screen = {"width": 800, "height": 600}
        writer.write(protocol.say("state", drawn=True, stopping=False, rdp=told, screen=screen))
        while await reader.read(4096):
            pass

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            await desktop(reader, writer)

    servers = [
        await asyncio.start_unix_server(supervise, sockets / "supervisor.sock"),
        await asyncio.start_unix_server(meet, sockets / "rdp.sock"),
    ]
    try:
        yield
    finally:
        for server in servers:
            server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)


async def tpkt(reader: asyncio.StreamReader) -> bytes:
    """Read one TPKT."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head[2:], "big") - 4)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything, and say nothing."""
    del writer
    while await reader.read(4096):
        pass


def over_tls(folder: Path, after: Desktop) -> Desktop:
    """Return a desktop that agrees to TLS with the certificate in `folder`, and goes on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tpkt(reader)
        # Before the answer, since what follows it is TLS: nothing of that may be read here.
        plain = writer.transport
        upgrading = asyncio.create_task(writer.start_tls(context))
        plain.write(CONFIRM)
        try:
            await upgrading
        finally:
            if writer.transport is None:  # what asyncio leaves when the other end has gone
                writer._transport = plain
        await after(reader, writer)

    return meet
