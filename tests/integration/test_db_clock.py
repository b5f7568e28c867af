"""Replicas have one time, whatever clocks their machines have."""

from datetime import UTC, datetime, timedelta, tzinfo
from uuid import uuid4

import pytest
from sqlalchemy import text

from porthole_control.commands import repository
from porthole_control.db import clock
from porthole_control.db.database import Database
from tests.support.postgres import TestDatabase


class AnHourAhead(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(hours=1)


@pytest.fixture
async def wrong(test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch):
    """A replica whose machine's clock is an hour ahead."""
    monkeypatch.setattr(clock, "datetime", AnHourAhead)
    opened = Database(lambda: test_database.conninfo)
    yield opened
    await opened.close()


async def test_a_unit_has_the_databases_time(wrong: Database) -> None:
    async with wrong.unit() as unit:
        there = await unit.connection.scalar(text("SELECT clock_timestamp()"))
        assert abs(there - unit.now) < timedelta(seconds=2)


async def test_a_command_of_a_replica_that_is_ahead_is_claimed_by_another(
    wrong: Database, database: Database
) -> None:
    agent, subject = uuid4(), uuid4()
    async with wrong.unit() as unit:
        await unit.connection.execute(
            text("INSERT INTO users (id, name) VALUES (:id, 'admin')"), {"id": agent}
        )
        await unit.connection.execute(
            text(
                "INSERT INTO agents (id, name, public_key, enrolled_by, epoch)"
                " VALUES (:id, 'one', :key, :id, 1)"
            ),
            {"id": agent, "key": agent.bytes * 2},
        )
        command = repository.New(
            agent=agent,
            owner="admin",
            subject_kind="session",
            subject_id=subject,
            kind="ApplySession",
            payload={"order": 1},
            order=1,
        )
        (made,) = await repository.enqueue(unit.connection, command, now=unit.now)
    async with database.unit() as unit:
        claimed = await repository.claim(
            unit.connection, agent=agent, epoch=1, credit=10, now=unit.now
        )
    assert [one.id for one in claimed] == [made]


async def test_the_clock_is_looked_at_again(database: Database) -> None:
    database._clock.told(datetime(2000, 1, 1, tzinfo=UTC), asked=0.0, answered=0.0)
    await database.look()
    async with database.unit() as unit:
        assert abs(unit.now - datetime.now(UTC)) < timedelta(seconds=60)
