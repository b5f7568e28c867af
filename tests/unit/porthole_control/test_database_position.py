"""That a database knows less than it did is seen by how far it has come."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from porthole_control.db.database import Database
from porthole_control.db.position import Position

NOW = Position(system=1, written=100)


def test_nothing_is_lacking_at_the_first_look() -> None:
    assert not NOW.lacks(None)


def test_a_database_that_goes_on_lacks_nothing() -> None:
    assert not NOW.lacks(NOW)
    assert not Position(system=1, written=101).lacks(NOW)


def test_a_database_that_has_written_less_was_set_back() -> None:
    assert Position(system=1, written=99).lacks(NOW)


def test_another_server_may_lack_anything() -> None:
    assert Position(system=2, written=1000).lacks(NOW)


_Ask = Callable[[str], Awaitable[Any]]


def telling(told: list[int]) -> Callable[..., _Ask]:
    """Return what makes a database that has written so much, and notes what it is told."""

    def at(written: int, *, once: asyncio.Event | None = None) -> _Ask:
        async def ask(statement: str) -> Any:
            if statement == "UPDATE":
                told.append(written)
                return None
            if once is not None:
                await once.wait()
            return datetime.now(UTC), 1, written

        return ask

    return at


async def test_two_that_look_at_once_notice_once() -> None:
    """The slower one's answer is older than what is looked at after the quicker one."""
    database, slow = Database(lambda: "", if_set_back="UPDATE"), asyncio.Event()
    at = telling(told := [])
    await database._look(at(500))
    waiting = asyncio.create_task(database._look(at(400, once=slow)))
    await asyncio.sleep(0)
    await database._look(at(400))
    await database._look(at(410))
    slow.set()
    await waiting
    assert told == [400]
    await database._look(at(405))
    assert told == [400, 405], "and it is still noticed again"


async def test_what_a_database_said_before_it_was_set_back_is_no_measure_for_it_after() -> None:
    database, slow = Database(lambda: "", if_set_back="UPDATE"), asyncio.Event()
    at = telling(told := [])
    await database._look(at(500))
    waiting = asyncio.create_task(database._look(at(510, once=slow)))
    await asyncio.sleep(0)
    await database._look(at(400))
    slow.set()
    await waiting
    await database._look(at(410))
    assert told == [400]
