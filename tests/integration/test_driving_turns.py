"""Programs that drive one desktop by one right take turns, and are nobody's victims."""

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed

from porthole_contract.link.commands import OpenStream
from porthole_contract.stream import drive
from porthole_control.driving.drives import Drives, Right
from porthole_control.errors import Unanswered
from porthole_control.people import service as people
from porthole_control.sessions import service as sessions
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, dial_back
from tests.support.served import Served, served
from tests.support.streaming import running_session


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


async def right_of(one: Served, session: dict) -> Right:
    token = (one.control_plane.settings.secrets / "admin-token").read_text().strip()
    async with one.control_plane.database.reading() as unit:
        principal = await people.authenticate(unit, token)
        found = await sessions.get(unit, principal, UUID(session["id"]))
    return Right(principal, found, "control")


async def test_who_waits_behind_one_that_is_not_answered_is_asked_all_the_same(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    heard: list[list[bytes]] = []

    async def answers_the_second_stream(order: OpenStream) -> None:
        heard.append(lines := [])
        is_first = len(heard) == 1
        async with dial_back(order) as leg:
            with contextlib.suppress(ConnectionClosed):
                async for line in leg:
                    lines.append(line)
                    if not is_first:
                        request = drive.read_request(line)
                        await leg.send(drive.encode(drive.Done(id=request.id)))

    async with agent.linked(one.ws):
        agent.describe()
        agent.on_stream = answers_the_second_stream
        right = await right_of(one, await running_session(one, agent))
        drives: Drives = one.control_plane.app.state.traffic.drives
        act = partial(drive.Act, actions=(drive.Pause(seconds=0.1),))
        first = asyncio.create_task(drives.ask(right, lambda number: act(id=number), within=1))
        await asyncio.sleep(0)
        answer, _ = await drives.ask(right, lambda number: act(id=number), within=10)
        assert isinstance(answer, drive.Done)
        with pytest.raises(Unanswered):
            await first
    assert [len(lines) for lines in heard] == [1, 1]
