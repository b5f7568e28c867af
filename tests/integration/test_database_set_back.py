"""A database is put back to what it was, and control planes go on with it."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from porthole_contract.link.commands import ApplySession
from porthole_contract.link.reports import InventoryPart, SessionEnded, SessionObserved
from porthole_control.db.database import Database
from tests.support.postgres import Embedded, TestDatabase, a_server, application_database
from tests.support.scraped import Collector, Scrape
from tests.support.scripted_agent import ScriptedAgent
from tests.support.served import Served, served
from tests.support.streaming import SESSIONS
from tests.support.waiting import eventually


@dataclass
class Kept:
    """A database server of a test's own, and a copy of it as it was."""

    server: Embedded
    folder: Path

    @property
    def database(self) -> TestDatabase:
        """What control planes use of it."""
        return application_database(self.server)

    @property
    def _data(self) -> Path:
        return self.server.home / "postgres" / "data"

    async def back_up(self) -> None:
        await asyncio.to_thread(self._swap, self._data, self.folder)

    async def restore(self) -> None:
        await asyncio.to_thread(self._swap, self.folder, self._data)

    async def crash(self) -> None:
        """Kill the server, as a failure of power would, and start it again."""
        written = (self._data / "postmaster.pid").read_text(encoding="ascii")
        os.kill(int(written.split("\n", 1)[0]), signal.SIGKILL)
        await asyncio.to_thread(self.server.process.wait, 30)
        self.server.close()
        await asyncio.to_thread(self.server.start)

    def _swap(self, source: Path, target: Path) -> None:
        self.server.stop()
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(source), str(target)], check=True)
        self.server.start()


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    async with a_server() as server:
        yield Kept(server, server.home.with_name("copy"))


