"""How the rest of the program tells what happened."""

from uuid import UUID

from porthole_control.background import keep_going
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell
from porthole_control.events import repository


async def _write_lines(unit: Unit, lines: list[repository.Line]) -> None:
    await repository.add_lines(unit.connection, lines)


async def _write_feed(unit: Unit, changes: list[tuple[str, str, str | None]]) -> None:
    # Of several changes of one thing, live lists tell the last anyway.
    await repository.add_to_feed(unit.connection, list(dict.fromkeys(changes)), unit.now)


def happened(
    unit: Unit,
    *,
    session: UUID,
    owner: str,
    kind: str,
    message: str,
    phase: str | None = None,
    reason: str = "",
) -> None:
    """Write a line of a session's story: a word for programs, a sentence for people."""
    row = repository.Line(session, owner, unit.now, kind, phase, reason, message)
    unit.write_at_end(_write_lines, row)


async def remark(database: Database, *remarks: repository.Remark) -> None:
    """Write lines of sessions' stories, by themselves.

    Whoever holds rows of the queue must not wait for those of sessions, whose holders wait for
    the queue; so this is a transaction of its own.
    """
    if not remarks:
        return

    async def write() -> None:
        async with database.statement() as unit:
            await repository.add_remarks(unit.connection, remarks, unit.now)

    await keep_going("story", write)


def changed(unit: Unit, kind: str, *subjects: object, owner: str | None) -> None:
    """Tell live lists that these are not as they were.

    Args:
        unit: the transaction that changes them.
        kind: `session`, `agent`, `template` or `home`.
        subjects: which ones, by id or name.
        owner: whose they are; None tells everybody.
    """
    if not subjects:
        return
    for subject in subjects:
        unit.write_at_end(_write_feed, (kind, str(subject), owner))
    unit.ring_after_commit(Bell.EVENTS)
