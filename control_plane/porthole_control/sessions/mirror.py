"""Sessions while reports about them are taken in: what is only mirrored is written at the end.

An agent tells much about few sessions, and much of it is one number that is not as it was. Each
report is judged by what the one before it made of its session; the row is written once for all
of them, together with the rows of the others. Whoever does anything else to a session has it
settled first.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self
from uuid import UUID

from porthole_contract.link.reports import SessionObserved
from porthole_control.db.database import Unit
from porthole_control.events import repository as stories
from porthole_control.sessions import repository
from porthole_control.sessions.repository import Session
from porthole_control.streams import on_port

_LINES: Final = 1000
"""Above so many lines that were told, they are written: an inventory can tell a million."""


class Mirror:
    """The sessions that one batch of reports is about, their rows locked.

    Args:
        unit: the transaction.
        known: those that there are, by id; None under an id: there is none.
    """

    def __init__(self, unit: Unit, known: Mapping[UUID, Session | None]) -> None:
        self._unit = unit
        self._known = dict(known)
        self._unwritten: dict[UUID, Session] = {}
        self._told: list[stories.Line] = []

    @classmethod
    async def of(cls, unit: Unit, identities: Iterable[UUID]) -> Self:
        """Lock these sessions, in one statement."""
        wanted = set(identities)
        locked = await repository.all_locked(unit.connection, wanted)
        return cls(unit, {identity: locked.get(identity) for identity in wanted})

    async def session(self, identity: UUID) -> Session | None:
        """Return a session as the reports until now have left it."""
        if identity not in self._known:
            self._known[identity] = await repository.locked(self._unit.connection, identity)
        return self._known[identity]

    async def change(self, session: Session, **values: Any) -> Session:
        """Change columns of a session; return it as it is now."""
        now = self._unit.now
        if values.keys() <= repository.MIRRORED:
            changed = repository.changed(session, now, **values)
            self._unwritten[session.id] = changed
        else:
            await self.write()
            changed = await repository.change(self._unit.connection, session, now, **values)
        self._known[session.id] = changed
        return changed

    async def tell(self, session: Session, seen: SessionObserved) -> None:
        """Add what a session's runtime told of it to its story, once however often it is told.

        And take in who came in on its port.
        """
        if session.exposed is not None or seen.streams:
            await on_port.told(self._unit, session, seen.streams)
        for event in seen.events:
            line = stories.Line(
                session=session.id,
                owner=session.owner,
                # A clock that goes wrong must not write into our future.
                at=min(event.at, self._unit.now),
                kind=stories.TOLD,
                phase=str(seen.status.phase),
                reason=event.reason,
                message=event.message or event.reason,
                told_at=event.at,
            )
            self._told.append(line)
        if len(self._told) > _LINES:
            await self.write()

    async def settle(self, identity: UUID) -> None:
        """Write everything; who asks for this session again gets it as it is in its row then."""
        await self.write()
        self._known.pop(identity, None)

    async def write(self) -> None:
        """Write what has come together."""
        unwritten, self._unwritten = self._unwritten, {}
        told, self._told = self._told, []
        if unwritten:
            await repository.write_mirrored(self._unit.connection, tuple(unwritten.values()))
        if told:
            await stories.add_lines(self._unit.connection, told)
