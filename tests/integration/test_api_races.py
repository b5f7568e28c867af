"""Two transactions about one session: whichever comes second sees what the first has done."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from porthole_contract.link.greeting import new_key
from porthole_control.agents import service as agents
from porthole_control.commands import repository as commands
from porthole_control.commands.repository import Claimed
from porthole_control.commands.tables import agent_commands
from porthole_control.sessions import repository as sessions
from porthole_control.sessions import scheduling
from tests.support.control_plane import Agent, ControlPlane, a_control_plane
from tests.support.postgres import TestDatabase

SESSIONS = "/api/v1/sessions"


async def create(control_plane: ControlPlane) -> dict[str, Any]:
    answer = await control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    session: dict[str, Any] = answer.raise_for_status().json()
    return session


async def show(control_plane: ControlPlane, session: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = (await control_plane.admin.get(f"{SESSIONS}/{session['id']}")).json()
    return seen


@asynccontextmanager
async def claiming(agent: Agent) -> AsyncIterator[Sequence[Claimed]]:
    """Have a claim under way, which is committed at the end of the block."""
    async with agent.database.unit() as unit:
        yield await commands.claim(
            unit.connection, agent=agent.id, epoch=agent.epoch, credit=10, now=unit.now
        )
        await asyncio.sleep(0.3)  # for the other one to come so far that it would be wrong


async def test_an_end_that_comes_while_its_session_is_being_sent_is_told_to_its_agent(
    control_plane: ControlPlane,
):
    agent = await control_plane.agent()
    await agent.unlink()
    session = await create(control_plane)
    async with claiming(agent) as claimed:
        assert len(claimed) == 1
        ending = asyncio.create_task(control_plane.admin.delete(f"{SESSIONS}/{session['id']}"))
    assert (await ending).status_code == 202
    assert (await show(control_plane, session))["phase"] == "Terminating"
    await agent.finish(*claimed)
    assert [one.kind for one in await agent.obey()] == ["DeleteSession"]
    assert (await show(control_plane, session))["phase"] == "Terminated"


async def test_a_session_that_is_being_sent_is_not_given_to_another_agent(
    control_plane: ControlPlane,
):
    first = await control_plane.agent("one")
    await first.unlink()
    session = await create(control_plane)
    assert (await show(control_plane, session))["agent"] == "one"
    async with claiming(first) as claimed:
        assert len(claimed) == 1
        second = await control_plane.agent("two")
        giving = asyncio.create_task(scheduling.assign_waiting(control_plane.database))
    await giving
    assert (await show(control_plane, session))["agent"] == "one"
    assert await second.claim() == []


async def test_results_wait_for_whoever_has_their_session_before_they_touch_a_command(
    control_plane: ControlPlane,
):
    """Who orders something has the session, and takes its older commands back: never crosswise."""
    agent = await control_plane.agent()
    session = await create(control_plane)
    (claimed,) = await agent.claim()
    async with control_plane.database.unit() as unit:
        mine = await sessions.locked(unit.connection, UUID(session["id"]))
        assert mine is not None
        finishing = asyncio.create_task(agent.finish(claimed))
        await asyncio.sleep(0.3)
        assert not finishing.done()
        free = select(agent_commands.c.id).where(agent_commands.c.id == claimed.id)
        found = await unit.connection.execute(free.with_for_update(nowait=True))
        assert found.scalar_one() == claimed.id
    await finishing
    assert await agent.claim() == []


async def test_an_owner_who_asks_many_times_at_once_gets_no_more_sessions_than_they_may_have(
    test_database: TestDatabase, tmp_path: Path
):
    async with a_control_plane(test_database, tmp_path / "home", sessions_per_owner=2) as running:
        await running.agent()
        asking = (running.admin.post(SESSIONS, json={"template": "desktop"}) for _ in range(6))
        answers = [answer.status_code for answer in await asyncio.gather(*asking)]
    assert sorted(answers) == [202, 202, 409, 409, 409, 409]


async def test_of_two_agents_that_join_under_one_name_at_once_one_is_told_that_it_is_taken(
    control_plane: ControlPlane,
):
    async def join() -> int:
        made = await control_plane.admin.post("/api/v1/agents/join-tokens", json={"name": "one"})
        key = new_key().public_key().public_bytes_raw()
        body = {"token": made.json()["token"], "public_key": base64.b64encode(key).decode()}
        tokens.append(body)
        return made.status_code

    tokens: list[dict[str, str]] = []
    assert [await join() for _ in range(6)] == [201] * 6
    async with control_plane.client() as stranger:
        joining = (stranger.post("/api/v1/agents/enrol", json=body) for body in tokens)
        answers = await asyncio.gather(*joining)
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"agent_exists"}


async def test_an_agent_that_joins_twice_at_once_is_one(control_plane: ControlPlane):
    key = new_key().public_key().public_bytes_raw()

    async def join() -> UUID:
        async with control_plane.database.unit() as unit:
            agent = await agents.enrol_account(unit, name="one", public_key=key, by="admin")
            await asyncio.sleep(0.1)
            return agent.id

    assert len(set(await asyncio.gather(*(join() for _ in range(4))))) == 1
