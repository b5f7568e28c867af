"""A conversation: whose owner is slow, whose agent comes and goes, or does not listen."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link import channel, codec
from porthole_contract.link.frames import Ack, AgentData, Ping, Pong
from porthole_contract.testing.builders import a_result, an_id
from porthole_control.link import rules
from porthole_control.link.conversation import Conversation
from porthole_control.link.reports import Speaker
from porthole_control.sockets import Gone
from tests.support.waiting import eventually

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class SlowReports:
    """Deals with what it is given when the test lets it."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.done: list[Any] = []

    async def deliver(self, _speaker: Speaker, items: Sequence[Any]) -> None:
        await self.may.wait()
        self.done += items


class FailingReports(SlowReports):
    """Fails once, as nobody has foreseen."""

    async def deliver(self, _speaker: Speaker, items: Sequence[Any]) -> None:
        if not self.may.is_set():
            self.may.set()
            raise RuntimeError("unforeseen")
        self.done += items


class Line:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self.going_away = asyncio.Event()
        self.heard: asyncio.Queue[str | None] = asyncio.Queue()
        self.said: list[Any] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.has_room = False

    async def hear(self) -> str:
        text = await self.heard.get()
        if text is None:
            raise Gone(1006)
        return text

    async def acknowledged(self) -> list[int]:
        return [frame.upto for frame in self.said if isinstance(frame, Ack)]

    async def pongs(self) -> list[int]:
        return [frame.number for frame in self.said if isinstance(frame, Pong)]

    async def last_pong(self) -> int:
        return max(await self.pongs(), default=0)

    async def say(self, text: str) -> None:
        await self.takes.wait()
        self.said.append(codec.decode_from_control(text))


def linked(link: Conversation, conversation: UUID, epoch: int) -> tuple[Line, asyncio.Task[str]]:
    line = Line()
    link.attach(conversation=conversation, epoch=epoch, resumed=False, peer_received=0, at=MOMENT)
    return line, asyncio.create_task(link.converse(line))  # type: ignore[arg-type]


def a_link(reports: SlowReports) -> Conversation:
    return Conversation(
        an_id(1),
        reports,  # type: ignore[arg-type]
        on_room=lambda _: None,
        on_received=lambda _, __: None,
    )


async def test_what_an_agent_said_before_it_forgot_all_is_dealt_with_and_not_counted() -> None:
    reports = SlowReports()
    link = a_link(reports)
    line, task = linked(link, an_id(2), 1)
    line.heard.put_nowait(codec.encode(AgentData(seq=1, items=(a_result(1), a_result(2)))))
    line.heard.put_nowait(None)
    await task

    line, task = linked(link, an_id(3), 2)  # the agent was started anew
    line.heard.put_nowait(codec.encode(AgentData(seq=1, items=(a_result(3),))))
    reports.may.set()
    await eventually(line.acknowledged, [1])
    assert reports.done == [a_result(1), a_result(2), a_result(3)]

    line.heard.put_nowait(None)
    await task
    await link.close()


async def test_an_agent_that_does_not_take_the_goodbye_in_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("porthole_control.link.conversation._GOODBYE_SECONDS", 0.01)
    link = a_link(SlowReports())
    line, task = linked(link, an_id(2), 1)
    line.takes.clear()
    await link.end_connection(rules.SUPERSEDED)
    assert await task == "The agent did not take our goodbye in."
    assert not link.linked
    # The next one begins as if nothing had been.
    line, task = linked(link, an_id(3), 2)
    line.heard.put_nowait(codec.encode(Ping(number=7)))
    await eventually(line.pongs, [7])
    line.heard.put_nowait(None)
    assert await task == "The connection ended (1006)."