@pytest.fixture
async def one(kept: Kept, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(kept.database, tmp_path / "home") as running:
        yield running


async def shown(at: Served, session: str) -> dict[str, Any]:
    """Return what the API says of a session."""
    answer = await at.control_plane.admin.get(f"{SESSIONS}/{session}")
    return answer.raise_for_status().json()


async def phase_of(at: Served, session: str) -> str:
    """Return the phase of a session."""
    return str((await shown(at, session))["phase"])


async def waits_for(at: Served, session: str, agent: str) -> bool:
    """Return whether a session waits until an agent has told what it has."""
    message = (await shown(at, session))["message"]
    return "put back to an earlier state" in message and agent in message


async def created(at: Served, *agents: ScriptedAgent) -> str:
    """Create a session that none of these takes yet; they are away then."""
    answer = None
    for agent in agents:
        async with agent.linked(at.ws):
            agent.describe(draining=True)

            async def draining(identity: UUID = agent.id) -> bool:
                told = await at.control_plane.admin.get(f"/api/v1/agents/{identity}")
                return bool(told.json()["capacity"].get("draining"))

            await eventually(draining, True)
            answer = await at.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    assert answer is not None
    return answer.raise_for_status().json()["id"]


async def set_back(at: Served, kept: Kept) -> None:
    """Put the database back under a control plane that has seen more of it, and goes on."""
    await at.control_plane.database.look()
    await kept.restore()

    async def answers() -> bool:
        """Whether none of its connections is of before."""
        trouble = at.control_plane.database.trouble
        return not any(await asyncio.gather(*(trouble() for _ in range(20))))

    await eventually(answers, True)


async def long_ago(database: TestDatabase) -> None:
    """Have the replicas that a backup knows be of a day ago."""
    opened = Database(lambda: database.conninfo)
    async with opened.unit() as unit:
        await unit.connection.execute(
            text("UPDATE replicas SET seen_at = seen_at - '1 day'::interval")
        )
    await opened.close()


async def scraped(at: Served) -> Scrape:
    """Return what a control plane tells whoever watches it."""
    collector = Collector(at.control_plane.app)
    try:
        return await collector.scrape()
    finally:
        await collector.close()


async def times_noticed(at: Served) -> float:
    """Return how often this process found its database set back."""
    return (await scraped(at)).value("porthole_database_set_back_total")


async def unheard(at: Served) -> int:
    """Return how many agents may have been told more than the database knows."""
    async with at.control_plane.database.reading() as unit:
        found = await unit.connection.scalar(text("SELECT count(unheard_since) FROM agents"))
    assert found is not None
    return int(found)


def orders(agent: ScriptedAgent, session: str) -> list[int]:
    """Return the orders for a session that an agent was given."""
    return [
        command.body.order
        for command in agent.commands
        if isinstance(command.body, ApplySession) and str(command.body.session) == session
    ]


def inventory(
    agent: ScriptedAgent,
    *sessions: SessionObserved,
    ended: tuple[SessionEnded, ...] = (),
) -> InventoryPart:
    """All that an agent has, and what it remembers."""
    return InventoryPart(
        snapshot=uuid4(), index=0, last=True, place=agent.place, sessions=sessions, ended=ended
    )


def end_of(session: str, order: int) -> SessionEnded:
    """What an agent remembers of a session that it has ended."""
    return SessionEnded(
        session=UUID(session), order=order, reason="Requested", at=datetime.now(UTC)
    )


async def test_what_one_agent_has_ended_another_does_not_begin(one: Served, kept: Kept) -> None:
    first = await ScriptedAgent.enrol(one.control_plane, "first")
    second = await ScriptedAgent.enrol(one.control_plane, "second")
    session = await created(one, first, second)
    await kept.back_up()
    async with AsyncExitStack() as links:
        async with first.linked(one.ws):
            first.describe()
            await first.until(lambda: orders(first, session) == [1])
            await set_back(one, kept)
            await links.enter_async_context(second.linked(one.ws))
            second.describe()
            await eventually(lambda: waits_for(one, session, "'first'"), True)
            await first.until(lambda: first.goodbye is not None)
        assert first.goodbye is not None
        assert first.goodbye.code == "unheard"
        await links.enter_async_context(first.linked(one.ws))
        assert not first.resumed
        first.say(inventory(first, ended=(end_of(session, 2),)))
        await eventually(lambda: phase_of(one, session), "Terminated")
        assert orders(second, session) == []


async def test_a_session_that_nobody_was_given_goes_on_when_all_have_told(
    one: Served, kept: Kept
) -> None:
    first = await ScriptedAgent.enrol(one.control_plane, "first")
    second = await ScriptedAgent.enrol(one.control_plane, "second")
    session = await created(one, first, second)
    await kept.back_up()
    await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    await set_back(one, kept)
    async with first.linked(one.ws), second.linked(one.ws):
        first.say(inventory(first))
        first.describe()
        second.describe(draining=True)
        await asyncio.sleep(1)
        assert orders(first, session) == []
        second.say(inventory(second))
        await first.until(lambda: orders(first, session) == [1])


async def test_a_new_session_waits_for_nobody(one: Served, kept: Kept) -> None:
    first = await ScriptedAgent.enrol(one.control_plane, "first")
    await ScriptedAgent.enrol(one.control_plane, "silent")
    old = await created(one, first)
    await kept.back_up()
    await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    await set_back(one, kept)
    async with first.linked(one.ws):
        first.describe()
        await eventually(lambda: waits_for(one, old, "'silent'"), True)
        answer = await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
        new = answer.raise_for_status().json()["id"]
        await first.until(lambda: orders(first, new) == [1], within=10)
        assert orders(first, old) == []


async def test_a_database_that_only_ended_was_not_set_back(one: Served, kept: Kept) -> None:
    """What it loses in a crash was never safe on disk, and nobody was told of it."""
    first = await ScriptedAgent.enrol(one.control_plane, "first")
    await created(one, first)
    before = await times_noticed(one)
    with kept.server.admin() as admin:
        admin.execute("SELECT pg_logical_emit_message(false, 'unsafe', repeat('x', 1000000))")
        await one.control_plane.database.look()
        await kept.crash()
    await eventually(one.control_plane.database.trouble, None)
    await one.control_plane.database.look()
    assert await times_noticed(one) == before
    assert await unheard(one) == 0


async def test_that_it_was_set_back_is_told_to_who_watches(one: Served, kept: Kept) -> None:
    first = await ScriptedAgent.enrol(one.control_plane, "first")
    await ScriptedAgent.enrol(one.control_plane, "silent")
    await created(one, first)
    before = await times_noticed(one)
    await kept.back_up()
    await one.control_plane.admin.post(SESSIONS, json={"template": "desktop"})
    await set_back(one, kept)
    assert await times_noticed(one) == before + 1

    async def still_owed() -> float:
        return (await scraped(one)).value("porthole_agents_unheard")

    await eventually(still_owed, 2)
    async with first.linked(one.ws):
        first.say(inventory(first))
        await eventually(still_owed, 1)


async def test_who_begins_where_nobody_is_has_agents_tell_first(kept: Kept, tmp_path: Path) -> None:
    """Whoever could have noticed that a backup was put back is gone."""
    async with served(kept.database, tmp_path / "home") as before:
        first = await ScriptedAgent.enrol(before.control_plane, "first")
        second = await ScriptedAgent.enrol(before.control_plane, "second")
        session = await created(before, first, second)
        async with first.linked(before.ws):
            first.describe(draining=True)
            await kept.back_up()
    await kept.restore()
    await long_ago(kept.database)
    async with served(kept.database, tmp_path / "home") as after, second.linked(after.ws):
        second.describe()
        await asyncio.sleep(1)
        assert orders(second, session) == []
        assert await waits_for(after, session, "'first'")
        async with first.linked(after.ws):
            first.say(inventory(first, ended=(end_of(session, 2),)))
            await eventually(lambda: phase_of(after, session), "Terminated")
