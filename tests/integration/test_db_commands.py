"""The queue: in order per subject, side by side otherwise, nothing lost, nothing twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from porthole_control.commands import repository
from porthole_control.commands.repository import Claimed, Finished
from porthole_control.commands.rules import CommandState
from porthole_control.db.database import Database


@pytest.fixture
async def agent(database: Database) -> UUID:
    identity = uuid4()
    async with database.unit() as unit:
        await unit.connection.execute(
            text("INSERT INTO users (id, name) VALUES (:id, 'admin')"), {"id": identity}
        )
        await unit.connection.execute(
            text(
                "INSERT INTO agents (id, name, public_key, enrolled_by, epoch)"
                " VALUES (:id, 'one', :key, :id, 1)"
            ),
            {"id": identity, "key": identity.bytes * 2},
        )
    return identity


async def enqueue(
    database: Database, agent: UUID, subject: UUID, order: int, kind: str = "ApplySession"
) -> UUID:
    async with database.unit() as unit:
        command = repository.New(
            agent=agent,
            owner="admin",
            subject_kind="session",
            subject_id=subject,
            kind=kind,
            payload={"order": order},
            order=order,
        )
        (made,) = await repository.enqueue(unit.connection, command, now=unit.now)
        return made


async def claim(
    database: Database, agent: UUID, *, credit: int = 100, epoch: int = 1
) -> Sequence[Claimed]:
    async with database.unit() as unit:
        return await repository.claim(
            unit.connection, agent=agent, epoch=epoch, credit=credit, now=unit.now
        )


async def finish(database: Database, agent: UUID, *claimed: Claimed) -> Sequence[Finished]:
    async with database.unit() as unit:
        return await repository.finish(
            unit.connection,
            agent=agent,
            results=[(one.id, CommandState.SUCCEEDED, "") for one in claimed],
            now=unit.now,
        )


async def states(database: Database) -> list[str]:
    async with database.reading() as unit:
        rows = await unit.connection.execute(
            text("SELECT state FROM agent_commands ORDER BY subject_id, sequence")
        )
        return [row[0] for row in rows]


async def test_one_subject_goes_in_order_many_go_side_by_side(database: Database, agent: UUID):
    first, second = uuid4(), uuid4()
    await enqueue(database, agent, first, 1)
    (one,) = await claim(database, agent)
    await enqueue(database, agent, first, 2)
    await enqueue(database, agent, second, 1)
    assert [c.subject_id for c in await claim(database, agent)] == [second]
    await finish(database, agent, one)
    assert [c.order_no for c in await claim(database, agent)] == [2]


async def test_it_is_told_whether_something_waits_behind_what_was_done(
    database: Database, agent: UUID
):
    first, second = uuid4(), uuid4()
    for subject in (first, second):
        await enqueue(database, agent, subject, 1)
    claimed = await claim(database, agent)
    await enqueue(database, agent, first, 2)
    done = {one.subject_id: one for one in await finish(database, agent, *claimed)}
    assert done[first].others_wait
    assert not done[second].others_wait


async def test_a_newer_wish_takes_the_place_of_one_not_sent(database: Database, agent: UUID):
    subject = uuid4()
    for order in (1, 2):
        await enqueue(database, agent, subject, order)
    await enqueue(database, agent, subject, 3, "DeleteSession")
    (claimed,) = await claim(database, agent)
    assert (claimed.kind, claimed.order_no) == ("DeleteSession", 3)
    assert await states(database) == ["superseded", "superseded", "sent"]


async def test_credit_bounds_what_is_under_way(database: Database, agent: UUID):
    for _ in range(5):
        await enqueue(database, agent, uuid4(), 1)
    assert len(await claim(database, agent, credit=3)) == 3
    assert len(await claim(database, agent, credit=3)) == 2


async def test_nothing_is_claimed_for_a_link_that_was_replaced(database: Database, agent: UUID):
    await enqueue(database, agent, uuid4(), 1)
    assert await claim(database, agent, epoch=2) == []
    assert await claim(database, agent, epoch=0) == []


async def test_claiming_at_once_gives_each_command_to_one(database: Database, agent: UUID):
    for _ in range(60):
        await enqueue(database, agent, uuid4(), 1)
    batches = await asyncio.gather(*(claim(database, agent, credit=20) for _ in range(6)))
    taken = [one.id for batch in batches for one in batch]
    rest = [one.id for one in await claim(database, agent)]
    assert len(taken + rest) == len({*taken, *rest}) == 60


async def test_a_new_link_sends_again_what_was_not_done(database: Database, agent: UUID):
    done, lost, overtaken = uuid4(), uuid4(), uuid4()
    for subject in (done, lost, overtaken):
        await enqueue(database, agent, subject, 1)
    claimed = {one.subject_id: one for one in await claim(database, agent)}
    await finish(database, agent, claimed[done])
    await enqueue(database, agent, overtaken, 2)
    async with database.unit() as unit:
        await unit.connection.execute(text("UPDATE agents SET epoch = 2"))
        await repository.resend(unit.connection, agent=agent, epoch=2, now=unit.now)
    again = await claim(database, agent, epoch=2)
    assert {(c.subject_id, c.order_no) for c in again} == {(lost, 1), (overtaken, 2)}
    assert {c.attempts for c in again} == {1, 2}


async def test_a_result_counts_from_whatever_link_it_comes(database: Database, agent: UUID):
    await enqueue(database, agent, uuid4(), 1)
    (claimed,) = await claim(database, agent)
    async with database.unit() as unit:
        await repository.resend(unit.connection, agent=agent, epoch=2, now=unit.now)
    await finish(database, agent, claimed)
    assert await states(database) == ["succeeded"]
    async with database.unit() as unit:
        changed = await repository.finish(
            unit.connection,
            agent=agent,
            results=[(claimed.id, CommandState.FAILED, "late")],
            now=unit.now,
        )
    assert changed == []


async def test_another_agents_command_cannot_be_finished(database: Database, agent: UUID):
    await enqueue(database, agent, uuid4(), 1)
    (claimed,) = await claim(database, agent)
    await finish(database, uuid4(), claimed)
    assert await states(database) == ["sent"]


async def test_requeued_commands_wait_for_their_time(database: Database, agent: UUID):
    await enqueue(database, agent, uuid4(), 1)
    (claimed,) = await claim(database, agent)
    async with database.unit() as unit:
        later = unit.now + timedelta(hours=1)
        again = [(claimed.id, later, "busy")]
        await repository.requeue(unit.connection, agent=agent, again=again)
    assert await claim(database, agent) == []
    async with database.unit() as unit:
        row = await repository.command(unit.connection, claimed.id, owner=None)
        assert row is not None
        assert (row.state, row.last_error) == ("pending", "busy")


async def test_many_at_once_each_take_the_end_of_their_line(database: Database, agent: UUID):
    subjects = [uuid4() for _ in range(3)]
    await enqueue(database, agent, subjects[0], 1)
    many = [
        repository.New(
            agent=agent,
            owner="admin",
            subject_kind="session",
            subject_id=subject,
            kind="DeleteSession",
            payload={"text": "ä'\"\\", "order": 2},
            order=2,
        )
        for subject in subjects
    ]
    async with database.unit() as unit:
        made = await repository.enqueue(unit.connection, *many, now=unit.now)
    claimed = {one.id: one for one in await claim(database, agent)}
    assert [claimed[one].subject_id for one in made] == subjects
    assert [claimed[one].sequence for one in made] == [2, 1, 1]
    assert claimed[made[0]].payload == many[0].payload
    assert sorted(await states(database)) == ["sent", "sent", "sent", "superseded"]


async def test_deadlines_run_only_while_the_agent_is_linked(database: Database, agent: UUID):
    async with database.unit() as unit:
        command = repository.New(
            agent=agent,
            owner=None,
            subject_kind="session",
            subject_id=uuid4(),
            kind="Checkpoint",
            payload={},
            deadline=unit.now - timedelta(seconds=1),
        )
        await repository.enqueue(unit.connection, command, now=unit.now)
        assert await repository.expire(unit.connection, unit.now) == []
        await unit.connection.execute(
            text("UPDATE agents SET linked_replica = :id"), {"id": uuid4()}
        )
        assert len(await repository.expire(unit.connection, unit.now)) == 1


async def test_old_commands_are_forgotten_but_for_the_last_of_each(database: Database, agent: UUID):
    subject = uuid4()
    for order in (1, 2, 3):
        await enqueue(database, agent, subject, order)
        await finish(database, agent, *await claim(database, agent))
    async with database.unit() as unit:
        await repository.prune(unit.connection, before=unit.now + timedelta(days=1))
    await enqueue(database, agent, subject, 4)
    assert await states(database) == ["succeeded", "pending"]
