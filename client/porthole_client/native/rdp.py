"""An RDP program at the door: TLS with a certificate of ours, then its password is looked at.

TLS ends here and not in the gate, so that the password stays on this machine: it is compared when
Client Info comes, and taken out of it. On the stream we speak as browsers do, by RDCleanPath.
"""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from functools import partial
from typing import Final

from porthole_client.native import cleanpath, client_info
from porthole_client.native.legs import NotLetIn, Stream
from porthole_client.native.password import OneTime, same
from porthole_contract.errors import RemoteProtocolError

_BEFORE_INFO: Final = 64
"""PDUs that a program may say before Client Info: the channels that it joins."""


async def ask(reader: StreamReader, writer: StreamWriter) -> None:
    """Hear a program's request.

    Raises:
        NotLetIn: it does not offer TLS.
        RemoteProtocolError: it does not speak RDP.
    """
    if not client_info.wants_tls(await _pdu(reader)):
        writer.write(client_info.REFUSE)
        raise NotLetIn("An RDP program does not offer TLS.")


async def begin(stream: Stream) -> bytes:
    """Ask the gate for the desktop; return its X.224 confirmation.

    Raises:
        RemoteProtocolError: it says no.
    """
    await stream.say(cleanpath.request())
    held = b""
    while (found := cleanpath.read_answer(held)) is None:
        more = await stream.some()
        if not more:
            raise RemoteProtocolError(stream.why)
        held += more
    confirmation, rest = found
    stream.put_back(rest)
    return confirmation


async def admit(
    reader: StreamReader,
    writer: StreamWriter,
    stream: Stream,
    confirmation: bytes,
    *,
    tls: ssl.SSLContext,
    password: OneTime,
) -> None:
    """Let a program in, if it knows the password; its conversation with the desktop goes on.

    Raises:
        NotLetIn: it does not.
        RemoteProtocolError: it does not speak RDP.
    """
    writer.write(confirmation)
    await writer.drain()
    await writer.start_tls(tls)
    down = asyncio.create_task(_answers(writer, stream))
    try:
        for _ in range(_BEFORE_INFO):
            pdu = await _pdu(reader)
            info = client_info.read(pdu)
            if info is None:
                await stream.say(pdu)
                continue
            if not password.use(partial(_is, info.password)):
                raise NotLetIn("An RDP program gave a wrong password.")
            # From here on, somebody else passes on what the desktop says.
            await _settled(down)
            await stream.say(info.blanked)
            return
    finally:
        await _settled(down)
    raise RemoteProtocolError("The program does not say who it is.")


def _is(said: str, right: str) -> bool:
    return same(said.encode(), right.encode())


async def _answers(writer: StreamWriter, stream: Stream) -> None:
    while data := await stream.some():
        writer.write(data)


async def _settled(task: asyncio.Task[None]) -> None:
    # Cancelled while it waits for the stream; what it has read it has written by then.
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _pdu(reader: StreamReader) -> bytes:
    header = await reader.readexactly(client_info.HEADER)
    return header + await reader.readexactly(client_info.length(header) - len(header))
