"""Being let in by a session's gate: pinned TLS, the preface, and the gate's answer."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from typing import Final

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.tickets import Opening
from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream.channels import usual
from porthole_contract.stream.pinning import is_the_gate, pinned_tls
from porthole_contract.stream.preface import Decoder, Denied, Request, encode, read_answer

BUFFER: Final = 64 * 1024
"""Bytes that are taken in ahead (asyncio stops reading at twice as much)."""
_WITHIN: Final = 10.0


async def enter(end: socket.socket, opening: Opening) -> tuple[StreamReader, StreamWriter, bytes]:
    """Have the gate at the other end of a socket open the screen.

    Returns what to read and write, and the first bytes, if some came with the answer.

    Raises:
        Failure: the gate is not there, is not the right one, or says no.
    """
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(
                sock=end, ssl=pinned_tls(), server_hostname="gate", limit=BUFFER
            )
            try:
                _check(writer, opening.fingerprint)
                writer.write(encode(_request(opening)))
                return reader, writer, await _answer(reader)
            except BaseException:
                writer.transport.abort()
                raise
    except RemoteProtocolError as error:
        raise Failure(f"What answers in the gate's place is not a gate: {error}") from error
    except (OSError, TimeoutError) as error:
        raise Failure("The session's gate does not answer.", Exit.UNREACHABLE) from error


def _request(opening: Opening) -> Request:
    return Request(
        stream=opening.stream,
        channel=opening.channel,
        protocol=usual(opening.channel),
        mode=opening.mode,
        grant=opening.grant,
        replaces=opening.replaces,
    )


def _check(writer: StreamWriter, fingerprint: str) -> None:
    if not is_the_gate(writer.get_extra_info("ssl_object"), fingerprint):
        raise Failure(
            "What answers in the gate's place shows another certificate than the operator named."
            " Nothing was sent to it.",
        )


async def _answer(reader: StreamReader) -> bytes:
    decoder = Decoder()
    while data := await reader.read(BUFFER):
        whole = decoder.feed(data)
        if whole is None:
            continue
        answer = read_answer(whole[0])
        if isinstance(answer, Denied):
            raise Failure(f"The session's gate says no: {answer.error.message}")
        return whole[1]
    raise Failure("The session's gate closed the connection.", Exit.UNREACHABLE)
