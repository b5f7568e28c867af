"""What is known of one session, as it stands on disk: the truth after every restart.

A record is a value. Whoever changes it makes a new one and writes it before acting on it.
"""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from porthole_contract.conditions import Condition, Reason
from porthole_contract.lifecycle import Event, Phase, advance
from porthole_contract.link.commands import Exposure
from porthole_contract.model import Message
from porthole_contract.session import Desired, SessionSpec
from porthole_contract.template import PinnedTemplate
from porthole_contract.trace import Traceparent


class Deletion(Message):
    """That a session is to be gone: by which order, and why."""

    order: int
    reason: Reason = Reason.REQUESTED
    message: str = ""


class Record(Message):
    """One session.

    `phase_since`: when the phase was entered. `begun_at`: when the processes of the present
    attempt were begun; None while there is none. `not_before`: the end of a back-off.
    `losses`: the moments of losses that count against it, oldest first. `asked_home`: the
    home that the order named; `home`: the one that it holds or will hold. `exposed`: the port
    that the order named. `traceparent` came with the order.
    """

    version: Literal[1] = 1
    session: UUID
    name: str
    owner: str
    order: int
    spec: SessionSpec
    template: PinnedTemplate
    created_at: datetime
    phase: Phase = Phase.PENDING
    phase_since: datetime
    reason: str = Reason.ACCEPTED
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    begun_at: datetime | None = None
    not_before: datetime | None = None
    losses: tuple[datetime, ...] = ()
    restarts: int = 0
    desktop_uid: int
    gate_uid: int
    fingerprint: str | None = None
    asked_home: UUID | None = None
    home: UUID | None = None
    started_at: datetime | None = None
    last_activity_at: datetime | None = None
    deletion: Deletion | None = None
    exposed: Exposure | None = None
    traceparent: str | None = None

    def evolve(self, **changes: object) -> Self:
        """Return a copy with `changes`, which are already what the fields want."""
        return self.model_copy(update=changes)

    def is_open(self, *, drawn: bool) -> bool:
        """Return whether it is to be reached on its port.

        It runs, or will as soon as it is written down that it is `drawn`, and goes on running.
        """
        if self.spec.desired is not Desired.RUNNING or self.deletion is not None:
            return False
        return self.phase is Phase.RUNNING or (
            drawn and self.phase in {Phase.STARTING, Phase.WAKING}
        )

    @property
    def start(self) -> Traceparent | None:
        """The place of the present attempt to start it, in whose trace it is."""
        order = Traceparent.read(self.traceparent)
        return None if order is None else order.child(self.session, self.restarts)

    def happen(self, event: Event, reason: str, message: str, now: datetime) -> Self:
        """Return the record after `event`.

        Raises:
            Forbidden: it cannot happen in this phase.
        """
        phase = advance(self.phase, event)
        since = self.phase_since if phase is self.phase else now
        return self.evolve(phase=phase, phase_since=since, reason=reason, message=message)


class HomeRecord(Message):
    """One home: whose it is and what its owner calls it; `size` in bytes."""

    version: Literal[1] = 1
    home: UUID
    owner: str
    name: str
    uid: int
    size: int
    created_at: datetime


class Tombstone(Message):
    """That a session ended; an apply up to `order` comes too late."""

    version: Literal[1] = 1
    session: UUID
    order: int
    reason: str
    message: str = ""
    at: datetime
