"""Links, queue and streams when the database stumbles, processes die and agents flood."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import insert, update

from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Command, OpenStream, TemplateContent
from porthole_contract.link.reports import SessionObserved, StreamRefused, TemplateOffered
from porthole_contract.template import SessionTemplateSpec
from porthole_control.agents import service as agents
from porthole_control.db.tables import replicas
from porthole_control.link import heard, hub
from porthole_control.streams import looking
from porthole_control.streams.tables import streams
from tests.support.control_plane import TEMPLATE, observed
from tests.support.postgres import TestDatabase
from tests.support.scripted_agent import ScriptedAgent, view
from tests.support.served import Served, served
from tests.support.streaming import SESSIONS, echo, ended_stream, running_session, ticket
from tests.support.waiting import eventually, until

MUCH = "x" * 1000


@pytest.fixture
async def one(test_database: TestDatabase, tmp_path: Path):
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def agent(one: Served):
    made = await ScriptedAgent.enrol(one.control_plane)
    async with made.linked(one.ws):
        made.describe()
        made.on_stream = echo
        yield made


async def create(at: Served) -> dict[str, Any]:
    answer = await at.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    return answer.raise_for_status().json()


async def phase(at: Served, session: dict[str, Any]) -> str:
    return (await at.control_plane.admin.get(f"{SESSIONS}/{session['id']}")).json()["phase"]


async def test_a_link_below_a_path_carries_as_much(test_database: TestDatabase, tmp_path: Path):
    """What an agent may say at once is more than a stream may, whatever stands before it."""
    templates = [
        TemplateOffered(name=f"t{number}", spec=TEMPLATE.model_copy(update={"description": MUCH}))
        for number in range(400)
    ]
    async with served(test_database, tmp_path / "home", below="/desks") as below:
        agent = await ScriptedAgent.enrol(below.control_plane)
        async with agent.linked(f"{below.ws}/desks"):
            agent.describe(templates=templates)

            async def known() -> bool:
                found = await below.control_plane.admin.get("/api/v1/templates/t399")
                return found.status_code == 200

            await eventually(known, True)


def disconnect_all(database: TestDatabase) -> None:
    """Have the database drop every connection."""
    with database.server.admin() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (database.name,),
        )


async def test_a_command_is_sent_by_the_process_that_has_the_link(
    one: Served,
    agent: ScriptedAgent,
    test_database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(hub, "_LOOK_EVERY", 60.0)  # so only the doorbell can tell of it in time
    await running_session(one, agent)
    async with served(test_database, tmp_path / "home") as other:
        begun = monotonic()
        session = await create(other)
        await agent.until(
            lambda: [c for c in agent.commands if str(c.body.session) == session["id"]]
        )
        assert monotonic() - begun < 20
        agent.say(observed(session, phase=Phase.RUNNING))
        await eventually(lambda: phase(other, session), "Running")


def allow_writing(database: TestDatabase, *, allowed: bool) -> None:
    """Have the database take what is written, or refuse it, as a standby does."""
    with database.server.admin() as admin:
        admin.execute(
            SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                Identifier(database.name), Literal("off" if allowed else "on")
            )
        )
    disconnect_all(database)


async def test_a_database_that_may_only_be_read_loses_nothing(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase
):
    session = await running_session(one, agent)
    allow_writing(test_database, allowed=False)

    async def answer() -> int:
        body = {"labels": {"a": "b"}}
        changed = await one.control_plane.admin.patch(f"{SESSIONS}/{session['id']}", json=body)
        return changed.status_code

    await eventually(answer, 503)
    agent.say(observed(session, phase=Phase.HIBERNATED))
    # The report comes to a database that takes nothing, and is not the worse for it.
    await asyncio.sleep(1)
    assert (await answer(), await phase(one, session)) == (503, "Running")
    allow_writing(test_database, allowed=True)
    await eventually(answer, 202)
    await eventually(lambda: phase(one, session), "Hibernated")


async def test_a_database_that_drops_its_connections_loses_nothing(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase
):
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        await viewer.send(b"open")
        assert await viewer.recv() == b"open"
        for number in range(5):
            disconnect_all(test_database)
            agent.say(observed(session, phase=Phase.RUNNING, status={"viewers": number}))

            async def said(expected: int = number) -> bool:
                answer = await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}")
                return answer.status_code == 200 and answer.json()["viewers"] == expected

            await eventually(said, True)
        await viewer.send(b"still open")
        assert await viewer.recv() == b"still open"
    assert agent.goodbye is None

    async def another() -> int:
        return (
            await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
        ).status_code

    await eventually(another, 202)
    await agent.until(lambda: len({command.id for command in agent.commands}) >= 2)


async def test_the_end_of_a_stream_is_written_down_when_the_database_takes_it_again(
    one: Served, agent: ScriptedAgent, test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(looking, "_AGAIN_SECONDS", 0.2)
    session = await running_session(one, agent)
    async with view(await ticket(one, session)) as viewer:
        await viewer.send(b"open")
        assert await viewer.recv() == b"open"
        allow_writing(test_database, allowed=False)
    await asyncio.sleep(1)  # long enough to be refused
    allow_writing(test_database, allowed=True)

    async def answer() -> int:
        shown = await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}/streams")
        return shown.status_code

    await eventually(answer, 200)
    ended = await ended_stream(one, session)
    assert (ended["closed_reason"], ended["bytes_to_viewer"]) == ("viewer_left", 4)


async def test_what_a_dead_process_leaves_is_tidied_up(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    url = await ticket(one, session)
    dead = uuid4()
    database = one.control_plane.database
    async with database.unit() as unit:
        long_ago = unit.now - timedelta(minutes=1)
        await unit.connection.execute(
            insert(replicas).values(id=dead, started_at=long_ago, seen_at=long_ago)
        )
        await unit.connection.execute(
            update(streams).values(state="open", replica_id=dead, opened_at=long_ago)
        )
    await until(lambda: one.control_plane.parts.presence.is_steady(datetime.now(UTC)))
    await one.control_plane.app.state.traffic.watch._tidy()
    assert (await ended_stream(one, session))["closed_reason"] == "control_plane_lost"
    async with view(url) as viewer:
        await viewer.wait_closed()
        assert viewer.close_code == 4007


async def test_a_database_that_was_away_for_long_ends_no_stream_that_lives(
    one: Served, agent: ScriptedAgent
):
    """Nobody was seen meanwhile, and whoever writes first must not take the others for dead."""
    session = await running_session(one, agent)
    running = one.control_plane
    async with view(await ticket(one, session)) as viewer:
        await viewer.send(b"open")
        assert await viewer.recv() == b"open"
        long_ago = timedelta(minutes=1)
        # As its first moment after that: this process was not seen for long either.
        running.parts.presence.judges(datetime.now(UTC) + long_ago)
        async with running.database.unit() as unit:
            await unit.connection.execute(update(replicas).values(seen_at=unit.now - long_ago))
        await running.app.state.traffic.watch._tidy()
        await viewer.send(b"still open")
        assert await viewer.recv() == b"still open"
        listed = await running.admin.get(f"{SESSIONS}/{session['id']}/streams")
        assert [one["state"] for one in listed.json()["items"]] == ["open"]


async def test_the_link_of_a_dead_process_is_forgotten(one: Served, agent: ScriptedAgent):
    await running_session(one, agent)
    path = f"/api/v1/agents/{agent.id}"
    async with one.control_plane.database.unit() as unit:
        soon = unit.now + timedelta(minutes=1)
        await agents.forget_dead_links(unit, silent_since=soon, unseen_since=soon)
    assert not (await one.control_plane.admin.get(path)).json()["linked"]


async def test_an_agent_that_floods_waits_and_others_do_not(one: Served, agent: ScriptedAgent):
    session = await running_session(one, agent)
    other = await ScriptedAgent.enrol(one.control_plane, "two")
    async with other.linked(one.ws):
        other.describe()
        for _ in range(20):
            agent.say(*(observed(session, phase=Phase.RUNNING) for _ in range(500)))
        mine = await one.control_plane.admin.post(
            SESSIONS, json={"template": "desktop", "agent": "two"}
        )
        begun = monotonic()
        (command,) = await other.until(lambda: other.commands)
        other.say(observed(mine.json(), phase=Phase.RUNNING))
        await eventually(lambda: phase(one, mine.json()), "Running")
        assert monotonic() - begun < 15  # three times what it should take at the most
        assert isinstance(command, Command)
        assert agent.goodbye is None


async def test_long_reports_are_read_when_there_is_room(
    one: Served, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(heard, "MOST_WAITING", 1000)
    session = await running_session(one, agent)
    for number in range(50):
        agent.say(observed(session, message="x" * 1900, status={"viewers": number}))
        await asyncio.sleep(0)

    async def viewers() -> int:
        answer = await one.control_plane.admin.get(f"{SESSIONS}/{session['id']}")
        return answer.json()["viewers"]

    await eventually(viewers, 49)
    await agent.until(lambda: agent.channel.unacknowledged == 0)


async def test_an_old_connection_that_takes_nothing_in_does_not_hold_up_the_next(
    one: Served, agent: ScriptedAgent
):
    assert agent.socket is not None
    agent.socket.transport.pause_reading()
    link = one.control_plane.app.state.traffic.hub.link(agent.id)
    # More than all the buffers on the way have room for.
    spec = SessionTemplateSpec(title="x", description="y" * 1000, icon="z" * 32768)
    link.say(*(TemplateContent(digest="0" * 64, spec=spec) for _ in range(500)))
    await asyncio.sleep(0.5)
    begun = monotonic()
    again = agent.twin()
    async with again.linked(one.ws):
        assert monotonic() - begun < 10


async def test_what_somebody_waits_for_goes_past_what_is_reported(
    one: Served, agent: ScriptedAgent
):
    session = await running_session(one, agent)
    hub = one.control_plane.app.state.traffic.hub
    may = asyncio.Event()
    handle = hub.handlers[SessionObserved]

    async def slowly(*args: Any) -> None:
        await may.wait()
        await handle(*args)

    async def refuse(order: OpenStream) -> None:
        agent.say(StreamRefused(stream=order.stream, code="busy", message="Not now."))

    hub.handlers = {**hub.handlers, SessionObserved: slowly}
    agent.on_stream = refuse
    agent.say(observed(session, status={"viewers": 7}))
    async with view(await ticket(one, session)) as viewer:
        await viewer.wait_closed()
        assert viewer.close_reason == "busy: Not now."
    assert agent.channel.unacknowledged == 2
    may.set()
    await agent.until(lambda: agent.channel.unacknowledged == 0)
