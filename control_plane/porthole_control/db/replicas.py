"""The control plane processes that share one database, as they know of one another."""

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects import postgresql

from porthole_control.db.database import Unit
from porthole_control.db.tables import replicas

PRESENT_EVERY = timedelta(seconds=2)
"""How often a replica says that it lives."""
SILENT_AFTER = timedelta(seconds=10)
"""A replica that was not seen for so long has no links any more."""
LOST_AFTER = timedelta(seconds=30)
"""A replica that was not seen for so long has no streams any more, and is not dialled."""
_STEADY_FOR = 2 * PRESENT_EVERY
_GAP = 3 * PRESENT_EVERY
_GONE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Peer:
    """A replica that others can reach.

    Attributes:
        address: host and port.
        certificate: PEM.
    """

    id: UUID
    address: str
    certificate: str

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of its certificate (DER), in lower hex."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate)).hexdigest()


class Presence:
    """Whether a replica may say of others that they are silent.

    After something that kept all of them from the database, the first one that writes again
    would take the others for dead.
    """

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._last: datetime | None = None

    def judges(self, now: datetime) -> bool:
        """Note that it has just said that it lives; return whether it has for a while."""
        if self._since is None or self._last is None or now - self._last > _GAP:
            self._since = now
        self._last = now
        return self.is_steady(now)

    def is_steady(self, now: datetime) -> bool:
        """Return whether it has said for a while, until just now, that it lives."""
        if self._since is None or self._last is None or now - self._last > _GAP:
            return False
        return self._last - self._since >= _STEADY_FOR


async def register(unit: Unit, identity: UUID) -> None:
    """Note that this replica exists."""
    await unit.connection.execute(
        postgresql.insert(replicas).values(id=identity, started_at=unit.now, seen_at=unit.now)
    )


async def others_live(unit: Unit) -> bool:
    """Return whether there is a replica, which would know if the database was set back."""
    query = select(exists().where(replicas.c.seen_at > unit.now - SILENT_AFTER))
    return bool((await unit.connection.execute(query)).scalar_one())


async def reachable(unit: Unit, identity: UUID, address: str, certificate: str) -> None:
    """Note where others reach this replica, and by what they know it."""
    await unit.connection.execute(
        update(replicas)
        .where(replicas.c.id == identity)
        .values(address=address, certificate=certificate)
    )


async def peers(unit: Unit) -> Sequence[Peer]:
    """Return the replicas that live and can be reached."""
    rows = await unit.connection.execute(
        select(replicas.c.id, replicas.c.address, replicas.c.certificate).where(
            replicas.c.address.is_not(None),
            replicas.c.certificate.is_not(None),
            replicas.c.seen_at > unit.now - LOST_AFTER,
        )
    )
    return [Peer(*row) for row in rows]


async def seen(unit: Unit, identity: UUID) -> None:
    """Note that this replica lives; one that was forgotten is known again."""
    known = postgresql.insert(replicas).values(id=identity, started_at=unit.now, seen_at=unit.now)
    await unit.connection.execute(
        known.on_conflict_do_update(index_elements=["id"], set_={"seen_at": unit.now})
    )


async def unregister(unit: Unit, identity: UUID) -> None:
    """Note that this replica ends."""
    await unit.connection.execute(delete(replicas).where(replicas.c.id == identity))


async def prune(unit: Unit) -> None:
    """Forget replicas that died without saying so."""
    await unit.connection.execute(
        delete(replicas).where(replicas.c.seen_at < unit.now - _GONE_AFTER)
    )
