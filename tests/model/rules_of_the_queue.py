"""What the SQL of the control plane does to an agent's commands, said in Python (pure).

Each function is one statement, or one transaction, of `commands.repository`,
`link.repository` and `sessions.reports`. The model runs these; `tests/integration` holds
them against the real Postgres on all small cases, so neither can change alone.
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from porthole_contract.link.reports import Outcome
from porthole_control.commands.rules import ENDS, OPEN, SUPERSEDABLE, CommandState

PENDING = CommandState.PENDING
SENT = CommandState.SENT
RECEIVED = CommandState.RECEIVED
SUPERSEDED = CommandState.SUPERSEDED
UNDER_WAY = frozenset({SENT, RECEIVED})


class Row(NamedTuple):
    """A command: a row of `agent_commands`. `later`: its next attempt has to wait."""

    id: int
    subject: int
    sequence: int
    order: int
    kind: str
    state: CommandState = PENDING
    epoch: int | None = None
    attempts: int = 0
    later: bool = False


Rows = tuple[Row, ...]
"""In the order of their ids, which is the order in which they were made."""


def _each(rows: Rows, which: Callable[[Row], bool], **changes: object) -> Rows:
    return tuple(row._replace(**changes) if which(row) else row for row in rows)


def enqueue(rows: Rows, subject: int, kind: str, order: int) -> Rows:
    """Put a command at the end of its subject's line, in the place of what was not sent yet."""
    line = [row.sequence for row in rows if row.subject == subject]
    if kind in SUPERSEDABLE:
        rows = _each(
            rows,
            lambda row: (
                row.subject == subject and row.state == PENDING and row.kind in SUPERSEDABLE
            ),
            state=SUPERSEDED,
        )
    return (*rows, Row(len(rows), subject, max(line, default=0) + 1, order, kind))


def is_busy(rows: Rows, row: Row) -> bool:
    """Return whether something of the same subject is still before a command."""
    return any(
        one.subject == row.subject and one.sequence < row.sequence and one.state in OPEN
        for one in rows
    )


def claim(rows: Rows, *, newest: int, epoch: int, credit: int) -> tuple[Rows, tuple[Row, ...]]:
    """Take commands whose turn it is, for the link of `epoch`, if that is the newest one."""
    if epoch != newest:
        return rows, ()
    turn = [row for row in rows if row.state == PENDING and not row.later]
    turn = [row for row in turn if not is_busy(rows, row)][:credit]
    taken = {row.id for row in turn}
    claimed = {
        row.id: row._replace(state=SENT, epoch=epoch, attempts=row.attempts + 1)
        for row in rows
        if row.id in taken
    }
    return tuple(claimed.get(row.id, row) for row in rows), tuple(claimed.values())


def received(rows: Rows, ids: Collection[int], epoch: int) -> Rows:
    """Note that the agent has these; only what was sent on the link of that epoch."""
    return _each(
        rows,
        lambda row: row.id in ids and row.state == SENT and row.epoch == epoch,
        state=RECEIVED,
    )


def finish(rows: Rows, results: Iterable[tuple[int, CommandState]]) -> tuple[Rows, Rows]:
    """Note how commands ended; return all, and those that ended just now."""
    told = dict(results)
    ended = tuple(
        row._replace(state=told[row.id]) for row in rows if row.id in told and row.state in OPEN
    )
    new = {row.id: row for row in ended}
    return tuple(new.get(row.id, row) for row in rows), ended


def must_be_done(rows: Rows, ids: Collection[int]) -> set[int]:
    """Return which of these are tried until they are done."""
    return {row.id for row in rows if row.id in ids and row.kind in ENDS and row.state in OPEN}


def requeue(rows: Rows, ids: Collection[int]) -> Rows:
    """Have commands sent again after a while; those that wait already are let be."""
    return _each(
        rows, lambda row: row.id in ids and row.state in UNDER_WAY, state=PENDING, later=True
    )


def go_on(rows: Rows, *, before: int, epoch: int, under_way: Collection[int]) -> Rows:
    """Have what was said on a link count for the next one, which resumes its conversation."""
    return _each(
        rows,
        lambda row: row.epoch == before and row.state in UNDER_WAY and row.id in under_way,
        epoch=epoch,
    )


def resend(rows: Rows, epoch: int) -> Rows:
    """Have everything sent again that went out on older links, but what has been overtaken."""
    rows = _each(
        rows,
        lambda row: row.state in UNDER_WAY and row.epoch is not None and row.epoch < epoch,
        state=PENDING,
        later=False,
    )
    return tuple(
        row._replace(state=SUPERSEDED) if row.state == PENDING and _overtaken(rows, row) else row
        for row in rows
    )


def _overtaken(rows: Rows, row: Row) -> bool:
    return row.kind in SUPERSEDABLE and any(
        one.subject == row.subject
        and one.sequence > row.sequence
        and one.kind in SUPERSEDABLE
        and one.state in OPEN
        for one in rows
    )


def send_forgotten(rows: Rows, *, epoch: int, under_way: Collection[int]) -> Rows:
    """Have sent again what counts as sent on this link and never was."""
    return _each(
        rows,
        lambda row: row.epoch == epoch and row.state in UNDER_WAY and row.id not in under_way,
        state=PENDING,
        later=False,
    )


def withdraw(rows: Rows, subject: int) -> Rows:
    """Take back what was not sent yet of a subject that is no more."""
    return _each(
        rows, lambda row: row.subject == subject and row.state == PENDING, state=SUPERSEDED
    )


def was_sent(rows: Rows, subject: int) -> bool:
    """Return whether anything about a subject was ever sent."""
    return any(row.subject == subject and row.attempts > 0 for row in rows)


def results_told(rows: Rows, told: dict[int, Outcome]) -> tuple[Rows, Rows]:
    """Note results as `sessions.reports.command_results` does; return all, and what ended."""
    failed = [identity for identity, outcome in told.items() if outcome is Outcome.FAILED]
    again = must_be_done(rows, failed)
    rows = requeue(rows, again)
    return finish(
        rows,
        [
            (identity, CommandState(outcome))
            for identity, outcome in told.items()
            if identity not in again
        ],
    )
