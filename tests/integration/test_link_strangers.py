"""Who may link, and what becomes of those who may not."""

import asyncio
import contextlib
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from porthole_contract.link import channel, codec
from porthole_contract.link.frames import Hello, Ping
from porthole_contract.link.greeting import new_key, prove
from porthole_contract.link.version import CURRENT
from porthole_control.link import endpoint, hub, limits, rules
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import SUBPROTOCOL, SaidGoodbye, ScriptedAgent
from tests.support.served import Served, served
from tests.support.waiting import eventually


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served) -> ScriptedAgent:
    return await ScriptedAgent.enrol(one.control_plane)


def dial(at: Served) -> connect:
    return connect(f"{at.ws}/api/v1/agents/link", subprotocols=[SUBPROTOCOL], ping_interval=None)


async def shown(at: Served, agent: ScriptedAgent) -> dict[str, Any]:
    return (await at.control_plane.admin.get(f"/api/v1/agents/{agent.id}")).json()


async def refusal(agent: ScriptedAgent, at: Served, **changes: Any) -> tuple[str, float | None]:
    """Return the goodbye that an agent gets instead of a link."""
    with pytest.raises(SaidGoodbye) as caught:
        async with agent.linked(at.ws, **changes):
            pass
    return caught.value.goodbye.code, caught.value.goodbye.retry_after


async def test_a_stranger_learns_nothing(one: Served, agent: ScriptedAgent):
    unknown = ScriptedAgent(uuid4(), new_key())
    thief = ScriptedAgent(agent.id, new_key())
    assert await refusal(unknown, one) == ("unproven", None)
    assert await refusal(thief, one) == ("unproven", None)
    async with agent.linked(one.ws):
        pass


async def test_a_proof_for_another_url_is_worth_nothing(one: Served, agent: ScriptedAgent):
    async with dial(one) as socket:
        with pytest.raises(SaidGoodbye) as caught:
            await agent.greet(socket, "ws://elsewhere.example/api/v1/agents/link")
    assert caught.value.goodbye.code == "unproven"


async def test_a_revoked_agent_is_sent_away_at_once(one: Served, agent: ScriptedAgent):
    async with agent.linked(one.ws):
        await one.control_plane.admin.delete(f"/api/v1/agents/{agent.id}")
        goodbye = await agent.until(lambda: agent.goodbye, within=2)
        assert (goodbye.code, goodbye.retry_after) == ("revoked", None)
    assert await refusal(agent, one) == ("revoked", None)


async def test_a_program_that_is_too_old_is_told_so(one: Served, agent: ScriptedAgent):
    assert await refusal(agent, one, version="0.9") == ("too_old", 60)
    assert await refusal(agent, one, version="ninety") == ("too_old", 60)


async def test_the_epoch_rises_above_what_the_agent_remembers(one: Served, agent: ScriptedAgent):
    async with agent.linked(one.ws, epoch=41):
        assert agent.channel.epoch == 42
    async with agent.linked(one.ws, epoch=0):
        assert agent.channel.epoch == 43
    code, _ = await refusal(agent, one, epoch=2**53 - 1)
    assert code == "remote_protocol_error"


NO_GREETINGS: tuple[str | bytes, ...] = (
    "not json",
    "[]",
    "{}",
    b"\x00\xff binary",
    "x" * 100_000,
    codec.encode(Ping(number=1)),
    '{"type":"Hello","version":"1.0"}',
    '{"type":"Data","seq":1,"items":[]}',
)


async def test_rubbish_instead_of_a_greeting(one: Served):
    for rubbish in NO_GREETINGS:
        async with dial(one) as socket:
            await socket.send(rubbish)
            goodbye = codec.decode_from_control(await socket.recv())
            assert goodbye.code == "remote_protocol_error"
            assert goodbye.message.endswith(".")
            await socket.wait_closed()


async def test_rubbish_in_the_middle_of_a_greeting(one: Served, agent: ScriptedAgent):
    async with dial(one) as socket:
        hello = Hello(version="1.0", agent=agent.id, instance=uuid4(), nonce=secrets.token_hex(32))
        await socket.send(codec.encode(hello))
        await socket.recv()
        await socket.send(codec.encode(hello))
        goodbye = codec.decode_from_control(await socket.recv())
        assert goodbye.message == "Hello came where Proof was due."


WRONG_NOW: tuple[str | bytes, ...] = (
    "not json",
    b"binary",
    '{"type":"Ack","upto":99,"window":1}',
    f'{{"type":"Data","seq":7,"items":[{{"type":"WantTemplate","digest":"{"0" * 64}"}}]}}',
    '{"type":"Welcome"}',
)


async def test_rubbish_on_a_link_ends_it_and_no_other(one: Served, agent: ScriptedAgent):
    other = await ScriptedAgent.enrol(one.control_plane, "two")
    async with other.linked(one.ws):
        for rubbish in WRONG_NOW:
            async with agent.linked(one.ws):
                assert agent.socket is not None
                await agent.socket.send(rubbish)
                goodbye = await agent.until(lambda: agent.goodbye)
                assert goodbye.code == "remote_protocol_error"
        assert (await shown(one, other))["linked"]
        assert other.goodbye is None


