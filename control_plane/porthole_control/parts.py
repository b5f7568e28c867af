"""What the running program is made of; joined in `app.py`, found by endpoints in `api.py`."""

from dataclasses import dataclass, field
from uuid import UUID

from porthole_control.db.database import Database
from porthole_control.db.doorbell import Doorbell
from porthole_control.db.replicas import Presence
from porthole_control.events.live import Live
from porthole_control.people.guard import Guard
from porthole_control.settings import Settings


@dataclass(frozen=True, slots=True)
class Reach:
    """What we are reached at.

    Attributes:
        url: what other machines (agents, people) use.
        fingerprint: SHA-256 (lower hex) of the certificate that we have made; None: a public
            one, or no TLS.
    """

    url: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one control plane process.

    Attributes:
        instance: which installation the database is of; part of every link's greeting.
        replica: this process among those that share the database; made at its start.
        presence: whether it may say of the others that they are silent.
    """

    settings: Settings
    instance: UUID
    replica: UUID
    reach: Reach
    database: Database
    doorbell: Doorbell
    guard: Guard
    live: Live
    presence: Presence = field(default_factory=Presence)
