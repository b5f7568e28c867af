"""What the model says of the queue is what the SQL does: on a real Postgres, in all small cases.

A case is a short queue of one agent, of its own: each line of up to two commands of any state,
link and kind, and each of three of the same kind, which also shows two subjects side by side.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from porthole_control.commands import repository
from porthole_control.commands.rules import CommandState
from porthole_control.db.database import Database, Unit
from porthole_control.db.ids import new_id
from porthole_control.link import repository as links
from tests.model import rules_of_the_queue as queue
from tests.model.rules_of_the_queue import Row, Rows

NEWEST = 2
STATES: tuple[dict[str, Any], ...] = (
    {"state": CommandState.PENDING},
    {"state": CommandState.PENDING, "epoch": 1, "attempts": 1},
    {"state": CommandState.PENDING, "epoch": 1, "attempts": 1, "later": True},
    {"state": CommandState.SENT, "epoch": 1, "attempts": 1},
    {"state": CommandState.SENT, "epoch": 2, "attempts": 1},
    {"state": CommandState.RECEIVED, "epoch": 2, "attempts": 2},
    {"state": CommandState.SUCCEEDED, "epoch": 1, "attempts": 1},
)
KINDS = ("ApplySession", "DeleteSession", "Checkpoint")


def queues() -> list[Rows]:
    """Return all cases."""
    each = list(product(STATES, KINDS))
    pairs = [
        tuple(
            Row(number, 1, number + 1, number + 1, kind, **state)
            for number, (state, kind) in enumerate(pair)
        )
        for length in (0, 1, 2)
        for pair in product(each, repeat=length)
    ]
    threes = [
        tuple(
            Row(number, subject, sequence, number + 1, "ApplySession", **state)
            for number, (state, subject, sequence) in enumerate(
                zip(states, (1, 2, 1), (1, 1, 2), strict=True)
            )
        )
        for states in product(STATES, repeat=3)
    ]
    return [*pairs, *threes]


@dataclass
class Case:
    """A queue in the database; `ids` are those of its rows, in order."""

    rows: Rows
    agent: UUID
    ids: list[UUID]
    subjects: dict[int, UUID]

    def some(self, which: Iterable[int]) -> list[UUID]:
        """Return ids by number."""
        return [self.ids[one] for one in which if one < len(self.ids)]

    def numbers(self, ids: Iterable[UUID]) -> list[int]:
        """Return numbers by id."""
        return sorted(self.ids.index(one) for one in ids)


Pure = Callable[[Rows], tuple[Rows, Any]]
Real = Callable[[Unit, Case], Awaitable[Any]]


def enqueue(kind: str) -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> None:
        new = repository.New(
            agent=case.agent,
            owner=None,
            subject_kind="session",
            subject_id=case.subjects[1],
            kind=kind,
            payload={},
            order=9,
        )
        case.ids += await repository.enqueue(unit.connection, new, now=unit.now)

    return lambda rows: (queue.enqueue(rows, 1, kind, 9), None), real


def claim(epoch: int, credit: int) -> tuple[Pure, Real]:
    def pure(rows: Rows) -> tuple[Rows, Any]:
        rows, claimed = queue.claim(rows, newest=NEWEST, epoch=epoch, credit=credit)
        return rows, [row.id for row in claimed]

    async def real(unit: Unit, case: Case) -> Any:
        claimed = await repository.claim(
            unit.connection, agent=case.agent, epoch=epoch, credit=credit, now=unit.now
        )
        return case.numbers(one.id for one in claimed)

    return pure, real


def received(epoch: int) -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> None:
        await repository.mark_received(unit.connection, case.some((0, 1)), epoch)

    return lambda rows: (queue.received(rows, (0, 1), epoch), None), real


def finish(state: CommandState) -> tuple[Pure, Real]:
    def pure(rows: Rows) -> tuple[Rows, Any]:
        rows, ended = queue.finish(rows, [(0, state), (1, state)])
        return rows, [row.id for row in ended]

    async def real(unit: Unit, case: Case) -> Any:
        results = [(one, state, "") for one in case.some((0, 1))]
        ended = await repository.finish(
            unit.connection, agent=case.agent, results=results, now=unit.now
        )
        return case.numbers(one.id for one in ended)

    return pure, real


def again() -> tuple[Pure, Real]:
    """What failed and must be done is sent again after a while."""

    def pure(rows: Rows) -> tuple[Rows, Any]:
        kept = queue.must_be_done(rows, (0, 1))
        return queue.requeue(rows, kept), sorted(kept)

    async def real(unit: Unit, case: Case) -> Any:
        kept = await repository.must_be_done(unit.connection, case.agent, case.some((0, 1)))
        later = [(one.id, unit.now + timedelta(hours=1), "busy") for one in kept]
        await repository.requeue(unit.connection, agent=case.agent, again=later)
        return case.numbers(one.id for one in kept)

    return pure, real


def go_on() -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> None:
        under_way = case.some((1,))
        await links.go_on(unit.connection, case.agent, before=1, epoch=3, under_way=under_way)

    return lambda rows: (queue.go_on(rows, before=1, epoch=3, under_way=(1,)), None), real


def resend(epoch: int) -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> None:
        await repository.resend(unit.connection, agent=case.agent, epoch=epoch, now=unit.now)

    return lambda rows: (queue.resend(rows, epoch), None), real


def forgotten() -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> None:
        await links.send_forgotten(
            unit.connection, case.agent, epoch=2, under_way=case.some((0,)), now=unit.now
        )

    return lambda rows: (queue.send_forgotten(rows, epoch=2, under_way=(0,)), None), real


def withdraw() -> tuple[Pure, Real]:
    async def real(unit: Unit, case: Case) -> Any:
        subject = case.subjects[1]
        sent = await repository.was_sent(unit.connection, "session", subject)
        await repository.withdraw(
            unit.connection, subject_kind="session", subject_id=subject, now=unit.now
        )
        return sent

    return lambda rows: (queue.withdraw(rows, 1), queue.was_sent(rows, 1)), real


OPERATIONS: dict[str, tuple[Pure, Real]] = {
    "enqueue what supersedes": enqueue("DeleteSession"),
    "enqueue what does not": enqueue("Checkpoint"),
    "claim": claim(NEWEST, credit=8),
    "claim on an old link": claim(1, credit=8),
    "received": received(2),
    "received on an old link": received(1),
    "succeeded": finish(CommandState.SUCCEEDED),
    "failed and sent again": again(),
    "go on": go_on(),
    "resend": resend(3),
    "forgotten": forgotten(),
    "withdraw": withdraw(),
}


async def stored(unit: Unit, queues: Sequence[Rows]) -> list[Case]:
    """Write all cases into the database."""
    admin = uuid4()
    await unit.connection.execute(
        text("INSERT INTO users (id, name) VALUES (:id, 'admin')"), {"id": admin}
    )
    cases = [
        Case(rows, uuid4(), [new_id() for _ in rows], {1: uuid4(), 2: uuid4()}) for rows in queues
    ]
    await unit.connection.execute(
        text(
            "INSERT INTO agents (id, name, public_key, enrolled_by, epoch)"
            f" VALUES (:id, :name, :key, :admin, {NEWEST})"
        ),
        [
            {"id": case.agent, "name": str(number), "key": case.agent.bytes * 2, "admin": admin}
            for number, case in enumerate(cases)
        ],
    )
    await unit.connection.execute(
        text(
            "INSERT INTO agent_commands (id, agent_id, subject_kind, subject_id, sequence,"
            " order_no, kind, payload, idempotency_key, state, attempts, epoch, next_attempt_at)"
            " VALUES (:id, :agent, 'session', :subject, :sequence, :order, :kind, '{}', :key,"
            " :state, :attempts, :epoch, :at)"
        ),
        [
            {
                "id": identity,
                "agent": case.agent,
                "subject": case.subjects[row.subject],
                "sequence": row.sequence,
                "order": row.order,
                "kind": row.kind,
                "key": str(identity),
                "state": str(row.state),
                "attempts": row.attempts,
                "epoch": row.epoch,
                "at": unit.now + timedelta(hours=1 if row.later else -1),
            }
            for case in cases
            for identity, row in zip(case.ids, case.rows, strict=True)
        ],
    )
    return cases


async def read(unit: Unit, cases: Sequence[Case]) -> dict[UUID, Rows]:
    """Return what is in the database, by agent."""
    found: dict[UUID, dict[int, Row]] = {case.agent: {} for case in cases}
    of = {case.agent: case for case in cases}
    rows = await unit.connection.execute(
        text(
            "SELECT agent_id, id, subject_id, sequence, order_no, kind, state, epoch, attempts,"
            " next_attempt_at > :now AS later FROM agent_commands"
        ),
        {"now": unit.now},
    )
    for row in rows:
        case = of[row.agent_id]
        number = case.ids.index(row.id)
        subject = next(one for one, is_it in case.subjects.items() if is_it == row.subject_id)
        found[row.agent_id][number] = Row(
            number,
            subject,
            row.sequence,
            row.order_no,
            row.kind,
            CommandState(row.state),
            row.epoch,
            row.attempts,
            row.later,
        )
    return {agent: tuple(row for _, row in sorted(rows.items())) for agent, rows in found.items()}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_the_sql_does_what_the_model_says(database: Database, operation: str) -> None:
    pure, real = OPERATIONS[operation]
    expected: dict[UUID, Rows] = {}
    async with database.unit() as unit:
        cases = await stored(unit, queues())
    async with database.unit() as unit:
        for case in cases:
            expected[case.agent], answer = pure(case.rows)
            assert await real(unit, case) == answer, case.rows
    async with database.unit() as unit:
        found = await read(unit, cases)
    for case in cases:
        assert found[case.agent] == expected[case.agent], case.rows
