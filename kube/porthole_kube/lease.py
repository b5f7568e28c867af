"""Which of several replicas is the one: a Lease that it holds and renews.

Whoever does not hold it looks at it often, by its own clock: a Lease whose record has not
changed for as long as it is good for is free. Whoever ends lets go of it, so that the next
one need not wait. The record is written with its resourceVersion; of two who take it at
once, one finds that it is not as it was.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from porthole_contract.cluster import Object
from porthole_contract.errors import PortholeError
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted
from porthole_kube.kinds import LEASES

_log = structlog.get_logger(__name__)

_LOOKED_EVERY = 0.1
"""Seconds between looks at whether a successor has the Lease."""


class LeaseLost(PortholeError):
    """Another replica holds the Lease, or it could not be renewed in time."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a record is good for, and what follows from it; all in seconds.

    Attributes:
        good_for: after so long without a change, the Lease is free; whole seconds.
        renew_every: how often who holds it says so.
        look_every: how often others look, and how soon a failed renewal is tried again.
        answer_within: how long the API server has for one call.
        give_up_after: without a renewal for so long, the holder has lost it: well before
            others may begin. None: it goes on until it hears of another one, because
            everything that it writes is fenced.
    """

    good_for: int
    renew_every: float
    look_every: float
    answer_within: float
    give_up_after: float | None = None


class Lease:
    """One replica's part in the Lease.

    Args:
        cluster: where.
        namespace: the program's own.
        name: of the Lease.
        identity: this replica; no other process has ever had it.
        terms: its times.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, identity: str, terms: Terms
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._terms = terms
        self._writing = asyncio.Lock()
        self._let_go = False
        self._renewed_at = 0.0
        self.looked_at = self.answered_at = monotonic()
        """When it last began to look at the Lease, and when that was last answered, by
        `time.monotonic`."""

    async def acquire(self) -> bool:
        """Return True as soon as this replica holds the Lease."""
        clock = asyncio.get_running_loop().time
        observed: tuple[object, ...] = ()
        since = clock()
        refused = False
        while True:
            try:
                found = await self._read()
                if (record := _record(found)) != observed:
                    observed, since = record, clock()
                if self._is_free(found, clock() - since):
                    await self._write(found, self._identity)
                    _log.info("lease_taken", identity=self._identity)
                    return True
            except Conflicted:
                continue
            except PortholeError as error:
                if not refused:
                    _log.warning("lease_not_read", why=str(error))
                refused = True
            await asyncio.sleep(self._terms.look_every)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        Raises:
            LeaseLost: it is another's by now, or could not be renewed in time.
        """
        clock = asyncio.get_running_loop().time
        limit = self._terms.give_up_after
        while True:
            await asyncio.sleep(self._terms.renew_every)
            try:
                async with asyncio.timeout_at(None if limit is None else self._renewed_at + limit):
                    await self.confirm()
            except TimeoutError:
                late = clock() - self._renewed_at
                raise LeaseLost(f"The Lease could not be renewed for {late:.0f} s.") from None

    async def confirm(self) -> None:
        """Return when it is certain that this replica holds the Lease now.

        Raises:
            LeaseLost: it does not.
        """
        failed = False
        while True:
            try:
                return await self._renew()
            except LeaseLost:
                raise
            except PortholeError as error:
                if not failed:
                    _log.warning("lease_not_renewed", why=str(error))
                failed = True
                await asyncio.sleep(self._terms.look_every)

    async def release(self) -> None:
        """Let go of the Lease, if we hold it; the next replica takes it at once."""
        async with self._writing:
            self._let_go = True
            try:
                found = await self._read()
                if found is not None and found["spec"].get("holderIdentity") == self._identity:
                    await self._write(found, "")
            except PortholeError as error:
                _log.warning("lease_not_released", why=str(error))

    async def taken(self, within: float) -> bool:
        """Return whether another replica takes the Lease within so many seconds."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + within
        while clock() < give_up:
            with contextlib.suppress(PortholeError):
                found = await self._read()
                holder = "" if found is None else found["spec"].get("holderIdentity")
                if holder and holder != self._identity:
                    return True
            await asyncio.sleep(_LOOKED_EVERY)
        return False

    async def _renew(self) -> None:
        async with self._writing:
            if not self._let_go:
                found = await self._read()
                self._check(found)
                await self._write(found, self._identity)

    def _check(self, found: Object | None) -> None:
        holder = None if found is None else found["spec"].get("holderIdentity")
        if holder != self._identity:
            raise LeaseLost(f"The Lease is held by {holder or 'nobody'}.")

    def _is_free(self, found: Object | None, unchanged_for: float) -> bool:
        if found is None:
            return True
        holder = found["spec"].get("holderIdentity")
        good_for = float(found["spec"].get("leaseDurationSeconds") or self._terms.good_for)
        return not holder or holder == self._identity or unchanged_for > good_for

    async def _read(self) -> Object | None:
        within = self._terms.answer_within
        self.looked_at = monotonic()
        found = await self._cluster.get(LEASES, self._namespace, self._name, within=within)
        self.answered_at = monotonic()
        return found

    async def _write(self, found: Object | None, holder: str) -> None:
        began = asyncio.get_running_loop().time()
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before: dict[str, Any] = {} if found is None else found["spec"]
        spec = {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": self._terms.good_for if holder else 1,
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
            within = self._terms.answer_within
            await self._cluster.replace(LEASES, {**found, "spec": spec}, within=within)
        self._renewed_at = began


def _record(found: Object | None) -> tuple[object, ...]:
    if found is None:
        return ()
    spec = found["spec"]
    return (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("acquireTime"))
