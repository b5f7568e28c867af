"""Metrics of a control plane at work: right, bounded, and no burden."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from porthole_contract.lifecycle import Phase
from porthole_control import gauges
from porthole_control.commands import repository as commands
from tests.support.control_plane import observed
from tests.support.postgres import TestDatabase
from tests.support.scraped import Collector, Scrape
from tests.support.scripted_agent import ScriptedAgent, view
from tests.support.served import Served, served
from tests.support.streaming import SESSIONS, closing, echo, ended_stream, running_session, ticket
from tests.support.waiting import eventually


@pytest.fixture
async def one(
    test_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    monkeypatch.setattr(gauges, "CALM_SECONDS", 0.0)
    async with served(test_database, tmp_path / "home") as running:
        yield running


@pytest.fixture
async def collector(one: Served) -> AsyncIterator[Collector]:
    made = Collector(one.control_plane.app)
    yield made
    await made.close()


async def test_what_happens_to_a_session_is_counted(one: Served, collector: Collector):
    before = await collector.scrape()
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        agent.on_stream = echo
        session = await running_session(one, agent)
        async with view(await ticket(one, session)) as socket:
            await socket.send(b"x" * 1000)
            await socket.recv()
        await ended_stream(one, session)
        async with view(f"{one.ws}/api/v1/streams/pht_nonsense") as socket:
            await closing(socket)
        now = await collector.scrape()

    def more(name: str, **labels: str) -> float:
        return now.value(name, **labels) - before.value(name, **labels)

    assert now.value("porthole_database_up") == 1
    assert now.value("porthole_sessions", phase="Running") == 1
    assert now.value("porthole_agents", health="linked") == 1
    assert now.value("porthole_agents_linked") == 1
    assert more("porthole_links") == 1
    assert more("porthole_link_epochs_total", how="anew") == 1
    assert more("porthole_commands_queued_total", kind="ApplySession") == 1
    assert more("porthole_commands_sent_total") == 1
    assert more("porthole_commands_ended_total", state="succeeded") == 1
    assert more("porthole_command_seconds_count", kind="ApplySession") == 1
    assert more("porthole_reports_total", kind="SessionObserved") == 1
    assert more("porthole_report_lag_seconds_count") >= 2
    assert now.value("porthole_reports_waiting") == before.value("porthole_reports_waiting")
    assert more("porthole_sessions_assigned_total") == 1
    assert more("porthole_session_start_seconds_count") == 1
    assert more("porthole_stream_open_seconds_count") == 1
    assert more("porthole_stream_bytes_total", direction="from_viewer") == 1000
    assert more("porthole_streams_refused_total", reason="ticket_invalid") == 1


async def test_what_waits_has_an_age(one: Served, collector: Collector):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        await running_session(one, agent)
    await eventually(lambda: _linked(one), 0)
    made = await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    assert made.status_code == 202
    scrape = await collector.scrape()
    assert scrape.value("porthole_commands", state="pending") == 1
    assert scrape.value("porthole_agents", health="away") == 1
    assert scrape.value("porthole_command_oldest_due_seconds") == 0, "its agent is away"
    older = await collector.scrape()
    age = older.value("porthole_command_oldest_age_seconds", state="pending")
    assert age > scrape.value("porthole_command_oldest_age_seconds", state="pending") > 0


async def test_what_is_superseded_sent_again_or_too_late_is_counted(
    one: Served, collector: Collector
):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        session = await running_session(one, agent)
    await eventually(lambda: _linked(one), 0)
    before = await collector.scrape()
    path = f"{SESSIONS}/{session['id']}"
    for desired in ("Hibernated", "Running", "Hibernated"):
        await one.control_plane.admin.patch(path, json={"desired": desired})
    agent.obedient = False
    another = agent.twin()
    another.obedient = False
    async with another.linked(one.ws):
        await another.until(lambda: another.commands)
    await eventually(lambda: _linked(one), 0)
    last = another.twin()
    async with last.linked(one.ws, epoch=another.channel.epoch):
        await last.until(lambda: last.commands)
        # What was seen on the link before is no news any more.
        last.say(observed({**session, "order": 4}, phase=Phase.HIBERNATED))

        async def phase() -> str:
            return (await one.control_plane.admin.get(path)).json()["phase"]

        await eventually(phase, "Hibernated")
        now = await collector.scrape()
    assert _more(before, now, "porthole_commands_ended_total", state="superseded") == 2
    assert _more(before, now, "porthole_commands_resent_total", why="new_link") == 1
    assert _more(before, now, "porthole_link_epochs_total", how="anew") == 2


async def test_a_scrape_asks_little_and_not_again_at_once(
    one: Served, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    engine = one.control_plane.database.engine.sync_engine

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "LIMIT" in statement and "one" in statement:
            asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        await collector.scrape()
        assert len(asked) == 3
        monkeypatch.setattr(gauges, "CALM_SECONDS", 3600.0)
        for _ in range(20):
            await collector.scrape()
        assert len(asked) == 3
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_of_a_very_long_queue_a_part_is_counted(
    one: Served, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    agent = await ScriptedAgent.enrol(one.control_plane)
    monkeypatch.setattr(commands, "_COUNTED", 100)
    many = [_deletion(agent.id) for _ in range(250)]
    async with one.control_plane.database.unit() as unit:
        await commands.put(unit.connection, *many, now=unit.now)
    assert (await collector.scrape()).value("porthole_commands", state="pending") == 100


async def test_a_database_that_is_away_is_a_value(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    assert (await collector.scrape()).value("porthole_database_up") == 1

    async def fails(*_: object) -> None:
        raise OSError("no database")

    monkeypatch.setattr(gauges.commands, "depth", fails)
    assert (await collector.scrape()).value("porthole_database_up") == 0


async def test_names_helps_and_labels_are_as_they_should_be(one: Served, collector: Collector):
    agent = await ScriptedAgent.enrol(one.control_plane)
    async with agent.linked(one.ws):
        agent.describe()
        session = await running_session(one, agent)
        scrape = await collector.scrape()
    for name, words in scrape.help.items():
        assert name.startswith("porthole_"), name
        assert words[0].isupper(), name
        assert words.endswith("."), name
    known = {str(agent.id), session["id"], session["name"], "admin", "one"}
    for name, lines in scrape.samples.items():
        for pairs in lines:
            assert not known & {value for _, value in pairs}, name
            assert not any(_is_uuid(value) for _, value in pairs), name


async def _linked(one: Served) -> int:
    listed = (await one.control_plane.admin.get("/api/v1/agents")).json()["items"]
    return sum(agent["linked"] for agent in listed)


def _deletion(agent: UUID) -> commands.New:
    home = uuid4()
    return commands.New(
        agent=agent,
        owner=None,
        subject_kind="home",
        subject_id=home,
        kind="DeleteHome",
        payload={"home": str(home)},
    )


def _more(before: Scrape, now: Scrape, name: str, **labels: str) -> float:
    return now.value(name, **labels) - before.value(name, **labels)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