async def test_what_an_error_has_left_is_dealt_with_on_the_next_link() -> None:
    reports = FailingReports()
    link = a_link(reports)
    line, task = linked(link, an_id(2), 1)
    line.heard.put_nowait(codec.encode(AgentData(seq=1, items=(a_result(1),))))
    await task
    assert reports.done == []

    line = Line()
    link.attach(conversation=an_id(2), epoch=2, resumed=True, peer_received=0, at=MOMENT)
    task = asyncio.create_task(link.converse(line))  # type: ignore[arg-type]
    await eventually(line.acknowledged, [1])  # though the agent says nothing more
    assert reports.done == [a_result(1)]

    line.heard.put_nowait(None)
    await task
    await link.close()


async def test_what_may_not_be_said_ends_it_though_nothing_is_read() -> None:
    link = a_link(SlowReports())
    line, task = linked(link, an_id(2), 1)
    line.takes.clear()
    line.heard.put_nowait(codec.encode(Ping(number=1)))
    await asyncio.sleep(0)
    line.heard.put_nowait(codec.encode(AgentData(seq=9, items=(a_result(1),))))
    with pytest.raises(RemoteProtocolError, match="something was lost"):
        await task


async def test_the_pings_of_an_idle_agent_are_answered_by_who_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("porthole_control.link.conversation._ANSWER_EVERY", 0.0)
    link = a_link(SlowReports())
    line, task = linked(link, an_id(2), 1)
    await asyncio.sleep(0.01)  # whoever writes has looked, and waits
    looks = 0
    frames = link.channel.frames

    def looked() -> list[Any]:
        nonlocal looks
        looks += 1
        return frames()

    monkeypatch.setattr(link.channel, "frames", looked)
    line.has_room = True
    for number in range(1, 4):
        line.heard.put_nowait(codec.encode(Ping(number=number)))
    await eventually(line.pongs, [1, 2, 3])
    assert looks == 0
    line.has_room = False
    line.heard.put_nowait(codec.encode(Ping(number=4)))
    await eventually(line.pongs, [1, 2, 3, 4])
    assert looks > 0
    line.heard.put_nowait(None)
    await task


async def test_a_flood_of_pings_is_answered_by_who_writes_several_at_once() -> None:
    link = a_link(SlowReports())
    line, task = linked(link, an_id(2), 1)
    line.has_room = True
    for number in range(1, 101):
        line.heard.put_nowait(codec.encode(Ping(number=number)))
    await eventually(line.last_pong, 100)
    assert len(await line.pongs()) < 10
    line.heard.put_nowait(None)
    await task


async def test_an_agent_that_falls_silent_is_pinged_though_it_was_heard_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("porthole_control.link.conversation._ANSWER_EVERY", 0.0)
    monkeypatch.setattr(channel, "_SPARED", 0.3)
    monkeypatch.setattr(channel, "PING_EVERY", 0.2)
    monkeypatch.setattr(channel, "DEAD_AFTER", 0.8)
    link = a_link(SlowReports())
    line, task = linked(link, an_id(2), 1)
    line.has_room = True
    for number in range(1, 6):
        line.heard.put_nowait(codec.encode(Ping(number=number)))
        await asyncio.sleep(0.1)
    assert not any(isinstance(frame, Ping) for frame in line.said)
    async with asyncio.timeout(10):
        assert await task == "The agent has not been heard for 1 s."
    assert any(isinstance(frame, Ping) for frame in line.said)


async def test_an_idle_link_costs_one_task_beside_its_own() -> None:
    before = asyncio.all_tasks()
    reports = SlowReports()
    link = a_link(reports)
    line, task = linked(link, an_id(2), 1)
    line.heard.put_nowait(codec.encode(AgentData(seq=1, items=(a_result(1),))))
    await eventually(lambda: asyncio.sleep(0, len(asyncio.all_tasks() - before)), 3)
    reports.may.set()
    await eventually(line.acknowledged, [1])
    assert len(asyncio.all_tasks() - before) == 2
    line.heard.put_nowait(None)
    await task
    await link.close()
    assert asyncio.all_tasks() == before
