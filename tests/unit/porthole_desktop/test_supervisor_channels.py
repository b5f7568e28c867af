"""The supervisor's channels: whose turn it is, by which a home that nobody uses is let go of."""

import asyncio

from porthole_desktop.supervisor.channels import Channel
from porthole_desktop.supervisor.protocol import Frame, Kind


async def _sent(number: int, kind: Kind, payload: bytes) -> None:
    del number, kind, payload


async def test_a_channel_waits_for_the_other_side_and_for_nothing_else():
    channel = Channel(1, _sent)
    begun = channel.used_at
    reading = asyncio.create_task(channel.read())
    await asyncio.sleep(0.01)
    assert channel.waits
    channel.feed(Frame(1, Kind.BYTES, b"delete all of it"))
    assert await reading == b"delete all of it"
    # What was asked for is being done, however long that takes.
    assert not channel.waits
    reading = asyncio.create_task(channel.read())
    await asyncio.sleep(0.01)
    assert channel.waits
    assert channel.used_at > begun
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert not channel.waits
