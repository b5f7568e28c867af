"""A gate that lets in whoever has a good grant and sends back what it is told.

It stands where a session's pod would have it: port 7443 of an address of its own.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from porthole_agent.runtimes.kubernetes.gate import PORT
from porthole_agent.runtimes.local.certificate import make_certificate
from porthole_contract.stream.channels import Channel
from porthole_contract.stream.grant import Issuer, check_for, verify
from porthole_contract.stream.preface import Admitted, Decoder, encode, read_request


@dataclass
class EchoingGate:
    """`issuers` are whom it believes, `admitted` the channels and modes that it let in."""

    address: str
    session: UUID
    fingerprint: str
    issuers: dict[str, Issuer]
    admitted: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            decoder = Decoder()
            while (whole := decoder.feed(await reader.read(4096))) is None:
                pass
            request = read_request(whole[0])
            _, claims = verify(request.grant, self.issuers, datetime.now(UTC))
            check_for(
                claims,
                session=self.session,
                gate=self.fingerprint,
                channel=request.channel,
                mode=request.mode,
            )
            self.admitted.append((request.channel, request.mode))
            writer.write(encode(Admitted()))
            while data := await reader.read(65536):
                if request.channel == Channel.VNC:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def an_echoing_gate(
    folder: Path, address: str, session: UUID, *issuers: Issuer
) -> AsyncIterator[EchoingGate]:
    certificate, key, fingerprint = make_certificate(session)
    (folder / "gate-cert.pem").write_bytes(certificate)
    (folder / "gate-key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "gate-cert.pem", folder / "gate-key.pem")
    gate = EchoingGate(address, session, fingerprint, {one.key_id: one for one in issuers})
    server = await asyncio.start_server(gate.serve, address, PORT, ssl=context)
    try:
        yield gate
    finally:
        server.close()
