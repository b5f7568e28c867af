"""The whole story of a session, in order; and that of a command, as it is typed for."""

from pathlib import Path
from typing import Any

import pytest

from porthole_contract.lifecycle import Phase
from tests.support.control_plane import observed
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, view
from tests.support.served import Served, served
from tests.support.streaming import SESSIONS, echo, ended_stream, running_session, ticket
from tests.support.waiting import eventually


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


async def story(at: Served, session: dict[str, Any]) -> list[tuple[str, str]]:
    listed = await at.control_plane.admin.get(f"{SESSIONS}/{session['id']}/events")
    return [(one["kind"], one["message"]) for one in listed.raise_for_status().json()["items"]]


async def test_the_story_is_whole_and_in_order(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        agent.on_stream = echo
        session = await running_session(one, agent)
        async with view(await ticket(one, session)) as socket:
            await socket.send(b"hello")
            await socket.recv()
        await ended_stream(one, session)

        async def last() -> str:
            return (await story(one, session))[-1][0]

        await eventually(last, "StreamClosed")
    told = await story(one, session)
    assert [kind for kind, _ in told] == [
        "Created",
        "Assigned",
        "Queued",
        "Sent",
        "Taken",
        "PhaseChanged",
        "StreamOpened",
        "StreamClosed",
    ]
    words = dict(told)
    assert words["Queued"].startswith("Order 1, to make it as it should be, waits")
    assert words["Sent"] == "Order 1 was sent to the agent 'one' in epoch 1."
    assert words["Taken"] == "Its runtime holds order 1 from now on."
    assert words["StreamOpened"] == "admin looks at it."
    assert "5 bytes seen and 5 sent" in words["StreamClosed"]


async def test_what_is_sent_again_and_what_is_overtaken_is_told(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        session = await running_session(one, agent)
        agent.obedient = False
        path = f"{SESSIONS}/{session['id']}"
        await one.control_plane.admin.patch(path, json={"desired": "Hibernated"})
        await agent.until(lambda: [c for c in agent.commands if c.body.order == 2])
        # It waits behind the second, and need not be done once there is a fourth.
        await one.control_plane.admin.patch(path, json={"desired": "Running"})
        await one.control_plane.admin.patch(path, json={"desired": "Hibernated"})
    successor = agent.twin()
    async with successor.linked(one.ws, epoch=agent.channel.epoch):
        await successor.until(lambda: [c for c in successor.commands if c.body.order == 4])
        seen = {**session, "order": 4, "desired": "Hibernated"}
        successor.say(observed(seen, phase=Phase.HIBERNATED))

        async def last() -> str:
            return (await story(one, session))[-1][0]

        await eventually(last, "PhaseChanged")
    told = await story(one, session)
    assert ("Sent", "Order 2 was sent to the agent 'one' in epoch 1.") in told
    assert ("Sent", "Order 4 was sent to the agent 'one' in epoch 2.") in told
    overtaken = [line for kind, line in told if kind == "Superseded"]
    assert overtaken == [
        "Order 3 was not carried out: a newer one took its place.",
        "Order 2 was not carried out: a newer one took its place.",
    ]


async def test_a_command_that_goes_out_twice_says_so(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    agent.obedient = False
    async with agent.linked(one.ws):
        agent.describe()

        async def offered() -> int:
            return (await one.control_plane.admin.get("/api/v1/templates/desktop")).status_code

        await eventually(offered, 200)
        made = await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
        session = made.raise_for_status().json()
        (command,) = await agent.until(lambda: agent.commands)
    successor = agent.twin()
    async with successor.linked(one.ws, epoch=agent.channel.epoch):
        await successor.until(lambda: successor.commands)

        async def state() -> str:
            shown = await one.control_plane.admin.get(f"/api/v1/commands/{command.id}")
            return shown.json()["state"]

        await eventually(state, "succeeded")
    told = await story(one, session)
    assert (
        "Resent",
        "Order 1 was sent again, for the second time, to the agent 'one' in epoch 2.",
    ) in told
    shown = (await one.control_plane.admin.get(f"/api/v1/commands/{command.id}")).json()
    sentences = [line["message"] for line in shown["story"]]
    assert sentences[0].startswith("Queued for the agent 'one': make the session")
    assert sentences[1] == "Sent to the agent 'one' in epoch 2, for the second time."
    assert sentences[2] == "The agent 'one' says that it is held by its runtime."


async def test_the_queue_is_filtered_by_agent_state_and_subject(one: Served):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        session = await running_session(one, agent)

    async def found(**query: str) -> int:
        listed = await one.control_plane.admin.get("/api/v1/commands", params=query)
        return len(listed.raise_for_status().json()["items"])

    assert await found(agent="one") == 1
    assert await found(agent="another") == 0
    assert await found(subject=session["id"], state="succeeded", agent="one") == 1
    assert await found(subject=session["id"], state="pending") == 0


@pytest.mark.parametrize(
    ("channel", "mode", "said"),
    [
        ("files", "control", "admin reaches its files."),
        ("files", "view", "admin reaches its files, without touching them."),
        ("audio", "view", "admin hears it."),
        ("microphone", "control", "admin speaks into it."),
    ],
)
async def test_each_use_of_a_session_is_told(one: Served, channel: str, mode: str, said: str):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        agent.on_stream = echo
        session = await running_session(one, agent)
        async with view(await ticket(one, session, channel=channel, mode=mode)) as socket:
            await socket.send(b"hello")
            await socket.recv()
        await ended_stream(one, session)

        async def kinds() -> dict[str, str]:
            return dict(await story(one, session))

        async def is_over() -> bool:
            return "StreamClosed" in await kinds()

        await eventually(is_over, True)
    assert (await kinds())["StreamOpened"] == said
