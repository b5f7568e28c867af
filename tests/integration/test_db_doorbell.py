"""The doorbell: heard by every process, merged, and back after its connection was lost."""

import asyncio
import os
import signal
import time
from uuid import uuid4

import psycopg

from porthole_control.db.doorbell import Bell, Doorbell
from tests.support.postgres import TestDatabase


async def test_a_ring_is_heard_in_every_process(test_database: TestDatabase):
    async with (
        Doorbell(lambda: test_database.conninfo) as one,
        Doorbell(lambda: test_database.conninfo) as other,
    ):
        async with asyncio.timeout(10):
            await other.listening.wait()
        with (
            one.hearing(Bell.COMMANDS) as near,
            other.hearing(Bell.COMMANDS) as far,
            other.hearing(Bell.STREAMS) as deaf,
        ):
            while await deaf.next(0.05):  # it rings once when it begins to listen
                pass
            one.ring(Bell.COMMANDS)
            assert await near.next(0.0), "its own process hears it at once"
            assert await far.next(5.0)
            assert not await deaf.next(0.05)


async def test_whom_a_ring_concerns_is_heard_in_its_own_process(test_database: TestDatabase):
    first, second = uuid4(), uuid4()
    async with (
        Doorbell(lambda: test_database.conninfo) as one,
        Doorbell(lambda: test_database.conninfo) as other,
    ):
        async with asyncio.timeout(10):
            await asyncio.gather(one.listening.wait(), other.listening.wait())
        with one.hearing(Bell.COMMANDS) as near, other.hearing(Bell.COMMANDS) as far:
            await near.next(0.05)
            one.ring(Bell.COMMANDS, [first])
            one.ring(Bell.COMMANDS, [second])
            assert await near.next(0.0)
            assert near.about == {first, second}
            assert await far.next(5.0)
            assert far.about is None, "elsewhere it may be anybody"
            one.ring(Bell.COMMANDS, [first])
            one.ring(Bell.COMMANDS)
            assert await near.next(0.0)
            assert near.about is None
            assert not await near.next(0.0)
            assert near.about is None, "who looks from time to time looks at everybody"


async def test_rings_are_merged(test_database: TestDatabase):
    async with Doorbell(lambda: test_database.conninfo) as bell:
        with bell.hearing(Bell.EVENTS, Bell.COMMANDS) as hearing:
            for _ in range(100):
                bell.ring(Bell.EVENTS)
                bell.ring(Bell.COMMANDS)
            heard = 0
            while await hearing.next(0.3):
                heard += 1
            assert 1 <= heard < 20


async def test_a_lost_listener_comes_back_and_tells_what_it_may_have_missed(
    test_database: TestDatabase,
):
    async with Doorbell(lambda: test_database.conninfo) as bell:
        async with asyncio.timeout(10):
            await bell.listening.wait()
        with bell.hearing(Bell.COMMANDS) as hearing:
            while await hearing.next(0.05):
                pass
            with test_database.server.admin() as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND application_name = 'porthole-doorbell'",
                    [test_database.name],
                )
            assert await hearing.next(10.0), "once it listens again, it looks again"
            assert bell.listening.is_set()


async def test_a_ring_during_an_outage_is_not_forgotten(test_database: TestDatabase):
    there = False

    def conninfo() -> str:
        return test_database.conninfo if there else "host=/nowhere dbname=none"

    async with (
        Doorbell(conninfo) as late,
        Doorbell(lambda: test_database.conninfo) as other,
    ):
        async with asyncio.timeout(10):
            await other.listening.wait()
        with other.hearing(Bell.WAITING) as hearing:
            while await hearing.next(0.05):
                pass
            late.ring(Bell.WAITING)
            assert not await hearing.next(0.3)
            there = True
            assert await hearing.next(10.0)


async def test_a_dead_connection_that_stays_open_is_replaced(
    test_database: TestDatabase, monkeypatch
):
    """Its server process is stopped, not ended: nothing but the missing echo tells."""
    monkeypatch.setattr("porthole_control.db.doorbell._PROVE_EVERY", 0.1)
    monkeypatch.setattr("porthole_control.db.doorbell._PROVE_WITHIN", 0.5)
    async with Doorbell(lambda: test_database.conninfo) as bell:
        async with asyncio.timeout(10):
            await bell.listening.wait()
        with psycopg.connect(test_database.conninfo) as looker:
            stopped = listener(looker)
            os.kill(stopped, signal.SIGSTOP)
            try:
                until = time.monotonic() + 15
                while listener(looker) in {stopped, None}:
                    assert time.monotonic() < until
                    await asyncio.sleep(0.05)
            finally:
                os.kill(stopped, signal.SIGCONT)


def listener(connection: "psycopg.Connection[tuple[object, ...]]") -> int | None:
    connection.rollback()
    row = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'porthole-doorbell' AND query ILIKE ANY"
        " (ARRAY['LISTEN%', 'NOTIFY \"porthole_proof%'])"
        " ORDER BY backend_start DESC LIMIT 1"
    ).fetchone()
    return None if row is None else int(str(row[0]))
