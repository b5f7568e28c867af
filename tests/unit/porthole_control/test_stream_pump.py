"""The pump between legs in memory: an end of each kind, and back-pressure."""

import asyncio
from uuid import uuid4

import pytest

from porthole_control.sockets import Gone
from porthole_control.streams import endings, pump
from porthole_control.streams.pump import Counts
from porthole_control.streams.rendezvous import Rendezvous


class MemoryLeg:
    """A leg whose other side is the test."""

    def __init__(self, room: int = 100) -> None:
        self.lost = asyncio.Event()
        self.incoming: asyncio.Queue[str | bytes | Gone] = asyncio.Queue()
        self.outgoing: asyncio.Queue[bytes] = asyncio.Queue(room)
        self.deaf = False

    async def hear(self) -> str | bytes:
        message = await self.incoming.get()
        if isinstance(message, Gone):
            raise message
        return message

    async def say(self, data: bytes) -> None:
        if self.deaf:
            raise Gone(1006)
        await self.outgoing.put(data)

    async def close(self, code: int, reason: str = "") -> None:
        raise AssertionError(f"The pump closes nothing, not with {code} {reason!r}.")


@pytest.fixture(autouse=True)
def _no_long_last_words(monkeypatch):
    monkeypatch.setattr(pump, "_LAST_WORDS_SECONDS", 0.05)
    monkeypatch.setattr(pump, "_TAKEN_SECONDS", 0.3)


async def test_bytes_are_carried_and_counted():
    viewer, agent, counts = MemoryLeg(), MemoryLeg(), Counts()
    viewer.incoming.put_nowait(b"key")
    agent.incoming.put_nowait(b"picture")
    task = asyncio.create_task(pump.pump(viewer, agent, counts=counts))
    assert await agent.outgoing.get() == b"key"
    assert await viewer.outgoing.get() == b"picture"
    viewer.incoming.put_nowait(Gone(1000))
    assert await task == endings.VIEWER_LEFT
    assert (counts.from_viewer, counts.to_viewer) == (3, 7)


async def test_a_leg_that_does_not_take_stops_the_other():
    viewer, agent = MemoryLeg(room=1), MemoryLeg()
    for _ in range(10):
        agent.incoming.put_nowait(b"x")
    task = asyncio.create_task(pump.pump(viewer, agent, counts=Counts()))
    await asyncio.sleep(0.05)
    # One was taken, one waits to be; the others are left where they are.
    assert agent.incoming.qsize() == 8
    task.cancel()


@pytest.mark.parametrize(
    ("side", "what", "expected"),
    [
        ("viewer", Gone(1006), endings.VIEWER_LOST),
        ("viewer", "text", endings.NOT_BINARY),
        ("agent", Gone(1006), endings.STREAM_CUT),
        ("agent", Gone(4003, "kicked: Out."), endings.Ending(4003, "kicked", "Out.")),
        ("agent", "text", endings.NOT_BINARY),
    ],
)
async def test_either_side_can_end_it(side, what, expected):
    legs = {"viewer": MemoryLeg(), "agent": MemoryLeg()}
    legs[side].incoming.put_nowait(what)
    assert await pump.pump(legs["viewer"], legs["agent"], counts=Counts()) == expected


async def test_last_words_are_waited_for():
    viewer, agent = MemoryLeg(), MemoryLeg()
    agent.deaf = True
    viewer.incoming.put_nowait(b"key")
    agent.incoming.put_nowait(Gone(4001, "session_ended: Over."))
    ending = await pump.pump(viewer, agent, counts=Counts())
    assert ending == endings.Ending(4001, "session_ended", "Over.")


async def test_a_lost_leg_ends_it_even_if_nobody_hears_or_says():
    for lost, expected in (("viewer", endings.VIEWER_LOST), ("agent", endings.STREAM_CUT)):
        legs = {"viewer": MemoryLeg(), "agent": MemoryLeg()}
        legs[lost].lost.set()
        ending = await pump.pump(legs["viewer"], legs["agent"], counts=Counts())
        assert ending == expected


@pytest.mark.parametrize("speaks", [False, True], ids=["silent", "speaking"])
async def test_a_slow_viewer_gets_all_that_an_agent_said_before_it_left(speaks):
    viewer, agent, counts = MemoryLeg(room=1), MemoryLeg(), Counts()
    for word in (b"a", b"b", b"c", b"d", Gone(4001, "session_ended: Over.")):
        agent.incoming.put_nowait(word)
    agent.lost.set()
    agent.deaf = True
    if speaks:
        viewer.incoming.put_nowait(b"key")
    task = asyncio.create_task(pump.pump(viewer, agent, counts=counts))
    heard = []
    for _ in range(4):
        await asyncio.sleep(0.15)
        heard.append(await viewer.outgoing.get())
    assert (await task, heard) == (
        endings.Ending(4001, "session_ended", "Over."),
        [b"a", b"b", b"c", b"d"],
    )


async def test_a_viewer_that_takes_nothing_is_not_waited_for_when_its_agent_is_gone():
    viewer, agent = MemoryLeg(room=1), MemoryLeg()
    for _ in range(4):
        agent.incoming.put_nowait(b"x")
    agent.lost.set()
    async with asyncio.timeout(2):
        assert await pump.pump(viewer, agent, counts=Counts()) == endings.STREAM_CUT


async def test_it_ends_when_it_is_told_to():
    ended = asyncio.get_running_loop().create_future()
    ended.set_result(endings.REVOKED)
    ending = await pump.pump(MemoryLeg(), MemoryLeg(), counts=Counts(), ended=ended)
    assert ending == endings.REVOKED


async def test_legs_meet_once():
    rendezvous = Rendezvous()
    with rendezvous.meeting(stream := uuid4()) as meeting:
        assert rendezvous.expects(stream)
        first = asyncio.create_task(rendezvous.join(stream, MemoryLeg()))
        await asyncio.sleep(0)
        assert not rendezvous.expects(stream)
        assert await rendezvous.join(stream, MemoryLeg()) == endings.VIEWER_LEFT
        meeting.over.set_result(endings.CLOSED)
    assert await first == endings.CLOSED
    assert not rendezvous.expects(stream)
    assert await rendezvous.join(stream, MemoryLeg()) == endings.VIEWER_LEFT


async def test_a_process_that_leaves_ends_its_streams_and_takes_no_more():
    rendezvous = Rendezvous()
    with rendezvous.meeting(uuid4()) as meeting:
        leaving = asyncio.create_task(rendezvous.leave(0.1))
        assert await meeting.ended == endings.GOING_AWAY
    await leaving
    with rendezvous.meeting(uuid4()) as late:
        assert late.ended.result() == endings.GOING_AWAY
