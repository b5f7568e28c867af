"""Programs run over the API: what they say comes back, and only to whom it may."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from porthole_contract.link.commands import OpenStream
from porthole_contract.link.reports import StreamRefused
from porthole_contract.stream import frames
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, dial_back
from tests.support.served import Served, served
from tests.support.streaming import SESSIONS, running_session


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served):
    made = await ScriptedAgent.enrol(one.control_plane)
    async with made.linked(one.ws):
        made.describe()
        yield made


async def shouting(order: OpenStream) -> None:
    """A desktop whose only program says its input in capitals, and its name as an error."""
    assert (order.channel, order.protocol, order.mode) == ("exec", "frames", "control")
    decoder, heard, asked = frames.Decoder(), bytearray(), {}
    async with dial_back(order) as leg:
        async for data in leg:
            for frame in decoder.feed(data):
                if frame.kind is frames.Kind.BYTES:
                    heard += frame.payload
                    continue
                message = frame.message()
                if message["type"] == "run":
                    asked = message
                    if asked["command"][0] == "missing":
                        await leg.send(frames.say("failed", code="not_started", message="No."))
                    else:
                        await leg.send(frames.say("started", pid=7))
                    if asked["command"][0] == "lost":
                        await leg.close()
                elif message["type"] == "end_input":
                    heard *= 2 if asked["command"][0] == "twice" else 1
                    for at in range(0, len(heard), 60000):
                        await leg.send(frames.carry(1, heard[at : at + 60000].upper()))
                    await leg.send(frames.carry(2, asked["command"][0].encode() + b"\xff"))
                    await leg.send(frames.say("exited", status=3, timed_out=False))


async def run(at: Served, session: dict[str, Any], **body: Any) -> Any:
    return await at.control_plane.admin.post(f"{SESSIONS}/{session['id']}/exec", json=body)


async def test_what_a_program_says_is_answered(one: Served, agent: ScriptedAgent):
    agent.on_stream = shouting
    session = await running_session(one, agent)
    answer = await run(one, session, command=["shout", "-l"], input="häß" * 100_000)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "status": 3,
        "timed_out": False,
        "stdout": ("h\xe4\xdf" * 100_000).encode().upper().decode(),
        "stderr": "shout\ufffd",
        "cut": False,
    }
    told = (await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}/events")).json()
    messages = [item["message"] for item in told["items"]]
    assert "admin runs a program in it." in messages
    assert messages[-1] == "admin has run the program 'shout' in it; its status was 3."


async def test_more_than_a_megabyte_is_cut(one: Served, agent: ScriptedAgent):
    agent.on_stream = shouting
    session = await running_session(one, agent)
    answer = (await run(one, session, command=["twice"], input="a" * 600_000)).json()
    assert (len(answer["stdout"]), answer["cut"]) == (frames.BLOCK, True)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"command": ["missing"]}, 409, "not_started"),
        ({"command": ["lost"]}, 409, "program_lost"),
        ({"command": ["x" * 9000]}, 409, "too_long"),
        ({"command": []}, 422, None),
        ({"command": ["a\0"]}, 422, None),
        ({"command": ["a"], "seconds": 0}, 422, None),
        ({"command": ["a"], "shell": True}, 422, None),
    ],
)
async def test_what_is_not_run_is_said(
    one: Served, agent: ScriptedAgent, body: dict[str, Any], status: int, code: str | None
):
    agent.on_stream = shouting
    session = await running_session(one, agent)
    answer = await run(one, session, **body)
    assert answer.status_code == status, answer.text
    assert code is None or answer.json()["code"] == code


async def test_a_gate_that_says_no_is_heard(one: Served, agent: ScriptedAgent):
    async def refuse(order: OpenStream) -> None:
        agent.say(
            StreamRefused(stream=order.stream, code="programs_forbidden", message="Not here.")
        )

    agent.on_stream = refuse
    session = await running_session(one, agent)
    answer = await run(one, session, command=["ls"])
    assert (answer.status_code, answer.json()["code"]) == (409, "programs_forbidden")


async def test_rights_of_their_own_are_asked_for(one: Served, agent: ScriptedAgent):
    agent.on_stream = shouting
    session = await running_session(one, agent)
    admin = one.control_plane.admin
    for scope, may in (
        ("read", {None, "vnc"}),
        ("session:exec", {None, "vnc", "exec"}),
        ("session:files", {None, "vnc", "files"}),
    ):
        wanted = sorted({"read", "connect", scope})
        made = await admin.post("/api/v1/tokens", json={"name": scope, "scopes": wanted})
        headers = {"Authorization": f"Bearer {made.json()['token']}"}
        for channel in (None, "vnc", "exec", "files"):
            body = {} if channel is None else {"channel": channel}
            path = f"{SESSIONS}/{session['id']}/tickets"
            answer = await admin.post(path, json=body, headers=headers)
            assert answer.status_code == (201 if channel in may else 403), (scope, channel)
        answer = await admin.post(
            f"{SESSIONS}/{session['id']}/exec", json={"command": ["x"]}, headers=headers
        )
        assert answer.status_code == (200 if scope == "session:exec" else 403)
    async with one.control_plane.user("bob") as bob:
        answer = await bob.post(f"{SESSIONS}/{session['id']}/exec", json={"command": ["x"]})
        assert answer.status_code == 404


async def test_several_run_at_once(one: Served, agent: ScriptedAgent):
    agent.on_stream = shouting
    session = await running_session(one, agent)
    answers = await asyncio.gather(
        *(run(one, session, command=["x"], input=str(number)) for number in range(8))
    )
    assert [answer.json()["stdout"] for answer in answers] == [str(n) for n in range(8)]
