"""Being let in by a gate: the preface, said with a fresh grant, and the gate's answer."""

import asyncio
import secrets
from asyncio import StreamReader, StreamWriter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from porthole_contract.errors import Refused
from porthole_contract.stream.grant import Claims, SigningKey, issue, nonce
from porthole_contract.stream.preface import Decoder, Denied, Request, encode, read_answer

UNGRANTED = "-"
"""The grant of a request that `admit` has yet to make."""
_WITHIN = 5.0
_GRANTED_FOR = timedelta(seconds=30)


async def admit(
    reader: StreamReader,
    writer: StreamWriter,
    key: SigningKey,
    request: Request,
    *,
    session: UUID,
    fingerprint: str,
    epoch: int = 0,
    password: str | None = None,
) -> bytes:
    """Have the gate at the other end open one channel.

    Args:
        reader: what the gate says; TLS is done.
        writer: what it is told; aborted if it does not let us in.
        key: signs the grant.
        request: what is asked for; its `grant` is replaced.
        session: whose gate it is.
        fingerprint: of the gate's certificate.
        epoch: of the agent's link; orders commanders.
        password: SHA-256 (lower hex) of what the viewer has to show besides.

    Returns:
        The first bytes of the channel, if some came with the answer.

    Raises:
        Refused: the gate says no, or nothing.
    """
    now = datetime.now(UTC)
    claims = Claims(
        session=session,
        gate=fingerprint,
        channel=request.channel,
        mode=request.mode,
        nonce=nonce(secrets.token_bytes(16)),
        expires=now + _GRANTED_FOR,
        epoch=epoch,
        password=password,
    )
    granted = request.model_copy(update={"grant": issue(key, claims, now)})
    try:
        async with asyncio.timeout(_WITHIN):
            writer.write(encode(granted))
            return await _answer(reader)
    except (TimeoutError, OSError) as error:
        writer.transport.abort()
        raise Refused("gate_silent", "The session's gate does not answer.") from error
    except BaseException:
        writer.transport.abort()
        raise


async def _answer(reader: StreamReader) -> bytes:
    decoder = Decoder()
    while data := await reader.read(65536):
        whole = decoder.feed(data)
        if whole is None:
            continue
        answer = read_answer(whole[0])
        if isinstance(answer, Denied):
            raise Refused(answer.error.code, answer.error.message)
        return whole[1]
    raise Refused("gate_closed", "The session's gate closed the connection.")
