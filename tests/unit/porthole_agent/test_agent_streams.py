"""Streams at the agent, as far as no socket is needed."""

import asyncio
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_agent.enrolment import Identity
from porthole_agent.streams import Streams
from porthole_contract.link.commands import CloseStream
from porthole_contract.stream.grant import SigningKey
from porthole_contract.testing import builders


async def test_a_stream_that_is_closed_before_it_has_begun_leaves_nothing() -> None:
    identity = Identity(url="http://127.0.0.1:1", agent=uuid4(), name="a", control_plane=uuid4())
    key = SigningKey(key_id="k", private=Ed25519PrivateKey.generate())
    refused: list[Any] = []
    runtime: Any = None
    streams = Streams(identity, key, runtime, seen=lambda _: None, refuse=refused.append)
    item = builders.an_open_stream()
    # Both in one batch: the stream's task has not run when it is ended.
    streams.open(item)
    streams.close(
        CloseStream(stream=item.stream, session=item.session, code="revoked", message="Gone.")
    )
    await asyncio.sleep(0.01)
    assert refused == []
    streams.open(item)
    await asyncio.sleep(0.01)
    assert [one.stream for one in refused] == [item.stream], "it is not taken for open"
