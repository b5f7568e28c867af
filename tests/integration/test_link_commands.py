"""Links and commands, over real sockets on a real database."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Command, TemplateContent
from porthole_contract.link.reports import CommandResult, InventoryPart, Outcome, WantTemplate
from porthole_control.db.doorbell import Bell
from porthole_control.link import conversation
from porthole_control.link.hub import Hub
from tests.support.control_plane import TEMPLATE, observed
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent
from tests.support.served import Served, served
from tests.support.waiting import eventually

SESSIONS = "/api/v1/sessions"


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served) -> ScriptedAgent:
    """An agent that has said once what it offers, and is not linked any more."""
    made = await ScriptedAgent.enrol(one.control_plane)
    async with made.linked(one.ws):
        made.describe()

        async def offered():
            return (await one.control_plane.admin.get("/api/v1/templates/desktop")).status_code

        await eventually(offered, 200)
    return made


def hub(at: Served) -> Hub:
    return at.control_plane.app.state.traffic.hub


async def create(at: Served, **fields: Any) -> dict[str, Any]:
    answer = await at.control_plane.admin.post(SESSIONS, json={"template": "desktop", **fields})
    return answer.raise_for_status().json()


async def states(at: Served) -> list[str]:
    answer = await at.control_plane.admin.get("/api/v1/commands?limit=200")
    return sorted(command["state"] for command in answer.json()["items"])


async def phase(at: Served, session: dict[str, Any]) -> str:
    return (await at.control_plane.admin.get(f"{SESSIONS}/{session['id']}")).json()["phase"]


async def test_a_session_goes_out_as_a_command_and_comes_back_as_reports(
    one: Served, agent: ScriptedAgent
):
    async with agent.linked(one.ws):
        session = await create(one)
        (command,) = await agent.until(lambda: agent.commands)
        assert str(command.body.session) == session["id"]
        await eventually(lambda: states(one), ["succeeded"])
        agent.say(observed(session, phase=Phase.RUNNING))
        await eventually(lambda: phase(one, session), "Running")


async def test_what_was_sent_and_not_done_is_sent_again_by_a_new_link(
    one: Served, agent: ScriptedAgent
):
    agent.obedient = False
    async with agent.linked(one.ws):
        await create(one)
        await agent.until(lambda: agent.commands)
        await eventually(lambda: states(one), ["received"])
    restarted = agent.twin()
    async with restarted.linked(one.ws):
        assert not restarted.resumed
        await restarted.until(lambda: restarted.commands)
        await eventually(lambda: states(one), ["succeeded"])
    assert [c.id for c in restarted.commands] == [c.id for c in agent.commands]


async def test_a_conversation_goes_on_after_the_connection_was_lost(
    one: Served, agent: ScriptedAgent
):
    agent.obedient = False
    async with agent.linked(one.ws):
        await create(one)
        (command,) = await agent.until(lambda: agent.commands)
        await eventually(lambda: states(one), ["received"])
    # Said without a connection, heard with the next.
    agent.say(CommandResult(command=command.id, outcome=Outcome.SUCCEEDED))
    async with agent.linked(one.ws):
        assert agent.resumed
        await eventually(lambda: states(one), ["succeeded"])
        assert len(agent.commands) == 1
    assert agent.channel.epoch == 3


async def test_commands_wait_for_an_agent_that_is_away(one: Served, agent: ScriptedAgent):
    sessions = [await create(one) for _ in range(5)]
    assert await states(one) == ["pending"] * 5
    async with agent.linked(one.ws):
        await agent.until(lambda: len(agent.commands) == 5)
        await eventually(lambda: states(one), ["succeeded"] * 5)
    assert {str(c.body.session) for c in agent.commands} == {s["id"] for s in sessions}


async def test_an_agent_has_only_so_much_to_do_at_a_time(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "UNFINISHED", 2)
    agent.obedient = False
    for _ in range(5):
        await create(one)
    async with agent.linked(one.ws):
        await agent.until(lambda: len(agent.commands) == 2)
        await eventually(lambda: states(one), ["pending"] * 3 + ["received"] * 2)
        done: set[Any] = set()
        while len(done) < 5:
            command = await agent.until(
                lambda: next((c for c in agent.commands if c.id not in done), None)
            )
            agent.say(CommandResult(command=command.id, outcome=Outcome.SUCCEEDED))
            done.add(command.id)
        await eventually(lambda: states(one), ["succeeded"] * 5)


async def test_the_commands_of_a_session_are_sent_one_after_the_other(
    one: Served, agent: ScriptedAgent
):
    agent.obedient = False
    async with agent.linked(one.ws):
        session = await create(one)
        (first,) = await agent.until(lambda: agent.commands)
        await one.control_plane.admin.delete(f"{SESSIONS}/{session['id']}")
        await eventually(lambda: states(one), ["pending", "received"])
        agent.obedient = True
        agent.say(CommandResult(command=first.id, outcome=Outcome.SUCCEEDED))
        await agent.until(lambda: len(agent.commands) == 2)
        await eventually(lambda: phase(one, session), "Terminated")
    assert [c.sequence for c in agent.commands] == [1, 2]


async def test_a_result_from_another_agent_counts_for_nothing(one: Served, agent: ScriptedAgent):
    agent.obedient = False
    other = await ScriptedAgent.enrol(one.control_plane, "two")
    async with agent.linked(one.ws), other.linked(one.ws):
        session = await create(one, agent="one")
        (command,) = await agent.until(lambda: agent.commands)
        other.say(CommandResult(command=command.id, outcome=Outcome.FAILED))
        other.say(observed(session, phase=Phase.FAILED))
        await other.until(lambda: other.channel.unacknowledged == 0)
        await eventually(lambda: states(one), ["received"])
        assert await phase(one, session) == "Pending"
        agent.say(CommandResult(command=command.id, outcome=Outcome.SUCCEEDED))
        await eventually(lambda: states(one), ["succeeded"])


async def test_a_template_is_told_to_whom_it_concerns(one: Served, agent: ScriptedAgent):
    other = await ScriptedAgent.enrol(one.control_plane, "two")
    async with agent.linked(one.ws), other.linked(one.ws):
        await create(one, agent="one")
        (command,) = await agent.until(lambda: agent.commands)
        for asking in (other, agent):
            asking.say(WantTemplate(digest=command.body.template.digest))
        (content,) = await agent.until(
            lambda: [item for item in agent.heard if isinstance(item, TemplateContent)]
        )
        assert content.spec == TEMPLATE
        await other.until(lambda: other.channel.unacknowledged == 0)
        assert other.heard == []


async def test_only_a_whole_inventory_proves_that_something_is_gone(
    one: Served, agent: ScriptedAgent
):
    async with agent.linked(one.ws):
        lost, kept = await create(one, name="lost"), await create(one, name="kept")
        await eventually(lambda: states(one), ["succeeded"] * 2)
        agent.say(observed(lost), observed(kept))
        await eventually(lambda: phase(one, lost), "Running")
        # It has had it for long.
        async with one.control_plane.database.unit() as unit:
            await unit.connection.exec_driver_sql(
                "UPDATE sessions SET applied_at = now() - interval '1 hour',"
                " observed_at = now() - interval '1 hour'"
            )
        whole = agent.id
        piece = {"snapshot": whole, "place": agent.place}
        agent.say(InventoryPart(index=1, last=True, **piece))
        agent.say(InventoryPart(index=0, last=False, **piece))
        await agent.until(lambda: agent.channel.unacknowledged == 0)
        assert await phase(one, lost) == "Running"
        agent.say(InventoryPart(index=1, last=True, sessions=(observed(kept),), **piece))
        await eventually(lambda: phase(one, lost), "Terminated")
        assert await phase(one, kept) == "Running"


async def test_an_agent_that_speaks_for_another_place_is_sent_away(
    one: Served, agent: ScriptedAgent
):
    async with agent.linked(one.ws):
        agent.describe(place=agent.id)
        goodbye = await agent.until(lambda: agent.goodbye)
        assert (goodbye.code, goodbye.retry_after) == ("another_place", None)


async def test_a_poisoned_report_harms_no_other(one: Served, agent: ScriptedAgent):
    async with agent.linked(one.ws):
        session = await create(one)
        await agent.until(lambda: agent.commands)
        poisoned = observed(session, phase=Phase.RUNNING, message="nul \x00 byte")
        agent.say(observed(session, phase=Phase.STARTING), poisoned)
        agent.say(observed(session, phase=Phase.RUNNING))
        await eventually(lambda: phase(one, session), "Running")
        await agent.until(lambda: agent.channel.unacknowledged == 0)
        assert hub(one).link(agent.id) is not None


async def test_commands_that_were_claimed_and_never_sent_are_found(
    one: Served, agent: ScriptedAgent
):
    async with agent.linked(one.ws):
        await create(one)
        await eventually(lambda: states(one), ["succeeded"])
        # As if the database had committed a claim and lost the connection while saying so.
        async with one.control_plane.database.unit() as unit:
            await unit.connection.exec_driver_sql(
                "UPDATE agent_commands SET state = 'sent', finished_at = NULL"
            )
        dispatcher = one.control_plane.app.state.traffic.dispatcher
        await dispatcher._look_for_all_forgotten()
        await agent.until(lambda: len(agent.commands) == 2)
        await eventually(lambda: states(one), ["succeeded"])
        assert isinstance(agent.heard[-1], Command)


async def test_what_nobody_rings_for_is_found_while_others_are_rung_for(
    one: Served, agent: ScriptedAgent
):
    doorbell = one.control_plane.parts.doorbell

    async def ring_for_another() -> None:
        while True:
            doorbell.ring(Bell.COMMANDS, [uuid4()])
            await asyncio.sleep(0.1)

    async with agent.linked(one.ws):
        await create(one)
        await eventually(lambda: states(one), ["succeeded"])
        ringing = asyncio.create_task(ring_for_another())
        try:
            await asyncio.sleep(0.5)
            # As if its agent had said that it could not be done, and it were time to try again.
            async with one.control_plane.database.unit() as unit:
                await unit.connection.exec_driver_sql(
                    "UPDATE agent_commands SET state = 'pending', finished_at = NULL"
                )
            await agent.until(lambda: len(agent.commands) == 2, within=5)
        finally:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)


async def test_what_was_claimed_and_not_said_when_the_link_ended_comes_at_once_with_the_next(
    one: Served, agent: ScriptedAgent
):
    agent.obedient = False
    async with agent.linked(one.ws):
        await create(one)
        (command,) = await agent.until(lambda: agent.commands)
        await eventually(lambda: states(one), ["received"])
        link = hub(one).link(agent.id)
        assert link is not None
        # As if it had been claimed, and the link had ended before it was said.
        link.unfinished.clear()
    async with agent.linked(one.ws):
        assert agent.resumed
        await agent.until(lambda: len(agent.commands) == 2, within=5)
        assert agent.commands[-1].id == command.id
