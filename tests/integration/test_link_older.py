"""An agent that is newer than its control plane says what that one knows."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve

from porthole_agent.enrolment import Identity
from porthole_agent.link import SUBPROTOCOL, Link
from porthole_agent.news import News
from porthole_agent.streams import Streams
from porthole_contract.conditions import Condition, ConditionType
from porthole_contract.link import codec
from porthole_contract.link.frames import AgentData, Challenge, Welcome
from porthole_contract.link.greeting import new_key
from porthole_contract.link.version import CURRENT
from porthole_contract.stream.grant import SigningKey
from porthole_contract.testing.builders import NOON, a_status, an_observation

CONTROL_PLANE = uuid4()


class Idle:
    """A desk that nothing is brought to."""

    room = 1

    def linked(self, *, anew: bool) -> None:
        """A link is there."""

    def unlinked(self) -> None:
        """It is gone."""


@asynccontextmanager
async def a_control_plane(version: str):
    """Give its port, and what it hears as the text of the first frame with items."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def greet(socket: ServerConnection) -> None:
        codec.decode_from_agent(await socket.recv())
        challenge = Challenge(version=version, control_plane=CONTROL_PLANE, nonce="b" * 64, epoch=1)
        await socket.send(codec.encode(challenge))
        codec.decode_from_agent(await socket.recv())
        welcome = Welcome(conversation=uuid4(), resumed=False, epoch=1)
        await socket.send(codec.encode(welcome))
        async for text in socket:
            if isinstance(codec.decode_from_agent(text), AgentData) and not heard.done():
                heard.set_result(str(text))

    subprotocols: Any = [SUBPROTOCOL]
    async with serve(greet, "127.0.0.1", 0, subprotocols=subprotocols) as server:
        yield next(iter(server.sockets)).getsockname()[1], heard


@pytest.mark.parametrize(("version", "told"), [("1.0", False), (str(CURRENT), True)])
async def test_an_older_control_plane_is_told_what_it_knows(version: str, told: bool):
    conditions = [
        Condition(type=kind, status="True", reason="Drawn", last_transition_time=NOON)
        for kind in (ConditionType.READY, ConditionType.CHILDREN_READY)
    ]
    async with a_control_plane(version) as (port, heard):
        identity = Identity(
            url=f"http://127.0.0.1:{port}", agent=uuid4(), name="a", control_plane=CONTROL_PLANE
        )
        key, news = new_key(), News()
        runtime: Any = None
        streams = Streams(
            identity,
            SigningKey(key_id="k", private=key),
            runtime,
            seen=lambda _: None,
            refuse=lambda _: None,
        )
        link = Link(
            identity, key, news=news, streams=streams, want_inventory=lambda: None, program="x"
        )
        desk: Any = Idle()
        link.serve(desk)
        news.observed(an_observation(status=a_status(conditions=conditions)))
        running = asyncio.create_task(link.run())
        try:
            async with asyncio.timeout(30):
                text = await heard
        finally:
            await link.leave("the test is over")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert '"Ready"' in text
    assert ("ChildrenReady" in text) == told
