"""How the rest of the program tells what happened."""

from uuid import UUID

from porthole_control.db.database import Unit
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
