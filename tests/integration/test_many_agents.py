"""Sessions over several agents, given away by two control planes at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from porthole_control import housekeeping
from porthole_control.agents.rules import PASSES
from porthole_control.sessions import scheduling
from tests.support.control_plane import Agent, ControlPlane, a_control_plane, observed
from tests.support.postgres import TestDatabase
from tests.support.waiting import eventually

SESSIONS = "/api/v1/sessions"
DAY = timedelta(days=1, minutes=1)
MANY: dict[str, Any] = {"sessions_per_owner": 10_000}


@pytest.fixture
async def two(
    test_database: TestDatabase, tmp_path: Path
) -> AsyncIterator[tuple[ControlPlane, ControlPlane]]:
    """Two control planes on one database."""
    home = tmp_path / "home"
    async with (
        a_control_plane(test_database, home, **MANY) as first,
        a_control_plane(test_database, home, **MANY) as second,
    ):
        yield first, second


async def create(at: ControlPlane, **body: Any) -> dict[str, Any]:
    answer = await at.admin.post(SESSIONS, json={"template": "desktop", **body})
    assert answer.status_code == 202, answer.text
    session: dict[str, Any] = answer.json()
    return session


async def rapidly(
    two: tuple[ControlPlane, ControlPlane], count: int, **body: Any
) -> list[dict[str, Any]]:
    """Ask both for sessions, eight at a time."""
    few = asyncio.Semaphore(8)

    async def one(number: int) -> dict[str, Any]:
        async with few:
            return await create(two[number % 2], **body)

    return await asyncio.gather(*(one(number) for number in range(count)))


async def loads(at: ControlPlane) -> Mapping[str | None, int]:
    """Return how many living sessions each agent has; under None those that wait."""
    found: Counter[str | None] = Counter()
    cursor: str | None = None
    while True:
        query = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        answer = (await at.admin.get(SESSIONS, params=query)).raise_for_status().json()
        found.update(session["agent"] for session in answer["items"])
        if (cursor := answer["next"]) is None:
            return found


async def show(at: ControlPlane, session: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = (await at.admin.get(f"{SESSIONS}/{session['id']}")).json()
    return seen


async def end(at: ControlPlane, agent: Agent, session: dict[str, Any]) -> None:
    """End a session that runs."""
    await agent.run(session)
    (await at.admin.delete(f"{SESSIONS}/{session['id']}")).raise_for_status()
    await agent.obey()


@contextmanager
def statements(at: ControlPlane) -> Iterator[list[str]]:
    """Collect what a control plane asks its database meanwhile."""
    asked: list[str] = []
    engine = at.database.engine.sync_engine

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_nobody_looks_at_all_agents_where_no_session_waits(control_plane: ControlPlane):
    agent = await control_plane.agent(sessions=1)
    await agent.run(await create(control_plane))

    async def reads_of_agents() -> int:
        with statements(control_plane) as asked:
            await scheduling.assign_waiting(control_plane.database)
        return sum("ORDER BY agents.name" in statement for statement in asked)

    assert await reads_of_agents() == 0
    await create(control_plane)
    assert await reads_of_agents() >= 1  # the control plane looks by itself, too


async def test_fifteen_at_once_are_spread_evenly(two: tuple[ControlPlane, ControlPlane]):
    for name in ("one", "two", "three"):
        await two[0].agent(name)
    await rapidly(two, 15)
    assert await loads(two[0]) == {"one": 5, "two": 5, "three": 5}


async def test_one_agent_is_given_two_hundred(two: tuple[ControlPlane, ControlPlane]):
    agent = await two[0].agent(sessions=200)
    made = await rapidly(two, 200)
    assert {session["agent"] for session in made} == {"one"}
    assert len({one.subject_id for one in await agent.claim(credit=500)}) == 200


async def test_larger_agents_get_more(two: tuple[ControlPlane, ControlPlane]):
    for name, most in (("small", 4), ("middle", 8), ("large", 16)):
        await two[0].agent(name, sessions=most)
    await rapidly(two, 14)
    assert await loads(two[0]) == {"small": 2, "middle": 4, "large": 8}


async def test_nobody_is_given_more_than_it_takes(two: tuple[ControlPlane, ControlPlane]):
    agents = {
        name: await two[0].agent(name, sessions=most) for name, most in (("one", 5), ("two", 3))
    }
    await rapidly(two, 30)
    full = {"one": 5, "two": 3, None: 22}
    assert await loads(two[0]) == full
    # As soon as there is room, both look for who gets it.
    for _ in range(4):
        items = (await two[0].admin.get(SESSIONS, params={"limit": 100})).json()["items"]
        for name, agent in agents.items():
            await end(two[1], agent, next(one for one in items if one["agent"] == name))
        await asyncio.gather(*(scheduling.assign_waiting(one.database) for one in two * 2))
        full[None] -= 2
        assert await loads(two[0]) == full


async def test_who_waits_for_room_knows_their_place(two: tuple[ControlPlane, ControlPlane]):
    agent = await two[0].agent(sessions=1)
    running, *waiting = [await create(two[0]) for _ in range(4)]
    assert [one["queue_place"] for one in (running, *waiting)] == [None, 1, 2, 3]
    last = await show(two[1], waiting[2])
    assert (last["phase"], last["reason"]) == ("Pending", "NoCapacity")
    sentence = (
        "Agent 'one' is full: it takes 1 sessions at a time."
        " It is number 3 of those that wait for room."
    )
    assert last["message"] == sentence
    scheduled = next(one for one in last["conditions"] if one["type"] == "Scheduled")
    assert (scheduled["status"], scheduled["message"]) == ("False", sentence)
    # Somebody gives up; whoever came after them moves up.
    (await two[0].admin.delete(f"{SESSIONS}/{waiting[0]['id']}")).raise_for_status()
    assert (await show(two[0], waiting[2]))["queue_place"] == 2
    for following in (waiting[1], waiting[2]):
        await end(two[0], agent, running)
        await two[1].until(f"{SESSIONS}/{following['id']}", agent="one", queue_place=None)
        running = following
    story = (await two[0].admin.get(f"{SESSIONS}/{waiting[2]['id']}/events")).json()["items"]
    assert [event["kind"] for event in story] == ["Created", "Waiting", "Assigned", "Queued"]


async def test_who_has_waited_is_still_part_of_their_trace(two: tuple[ControlPlane, ControlPlane]):
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    agent = await two[0].agent(sessions=1)
    await create(two[0])
    answer = await two[0].admin.post(SESSIONS, json={"template": "desktop"}, headers=headers)
    assert answer.json()["agent"] is None
    await agent.describe(sessions=2)
    await two[1].until(f"{SESSIONS}/{answer.json()['id']}", agent="one")
    order = next(one for one in await agent.claim() if str(one.subject_id) == answer.json()["id"])
    assert order.payload["traceparent"].split("-")[1] == trace


async def test_nobody_who_comes_later_goes_first(two: tuple[ControlPlane, ControlPlane]):
    agent = await two[0].agent(sessions=1)
    running, waiting = await create(two[0]), await create(two[0])
    await agent.run(running)
    # The agent has more room, and before anybody has looked somebody else comes.
    await agent.describe(sessions=2)
    late = await create(two[1])
    await two[0].until(f"{SESSIONS}/{waiting['id']}", agent="one")
    assert (await show(two[0], late))["agent"] is None


async def test_cores_and_memory_count_as_reported(two: tuple[ControlPlane, ControlPlane]):
    small = {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
    agent = await two[0].agent(sessions=100, total={"cpu": "2", "memory": "64Gi"})
    made = await rapidly(two, 6, **small)
    assert Counter(one["agent"] for one in made) == {"one": 4, None: 2}
    waits = next(one for one in made if one["agent"] is None)
    assert waits["message"].startswith("Agent 'one' is full: of its 2 cores fewer are free")
    # What others use there is not ours to give.
    await agent.describe(sessions=100, total={"cpu": "8", "memory": "6Gi"}, used={"memory": "1Gi"})
    await eventually(lambda: loads(two[0]), {"one": 5, None: 1})
    await agent.describe(sessions=100, total={"cpu": "8", "memory": "64Gi"})
    await eventually(lambda: loads(two[0]), {"one": 6})


async def test_what_is_small_passes_what_does_not_fit(two: tuple[ControlPlane, ControlPlane]):
    await two[0].agent(total={"cpu": "1"})
    large = await create(two[0], resources={"requests": {"cpu": "2"}})
    assert large["queue_place"] == 1
    small = await create(two[0], resources={"requests": {"cpu": "250m"}})
    await two[1].until(f"{SESSIONS}/{small['id']}", agent="one")
    assert (await show(two[0], large))["reason"] == "NoCapacity"


async def test_what_is_large_is_not_passed_for_ever(two: tuple[ControlPlane, ControlPlane]):
    agent = await two[0].agent(total={"cpu": "2"})
    other = await two[0].agent("other", total={"cpu": "1"})
    small: dict[str, Any] = {"resources": {"requests": {"cpu": "1"}}}
    running = await rapidly(two, 3, **small)
    large = await create(two[0], resources={"requests": {"cpu": "2"}})
    # The room of the other one, which could never take it, is nobody's loss.
    passing = [await create(two[1], **small) for _ in range(PASSES + 3)]
    beside = next(one for one in running if one["agent"] == "other")
    await end(two[0], other, beside)
    beside = await two[0].until(f"{SESSIONS}/{passing.pop(0)['id']}", agent="other")
    here = [one for one in running if one["agent"] == "one"]
    for _ in range(PASSES):
        await end(two[1], agent, here.pop(0))
        here.append(await two[1].until(f"{SESSIONS}/{passing.pop(0)['id']}", agent="one"))
    for left in (1, 0):
        await end(two[0], agent, here.pop(0))
        for one in two:
            await scheduling.assign_waiting(one.database)
        assert [await agent_of(two[0], one) for one in passing] == [None, None], left
    await two[0].until(f"{SESSIONS}/{large['id']}", agent="one", queue_place=None)
    waits = await show(two[0], passing[0])
    assert (waits["reason"], waits["queue_place"]) == ("NoCapacity", 1)
    # What it was kept from goes on elsewhere meanwhile, and here as soon as it has gone.
    await end(two[0], other, beside)
    await two[0].until(f"{SESSIONS}/{passing[0]['id']}", agent="other")
    await end(two[0], agent, large)
    await two[0].until(f"{SESSIONS}/{passing[1]['id']}", agent="one")


async def agent_of(at: ControlPlane, session: dict[str, Any]) -> str | None:
    name: str | None = (await show(at, session))["agent"]
    return name


async def test_an_agent_is_asked_for_by_its_labels(two: tuple[ControlPlane, ControlPlane]):
    await two[0].agent("one")
    other = await two[0].agent("other")
    wanted = {"agent_labels": {"zone": "west"}}
    waits = await create(two[0], **wanted)
    assert waits["reason"] == "NoAgent"
    assert waits["message"] == "No agent that can run it is labelled zone=west."
    await two[0].admin.patch(f"/api/v1/agents/{other.id}", json={"labels": {"zone": "west"}})
    await two[0].until(f"{SESSIONS}/{waits['id']}", agent="other")
    assert {one["agent"] for one in await rapidly(two, 4, **wanted)} == {"other"}


async def test_a_silent_agent_gets_nothing_new_and_keeps_what_it_has(
    two: tuple[ControlPlane, ControlPlane],
):
    loud, silent = await two[0].agent("loud", sessions=2), await two[0].agent("silent", sessions=9)
    kept = await create(two[0], agent="silent")
    await silent.run(kept)
    await silent.unlink()
    seen = await show(two[0], kept)
    reachable = next(one for one in seen["conditions"] if one["type"] == "Reachable")
    assert (seen["phase"], reachable["status"]) == ("Running", "False")
    assert reachable["message"] == "The agent 'silent' is not linked."
    made = await rapidly(two, 3)
    assert Counter(one["agent"] for one in made) == {"loud": 2, None: 1}
    await silent.link()
    await eventually(lambda: loads(two[0]), {"loud": 2, "silent": 2})
    assert (await show(two[0], kept))["phase"] == "Running"
    assert len(await loud.obey()) == 2


async def test_all_that_was_asked_of_a_silent_agent_is_done_when_it_is_back(
    two: tuple[ControlPlane, ControlPlane],
):
    agent = await two[0].agent()
    ending, changing = await create(two[0]), await create(two[1])
    await agent.run(ending)
    await agent.see(observed(changing))
    await agent.unlink()
    answers = [
        await two[0].admin.delete(f"{SESSIONS}/{ending['id']}"),
        await two[1].admin.patch(f"{SESSIONS}/{changing['id']}", json={"desired": "Hibernated"}),
        await two[1].admin.post(SESSIONS, json={"template": "desktop"}),
    ]
    assert [answer.status_code for answer in answers] == [202] * 3
    listed = (await two[0].admin.get("/api/v1/commands")).json()["items"]
    waiting = [(one["kind"], one["state"]) for one in listed if one["state"] == "pending"]
    assert sorted(waiting) == [("ApplySession", "pending")] * 2 + [("DeleteSession", "pending")]
    assert (await show(two[0], ending))["phase"] == "Terminating"
    await agent.link()
    assert len(await agent.obey()) == 3
    assert (await show(two[1], ending))["phase"] == "Terminated"


async def test_commands_wait_for_an_agent_that_is_away_for_a_day(
    two: tuple[ControlPlane, ControlPlane], monkeypatch: pytest.MonkeyPatch
):
    agent = await two[0].agent()
    running = await create(two[0])
    await agent.run(running)
    await agent.unlink()
    (await two[0].admin.delete(f"{SESSIONS}/{running['id']}")).raise_for_status()
    waiting = await create(two[0])
    later = two[0].database._clock
    for one in two:
        monkeypatch.setattr(one.database, "_clock", lambda: later() + DAY)
    await housekeeping._past_deadlines(two[0].parts)
    await housekeeping._tidy(two[0].parts)
    assert (await show(two[0], running))["phase"] == "Terminating"
    assert (await show(two[0], waiting))["reason"] == "AgentUnreachable"
    await agent.link()
    assert sorted(one.kind for one in await agent.obey()) == ["ApplySession", "DeleteSession"]
    assert (await show(two[0], running))["phase"] == "Terminated"


async def test_an_agent_that_never_comes_back_is_taken_away(
    two: tuple[ControlPlane, ControlPlane],
):
    agent = await two[0].agent("gone")
    kept, waiting = await create(two[0]), await create(two[1])
    await agent.run(kept)
    await agent.unlink()
    (await two[0].admin.delete(f"{SESSIONS}/{waiting['id']}")).raise_for_status()
    path = f"/api/v1/agents/{agent.id}"
    refused = await two[1].admin.delete(path, params={"with_sessions": "false"})
    assert (refused.status_code, refused.json()["code"]) == (409, "agent_has_sessions")
    (await two[1].admin.delete(path)).raise_for_status()
    for session in (kept, waiting):
        seen = await show(two[0], session)
        assert (seen["phase"], seen["reason"]) == ("Terminated", "AgentRemoved")
    listed = (await two[0].admin.get("/api/v1/commands")).json()["items"]
    assert {one["state"] for one in listed} <= {"succeeded", "superseded", "failed"}
    # Should it come back and tell of them, nothing is ordered of it.
    await agent.inventory(observed(kept))
    assert await agent.claim() == []
    assert (await show(two[0], kept))["phase"] == "Terminated"
