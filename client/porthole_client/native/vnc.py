"""A VNC program at the door: asked for the password, then led to the desktop.

Here we are the server of RFB 3.3, 3.7 or 3.8 with the security type VncAuth, and on the stream
its client without one. After that both conversations are the same.
"""

import secrets
from asyncio import StreamReader, StreamWriter
from typing import Final

from porthole_client.native import challenge
from porthole_client.native.legs import NotLetIn, Stream
from porthole_client.native.password import OneTime, same
from porthole_contract.errors import RemoteProtocolError

VERSION: Final = b"RFB 003.008\n"
_OLDEST, _MIDDLE = b"RFB 003.003\n", b"RFB 003.007\n"
_NONE, _VNC_AUTH = 1, 2
_OK, _FAILED = bytes(4), bytes((0, 0, 0, 1))


async def prove(reader: StreamReader, writer: StreamWriter, password: OneTime) -> bytes:
    """Ask a program for the password; return the version that it speaks.

    Raises:
        NotLetIn: it does not know it.
        RemoteProtocolError: it does not speak RFB.
    """
    writer.write(VERSION)
    version = await reader.readexactly(len(VERSION))
    if version not in {_OLDEST, _MIDDLE, VERSION}:
        raise RemoteProtocolError("The program speaks no version of VNC that is known here.")
    if version == _OLDEST:
        writer.write(bytes((0, 0, 0, _VNC_AUTH)))
    else:
        writer.write(bytes((1, _VNC_AUTH)))
        if await reader.readexactly(1) != bytes((_VNC_AUTH,)):
            raise RemoteProtocolError("The program does not let itself be asked for a password.")
    asked = secrets.token_bytes(challenge.LENGTH)
    writer.write(asked)
    said = await reader.readexactly(challenge.LENGTH)
    if not password.use(lambda right: same(said, challenge.answer(asked, right))):
        refuse(writer, version, "The password is wrong.")
        raise NotLetIn("A VNC program gave a wrong password.")
    return version


def admit(writer: StreamWriter) -> None:
    """Tell a program that it is let in."""
    writer.write(_OK)


def refuse(writer: StreamWriter, version: bytes, why: str) -> None:
    """Tell a program that it is not let in."""
    reason = why.encode()
    spoken = len(reason).to_bytes(4, "big") + reason if version == VERSION else b""
    writer.write(_FAILED + spoken)


async def begin(stream: Stream) -> None:
    """Do on a stream what comes before the conversation.

    Raises:
        RemoteProtocolError: the other side does not let us in.
    """
    if not (await stream.exactly(len(VERSION))).startswith(b"RFB 003."):
        raise RemoteProtocolError("The desktop does not speak VNC.")
    await stream.say(VERSION)
    (count,) = await stream.exactly(1)
    if _NONE not in await stream.exactly(count):
        raise RemoteProtocolError("The desktop asks for a password, which it never should.")
    await stream.say(bytes((_NONE,)))
    if await stream.exactly(len(_OK)) != _OK:
        raise RemoteProtocolError("The desktop does not let anybody in.")
