"""Which replica is the operator: a Lease that it holds and renews; losing it ends the program.

Whoever does not hold it judges by its own clock: a Lease whose record has not changed for as
long as it is good for is free. It is written with the resourceVersion that was read, so of two
who take it at once one finds that it has changed. Whoever ends lets go of it.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from porthole_contract.cluster import Object
from porthole_contract.errors import PortholeError
from porthole_operator.cluster import Cluster, Conflicted
from porthole_operator.kinds import LEASES

GOOD_FOR: Final = 15
"""Seconds that a record is good for."""
RENEW_EVERY: Final = 4.0
GIVE_UP_AFTER: Final = 10.0
"""Seconds without a renewal after which the holder stops: well before others may begin."""
_LOOK_EVERY: Final = 1.0

_log = structlog.get_logger(__name__)


class LeaseLost(PortholeError):
    """Another replica holds the Lease, or we could not renew it in time."""

    code = "lease_lost"


class Lease:
    """One replica's part in the Lease.

    Args:
        cluster: where.
        namespace: of the Lease.
        name: of the Lease.
        identity: this replica's; no other process has ever had it.
        good_for: seconds; the others' times follow from it.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        identity: str,
        *,
        good_for: int = GOOD_FOR,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._good_for = good_for
        self._scale = good_for / GOOD_FOR
        self._renewed_at = 0.0

    async def acquire(self) -> None:
        """Return when this replica holds the Lease."""
        clock = asyncio.get_running_loop().time
        seen: object = None
        since = clock()
        while True:
            try:
                found = await self._read()
                record = None if found is None else found["spec"]
                if record != seen:
                    seen, since = record, clock()
                if _is_free(record, clock() - since, self._identity):
                    await self._write(found, self._identity)
                    _log.info("lease_taken", identity=self._identity)
                    return
            except Conflicted:
                continue
            except PortholeError as error:
                _log.warning("lease_not_read", why=str(error))
            await asyncio.sleep(_LOOK_EVERY * self._scale)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: it is another's by now, or could not be renewed in time.
        """
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(RENEW_EVERY * self._scale)
            try:
                async with asyncio.timeout_at(self._renewed_at + GIVE_UP_AFTER * self._scale):
                    await self._renew()
            except TimeoutError:
                late = clock() - self._renewed_at
                raise LeaseLost(f"The Lease could not be renewed for {late:.0f} s.") from None

    async def release(self) -> None:
        """Let go of the Lease, if we hold it; the next replica takes it at once."""
        try:
            found = await self._read()
            if found is not None and found["spec"].get("holderIdentity") == self._identity:
                await self._write(found, "")
        except PortholeError as error:
            _log.warning("lease_not_released", why=str(error))

    async def _renew(self) -> None:
        while True:
            try:
                found = await self._read()
                self._check(found)
                await self._write(found, self._identity)
            except LeaseLost:
                raise
            except PortholeError as error:
                _log.warning("lease_not_renewed", why=str(error))
                await asyncio.sleep(_LOOK_EVERY * self._scale)
            else:
                return

    def _check(self, found: Object | None) -> None:
        holder = None if found is None else found["spec"].get("holderIdentity")
        if holder != self._identity:
            raise LeaseLost(f"The Lease is held by {holder or 'nobody'}.")

    async def _read(self) -> Object | None:
        return await self._cluster.get(LEASES, self._namespace, self._name)

    async def _write(self, found: Object | None, holder: str) -> None:
        began = asyncio.get_running_loop().time()
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before: dict[str, Any] = {} if found is None else found["spec"]
        spec = {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": self._good_for if holder else 1,
            "renewTime": now,
        }
        if before.get("holderIdentity") != holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + 1
        if found is None:
            made = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.name,
                "metadata": {"namespace": self._namespace, "name": self._name},
                "spec": spec,
            }
            await self._cluster.create(LEASES, made)
        else:
            await self._cluster.replace(LEASES, {**found, "spec": spec})
        self._renewed_at = began


def _is_free(record: dict[str, Any] | None, unchanged_for: float, identity: str) -> bool:
    if record is None:
        return True
    holder = record.get("holderIdentity")
    good_for = float(record.get("leaseDurationSeconds") or GOOD_FOR)
    return not holder or holder == identity or unchanged_for > good_for
