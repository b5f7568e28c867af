"""An agent that the control plane sends away for good lets nobody in, until it is taken back."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve

from porthole_agent import link as links
from porthole_agent.enrolment import Identity
from porthole_agent.link import SUBPROTOCOL, Link
from porthole_agent.news import News
from porthole_agent.streams import Streams
from porthole_contract.link import codec
from porthole_contract.link.frames import Challenge, Goodbye, Welcome
from porthole_contract.link.greeting import new_key
from porthole_contract.link.version import CURRENT
from porthole_contract.stream.grant import SigningKey
from porthole_control.link.rules import GOING_AWAY, REVOKED
from tests.integration.test_link_older import CONTROL_PLANE, Idle


async def test_who_is_revoked_is_told_and_who_is_only_to_wait_is_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(links, "_HOPELESS_RETRY", 0.05)
    partings: list[Goodbye | None] = [None, GOING_AWAY, REVOKED, None]

    async def greet(socket: ServerConnection) -> None:
        codec.decode_from_agent(await socket.recv())
        challenge = Challenge(
            version=str(CURRENT), control_plane=CONTROL_PLANE, nonce="b" * 64, epoch=1
        )
        await socket.send(codec.encode(challenge))
        codec.decode_from_agent(await socket.recv())
        parting = partings.pop(0)
        if parting is None:
            await socket.send(codec.encode(Welcome(conversation=uuid4(), resumed=False, epoch=1)))
            await asyncio.sleep(0.2)
        else:
            await socket.send(codec.encode(parting))
        if not partings:
            await socket.wait_closed()

    told: list[bool] = []
    back = asyncio.Event()

    def cast_out(out: bool) -> None:
        told.append(out)
        if not out and True in told:
            back.set()

    subprotocols: Any = [SUBPROTOCOL]
    async with serve(greet, "127.0.0.1", 0, subprotocols=subprotocols) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        identity = Identity(
            url=f"http://127.0.0.1:{port}", agent=uuid4(), name="a", control_plane=CONTROL_PLANE
        )
        key, news, runtime = new_key(), News(), None
        streams = Streams(
            identity,
            SigningKey(key_id="k", private=key),
            runtime,  # type: ignore[arg-type]  # no stream is opened
            seen=lambda _: None,
            refuse=lambda _: None,
        )
        link = Link(
            identity,
            key,
            news=news,
            streams=streams,
            want_inventory=lambda: None,
            program="x",
            cast_out=cast_out,
        )
        desk: Any = Idle()
        link.serve(desk)
        running = asyncio.create_task(link.run())
        try:
            async with asyncio.timeout(30):
                await back.wait()
        finally:
            await link.leave("the test is over")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert told == [False, True, False]
