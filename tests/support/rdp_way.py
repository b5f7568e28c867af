"""The way of a native client of RDP to a gate, as `session connect` makes it: a port here, and
for each connection to it a stream there.

async with native_port(pair, mode="view") as port: ...
async with carried(lambda: place.stream(session, "rdp", wire="rdp")) as port: ...
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

from porthole_contract.errors import Refused
from porthole_desktop.gate.rdp import ber, x224
from tests.support.desktop_pair import DesktopPair, NotAdmitted, close_all


@contextlib.asynccontextmanager
async def native_port(
    pair: DesktopPair,
    mode: str = "control",
    stream: UUID | None = None,
    *,
    replaces: UUID | None = None,
    **claims: Any,
) -> AsyncIterator[int]:
    """Listen on a port of this machine; what comes is carried to the gate as it is."""
    name = stream or uuid4()

    async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        request = pair.identity.request("rdp", mode, name, **claims)
        return await pair.open(request.evolve(protocol="rdp", replaces=replaces))

    async with carried(opened) as port:
        yield port


@contextlib.asynccontextmanager
async def carried(
    opened: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> AsyncIterator[int]:
    """Listen on a port of this machine, and open a stream for each connection to it."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await opened()
        except (AssertionError, EOFError, OSError, NotAdmitted, Refused):
            writer.close()
            return
        writers.append(there[1])
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(carry(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close_all(writers)


def cleanpath(destination: str = "192.0.2.1:3389") -> bytes:
    """Return a request as IronRDP makes it."""
    fields = (
        (0, ber.integer(3390)),
        (2, ber.write(ber.TEXT, destination.encode())),
        (3, ber.write(ber.TEXT, b"ticket")),
        (6, ber.write(ber.OCTETS, x224.request())),
    )
    body = b"".join(ber.write(ber.context(number), value) for number, value in fields)
    return ber.write(ber.SEQUENCE, body)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until one of the two has gone."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
