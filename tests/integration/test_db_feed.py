"""The feed behind live lists: in the order of commits, nothing skipped, nothing twice."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from porthole_control.db.database import Database
from porthole_control.db.doorbell import Doorbell
from porthole_control.events import repository, service
from porthole_control.events.live import Live, News
from porthole_control.events.repository import Position
from tests.support.postgres import TestDatabase


async def tell(database: Database, *subjects: str, owner: str | None = None) -> None:
    async with database.unit() as unit:
        service.changed(unit, "session", *subjects, owner=owner)


async def test_who_commits_late_is_not_skipped(database: Database):
    async with database.reading() as unit:
        begin = await repository.newest_position(unit.connection)
    async with database.unit() as slow:
        changes = [("session", "slow", None)]
        await repository.add_to_feed(slow.connection, changes, slow.now)
        await tell(database, "quick")
        async with database.reading() as unit:
            entries, withheld = await repository.read_feed(unit.connection, begin, limit=10)
        assert (entries, withheld) == ([], True), "the slow one may yet write in front"
    async with database.reading() as unit:
        entries, withheld = await repository.read_feed(unit.connection, begin, limit=10)
    assert ([entry.subject for entry in entries], withheld) == (["slow", "quick"], False)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_interleaving_is_read_once_and_whole(test_database: TestDatabase, writers, random):
    """Transactions write and commit in any order while a reader goes on and on."""

    async def play() -> None:
        database = Database(lambda: test_database.conninfo)
        connections = []
        try:
            async with database.reading() as unit:
                position = await repository.newest_position(unit.connection)
            read: list[str] = []
            written: list[str] = []

            async def look() -> None:
                nonlocal position
                async with database.reading() as unit:
                    entries, _ = await repository.read_feed(unit.connection, position, limit=2)
                    read.extend(entry.subject for entry in entries)
                    if entries:
                        position = entries[-1].position

            steps = []
            for number, writes in enumerate(writers):
                connection = await database.engine.connect()
                connections.append(connection)
                steps += [(connection, f"{number}.{i}") for i, _ in enumerate(writes)]
            random.shuffle(steps)
            left = {id(c): sum(1 for s in steps if s[0] is c) for c in connections}
            async with database.reading() as unit:
                now = unit.now
            for connection, name in steps:
                await repository.add_to_feed(connection, [("session", name, None)], now)
                written.append(name)
                left[id(connection)] -= 1
                if not left[id(connection)]:
                    await connection.commit()
                await look()
            # Other databases of this server may withhold it for a moment.
            async with asyncio.timeout(30):
                while len(read) < len(written):
                    await look()
            await look()
            assert sorted(read) == sorted(written)
        finally:
            for connection in connections:
                await connection.close()
            await database.close()

    asyncio.run(play())


async def test_positions_of_another_life_and_of_long_ago_are_not_resumed(database: Database):
    async with database.reading() as unit:
        connection = unit.connection
        here = await repository.newest_position(connection)
        assert await repository.is_readable_from(connection, here)
        assert not await repository.is_readable_from(connection, Position(here.xid + 1000, 0))
    await tell(database, "old")
    async with database.reading() as unit:
        before = await repository.newest_position(unit.connection)
    await tell(database, "new")
    async with database.unit() as unit:
        await repository.prune_feed(unit.connection, before=unit.now + timedelta(hours=1))
    async with database.reading() as unit:
        assert not await repository.is_readable_from(unit.connection, Position(here.xid, 0))
        assert not await repository.is_readable_from(unit.connection, Position(before.xid, 0))
        entries, _ = await repository.read_feed(unit.connection, before, limit=10)
    assert [entry.subject for entry in entries] == ["new"]


@pytest.mark.parametrize("text", ["", "1", "-", "1-x", "x-1", "1-1-1", "9" * 30 + "-1", "-1-1"])
def test_what_is_no_position_is_told_apart(text: str):
    assert Position.parse(text) is None
    assert Position.parse("12-34") == Position(12, 34)


async def listen(live: Live, owner: str, after: Position | None, news: list[News]) -> None:
    async with aclosing(live.listen(owner, after, patience=0.2)) as told:
        async for item in told:
            if isinstance(item, Sequence) and not isinstance(item, Position):
                news += item


async def test_many_listeners_hear_what_is_theirs(test_database: TestDatabase):
    async def render(_unit, subjects):
        return {
            subject: {"id": subject, "owner": owner}
            for subject, owner in (("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("all", None))
            if subject in subjects
        }

    async with Doorbell(lambda: test_database.conninfo) as doorbell:
        database = Database(lambda: test_database.conninfo, doorbell=doorbell)
        live = Live(database, {"session": render})
        tasks = [asyncio.create_task(live.run(doorbell))]
        heard: dict[str, list[News]] = {"ann": [], "bob": []}
        try:
            for owner, news in heard.items():
                tasks.append(asyncio.create_task(listen(live, owner, None, news)))
            await asyncio.sleep(0.3)
            await tell(database, "a1", "a2", "gone", owner="ann")
            await tell(database, "b1", owner="bob")
            await tell(database, "all")
            async with asyncio.timeout(10):
                while len(heard["ann"]) < 4 or len(heard["bob"]) < 2:
                    await asyncio.sleep(0.02)
            assert [news.subject for news in heard["ann"]] == ["a1", "a2", "gone", "all"]
            assert [news.data for news in heard["ann"]][1:3] == ['{"id":"a2","owner":"ann"}', None]
            assert [news.subject for news in heard["bob"]] == ["b1", "all"]
            # One who resumes hears what came since, then goes on with the others.
            late: list[News] = []
            tasks.append(asyncio.create_task(listen(live, "ann", heard["ann"][1].position, late)))
            async with asyncio.timeout(10):
                while len(late) < 2:
                    await asyncio.sleep(0.02)
            await tell(database, "after", owner="ann")
            async with asyncio.timeout(10):
                while len(late) < 3:
                    await asyncio.sleep(0.02)
            assert [news.subject for news in late] == ["gone", "all", "after"]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await database.close()
