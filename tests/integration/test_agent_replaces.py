"""An agent whose viewer comes again while its old stream is stalled."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection, serve

from porthole_agent.enrolment import Identity
from porthole_agent.metrics import STREAMS
from porthole_agent.streams import Streams
from porthole_contract.session import GateAddress
from porthole_contract.stream.channels import Channel
from porthole_contract.stream.grant import SigningKey
from porthole_contract.stream.preface import Admitted, Decoder, Request, encode, read_request
from porthole_contract.testing import builders
from tests.support.waiting import until


class Gates:
    """A runtime whose gates show pictures without end; `admitted` are whom they let in."""

    def __init__(self) -> None:
        self.admitted: list[Request] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            decoder = Decoder()
            while (whole := decoder.feed(await reader.read(4096))) is None:
                pass
            request = read_request(whole[0])
            writer.write(encode(Admitted()))
            if request.channel == Channel.VNC:
                self.admitted.append(request)
                while True:
                    writer.write(bytes(65536))
                    await writer.drain()
            await reader.read()
        writer.close()

    async def connect_gate(self, session: UUID) -> Any:
        del session
        return await asyncio.open_connection("127.0.0.1", self.port)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gates"]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


def open_streams() -> float:
    return STREAMS.collect()[0].samples[0].value


async def test_a_stalled_stream_that_is_replaced_is_ended_at_the_agent_too() -> None:
    legs: dict[str, ServerConnection] = {}

    async def stalled(leg: ServerConnection) -> None:
        assert leg.request is not None
        legs[leg.request.path.split("/")[-2]] = leg
        await leg.wait_closed()

    subprotocols: Any = ["binary"]
    async with (
        Gates().open() as gates,
        serve(
            stalled, "127.0.0.1", 0, subprotocols=subprotocols, max_queue=1, close_timeout=0.2
        ) as server,
    ):
        port = next(iter(server.sockets)).getsockname()[1]
        identity = Identity(
            url=f"http://127.0.0.1:{port}", agent=uuid4(), name="a", control_plane=uuid4()
        )
        key = SigningKey(key_id="k", private=Ed25519PrivateKey.generate())
        gate = GateAddress(address="here", fingerprint="ab" * 32)
        seen: Any = builders.an_observation(status=builders.a_status(gate=gate))
        runtime: Any = gates
        streams = Streams(identity, key, runtime, seen=lambda _: seen, refuse=print)
        old, new = builders.an_open_stream(1), builders.an_open_stream(2)
        streams.open(old)
        await until(lambda: str(old.stream) in legs)
        await asyncio.sleep(0.5)  # until nothing more fits in
        assert open_streams() == 1
        streams.open(new.evolve(replaces=old.stream))
        await until(lambda: str(new.stream) in legs)
        await until(lambda: open_streams() == 1, 5)
        assert [one.replaces for one in gates.admitted] == [None, old.stream]
        await streams.close_all("shutdown", "")
