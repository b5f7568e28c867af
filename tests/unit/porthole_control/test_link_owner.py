"""A conversation whose owner is slow, while the agent comes and goes."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from porthole_contract.link import codec
from porthole_contract.link.frames import Ack, AgentData
from porthole_contract.testing.builders import a_result, an_id
from porthole_control.link.conversation import Conversation
from porthole_control.link.reports import Speaker
from porthole_control.sockets import Gone
from tests.support.waiting import eventually


class SlowReports:
    """Deals with what it is given when the test lets it."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.done: list[Any] = []

    async def deliver(self, _speaker: Speaker, items: Sequence[Any]) -> None:
        await self.may.wait()
        self.done += items


class Line:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self.going_away = asyncio.Event()
        self.heard: asyncio.Queue[str | None] = asyncio.Queue()
        self.said: list[Any] = []

    async def hear(self) -> str:
        text = await self.heard.get()
        if text is None:
            raise Gone(1006)
        return text

    async def acknowledged(self) -> list[int]:
        return [frame.upto for frame in self.said if isinstance(frame, Ack)]

    async def say(self, text: str) -> None:
        self.said.append(codec.decode_from_control(text))


def linked(link: Conversation, conversation: UUID, epoch: int) -> tuple[Line, asyncio.Task[str]]:
    line = Line()
    link.attach(conversation=conversation, epoch=epoch, resumed=False, peer_received=0)
    return line, asyncio.create_task(link.converse(line))  # type: ignore[arg-type]


async def test_what_an_agent_said_before_it_forgot_all_is_dealt_with_and_not_counted() -> None:
    reports = SlowReports()
    link = Conversation(
        an_id(1),
        reports,  # type: ignore[arg-type]
        on_room=lambda _: None,
        on_received=lambda _, __: None,
    )
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
