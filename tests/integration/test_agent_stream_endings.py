"""Why a gate ended a stream reaches its viewer, however the gate's connection ends."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection, serve

from porthole_agent.enrolment import Identity
from porthole_agent.streams import SUBPROTOCOL, Streams
from porthole_contract.stream import control
from porthole_contract.stream.channels import Channel
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.grant import SigningKey
from porthole_contract.stream.preface import Admitted, Decoder, encode, read_request
from porthole_contract.testing import builders


class Gate:
    """Lets everybody in; resets its first stream when that says something, and says why."""

    def __init__(self) -> None:
        self.commander: asyncio.Future[StreamWriter] = asyncio.get_running_loop().create_future()
        self.left = asyncio.Event()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        decoder = Decoder()
        while (whole := decoder.feed(await reader.read(4096))) is None:
            pass
        request = read_request(whole[0])
        writer.write(encode(Admitted()))
        if request.channel == Channel.CONTROL:
            self.commander.set_result(writer)
            await reader.read()
            writer.transport.abort()
            self.left.set()
            return
        commander = await self.commander
        await reader.read(4096)
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        commander.write(control.encode(closed(request.stream)))


def closed(stream: UUID) -> control.Closed:
    viewer = control.Viewer(stream=stream, channel="vnc", mode="control", since=datetime.now(UTC))
    return control.Closed(viewer=viewer, reason=CloseReason.KICKED, message="Out.")


async def test_a_viewer_hears_why_a_gate_has_reset_its_stream() -> None:
    gate, item = Gate(), builders.an_open_stream()
    ended: asyncio.Future[tuple[int | None, str | None]]
    ended = asyncio.get_running_loop().create_future()

    async def view(connection: ServerConnection) -> None:
        await connection.send(b"a key")
        await connection.wait_closed()
        ended.set_result((connection.close_code, connection.close_reason))

    gates = await asyncio.start_server(gate.serve, "127.0.0.1", 0)
    port = gates.sockets[0].getsockname()[1]

    async def connect_gate(_: UUID) -> tuple[StreamReader, StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    seen: Any = SimpleNamespace(
        owner=item.owner, status=SimpleNamespace(gate=SimpleNamespace(fingerprint="f" * 64))
    )
    runtime: Any = SimpleNamespace(connect_gate=connect_gate)
    async with serve(view, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as plane:
        url = f"http://127.0.0.1:{plane.sockets[0].getsockname()[1]}"
        identity = Identity(url=url, agent=uuid4(), name="a", control_plane=uuid4())
        key = SigningKey(key_id="k", private=Ed25519PrivateKey.generate())
        streams = Streams(identity, key, runtime, seen=lambda _: seen, refuse=lambda _: None)
        streams.open(item)
        async with asyncio.timeout(10):
            assert await ended == (4003, "kicked: Out.")
        await streams.close_all("agent_stopping", "")
        await gate.left.wait()
    gates.close()