async def test_who_says_nothing_is_not_waited_for(one: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoint, "GREETING_SECONDS", 0.2)
    async with dial(one) as socket:
        goodbye = codec.decode_from_control(await socket.recv())
        assert goodbye.code == "too_slow"


async def test_a_flood_of_greetings_is_turned_away(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "GREETINGS_OF_ADDRESS", 3)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(dial(one))
        with pytest.raises(InvalidStatus) as caught:
            await stack.enter_async_context(dial(one))
        assert caught.value.response.status_code == 429

    async def free() -> bool:
        with contextlib.suppress(InvalidStatus):
            async with agent.linked(one.ws):
                return True
        return False

    await eventually(free, True)


async def test_an_agent_that_links_again_and_again_has_to_wait(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "LINKS_OF_AGENT", 3)
    for _ in range(3):
        async with agent.linked(one.ws):
            pass
    assert await refusal(agent, one) == ("too_many", 10.0)


async def test_without_the_subprotocol_it_is_no_link(one: Served):
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{one.ws}/api/v1/agents/link")
    assert caught.value.response.status_code == 400
    assert b"wrong_subprotocol" in (caught.value.response.body or b"")


async def test_a_newer_link_takes_the_place_of_the_older(one: Served, agent: ScriptedAgent):
    newer = agent.twin()
    async with agent.linked(one.ws), newer.linked(one.ws):
        goodbye = await agent.until(lambda: agent.goodbye)
        assert (goodbye.code, goodbye.retry_after) == ("superseded", 5.0)
        seen = await shown(one, agent)
        assert (seen["linked"], seen["epoch"], seen["conditions"]) == (True, 2, [])


async def test_a_greeting_that_was_too_slow_takes_no_link_away(one: Served, agent: ScriptedAgent):
    slow = agent.twin()
    async with dial(one) as socket:
        nonce = secrets.token_hex(32)
        version = str(CURRENT)
        hello = Hello(version=version, agent=slow.id, instance=slow.instance, nonce=nonce)
        await socket.send(codec.encode(hello))
        challenge = codec.decode_from_control(await socket.recv())
        async with agent.linked(one.ws):
            url = f"{one.ws}/api/v1/agents/link"
            await socket.send(codec.encode(prove(slow.key, hello, challenge, url)))
            answer = codec.decode_from_control(await socket.recv())
            assert (answer.type, answer.code) == ("Goodbye", "try_again")
            agent.describe()

            async def offered() -> int:
                return (await one.control_plane.admin.get("/api/v1/templates/desktop")).status_code

            await eventually(offered, 200)
            assert agent.goodbye is None


async def test_so_it_does_on_another_process(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, tmp_path: Path
):
    newer = agent.twin()
    async with served(test_database, tmp_path / "home") as other:
        async with agent.linked(one.ws), newer.linked(other.ws):
            goodbye = await agent.until(lambda: agent.goodbye, within=2)
            assert goodbye.code == "superseded"
            assert (await shown(one, agent))["linked"]

        async def linked():
            return (await shown(one, agent))["linked"]

        await eventually(linked, False)


async def test_two_processes_that_take_turns_are_shown(one: Served, agent: ScriptedAgent):
    twin = agent.twin()
    async with agent.linked(one.ws), twin.linked(one.ws):
        await agent.until(lambda: agent.goodbye)
        assert (await shown(one, agent))["conditions"] == []
        async with ScriptedAgent.linked(again := agent.twin(), one.ws, instance=agent.instance):
            (condition,) = (await shown(one, again))["conditions"]
            assert (condition["type"], condition["status"]) == ("IdentityShared", "True")


async def test_that_two_took_turns_is_over_also_when_who_saw_it_is_gone(
    test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "_SEEN_EVERY", 0.1)
    async with served(test_database, tmp_path / "home") as saw_it:
        agent = await ScriptedAgent.enrol(saw_it.control_plane)
        twin = agent.twin()
        async with agent.linked(saw_it.ws), twin.linked(saw_it.ws):
            await agent.until(lambda: agent.goodbye)
            async with agent.twin().linked(saw_it.ws, instance=agent.instance):
                (condition,) = (await shown(saw_it, agent))["conditions"]
                assert condition["status"] == "True"
    async with served(test_database, tmp_path / "home") as later:

        async def status() -> str:
            return (await shown(later, agent))["conditions"][0]["status"]

        await asyncio.sleep(0.5)
        assert await status() == "True", "it was just now"
        monkeypatch.setattr(rules, "RIVALS_FOR", timedelta(seconds=1))
        await eventually(status, "False", within=5)


async def test_an_agent_that_says_nothing_is_given_up(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(channel, "DEAD_AFTER", 0.5)
    monkeypatch.setattr(channel, "PING_EVERY", 0.2)

    async def linked():
        return (await shown(one, agent))["linked"]

    async with dial(one) as socket:
        await agent.greet(socket, f"{one.ws}/api/v1/agents/link")
        await eventually(linked, True)
        await eventually(linked, False)


async def test_a_process_that_ends_says_goodbye(one: Served, agent: ScriptedAgent):
    async with agent.linked(one.ws):
        one.stop()
        goodbye = await agent.until(lambda: agent.goodbye, within=2)
        assert (goodbye.code, goodbye.retry_after) == ("going_away", 0.2)
