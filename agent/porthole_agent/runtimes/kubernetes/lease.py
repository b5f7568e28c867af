"""Which of several replicas is the one: a Lease that it holds and renews.

Whoever does not hold it looks at it often, by its own clock: a Lease whose record has not
changed for as long as it is good for is free. Whoever ends lets go of it, so that the next
one need not wait. The record is written with its resourceVersion; of two who take it at
once, one finds that it is not as it was.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from porthole_agent.runtimes.kubernetes.api import Api, Conflicted
from porthole_agent.runtimes.kubernetes.resources import LEASES
from porthole_agent.runtimes.kubernetes.rights import LEASE
from porthole_contract.cluster import Object
from porthole_contract.errors import PortholeError

_log = structlog.get_logger(__name__)

GOOD_FOR: Final = 5
"""Seconds that a record is good for."""
RENEW_EVERY: Final = 1.0
LOOK_EVERY: Final = 0.4
_WITHIN: Final = 1.5


class LeaseLost(PortholeError):
    """Another replica holds the Lease."""

    code = "lease_lost"


class Lease:
    """One replica's part in the Lease.

    Args:
        api: the API server.
        namespace: the agent's own.
        identity: this replica; no other process has ever had it.
        name: of the Lease.
    """

    def __init__(self, api: Api, namespace: str, identity: str, *, name: str = LEASE) -> None:
        self._api = api
        self._namespace = namespace
        self._identity = identity
        self._name = name
        self._writing = asyncio.Lock()
        self._let_go = False

    async def acquire(self) -> bool:
        """Return when this replica holds the Lease."""
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
                    await self._write(found)
                    _log.info("lease_taken", identity=self._identity)
                    return True
            except Conflicted:
                continue
            except PortholeError as error:
                if not refused:
                    _log.warning("lease_not_read", why=str(error))
                refused = True
            await asyncio.sleep(LOOK_EVERY)

    async def keep(self) -> None:
        """Renew the Lease until cancelled.

        That the API server does not answer is no reason to stop: nobody else gets the Lease
        from it either, and should somebody have, everything that we write there is fenced.

        Raises:
            LeaseLost: it is another's by now.
        """
        failed = False
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self._renew()
            except LeaseLost:
                raise
            except PortholeError as error:
                if not failed:
                    _log.warning("lease_not_renewed", why=str(error))
                failed = True
            else:
                failed = False

    async def confirm(self) -> None:
        """Return when it is certain that this replica holds the Lease now.

        Raises:
            LeaseLost: it does not.
        """
        while True:
            try:
                return await self._renew()
            except LeaseLost:
                raise
            except PortholeError as error:
                _log.warning("lease_not_confirmed", why=str(error))
                await asyncio.sleep(LOOK_EVERY)

    async def release(self) -> None:
        """Let go of the Lease, if we hold it; the next replica takes it at once."""
        async with self._writing:
            self._let_go = True
            try:
                found = await self._read()
                if found is not None and found["spec"].get("holderIdentity") == self._identity:
                    await self._write(found, holder="")
            except PortholeError as error:
                _log.warning("lease_not_released", why=str(error))

    # Inside

    async def _renew(self) -> None:
        async with self._writing:
            if not self._let_go:
                found = await self._read()
                self._check(found)
                await self._write(found)

    def _check(self, found: Object | None) -> None:
        holder = None if found is None else found["spec"].get("holderIdentity")
        if holder != self._identity:
            raise LeaseLost(f"The Lease is held by {holder or 'nobody'}.")

    def _is_free(self, found: Object | None, unchanged_for: float) -> bool:
        if found is None:
            return True
        holder = found["spec"].get("holderIdentity")
        good_for = float(found["spec"].get("leaseDurationSeconds") or GOOD_FOR)
        return not holder or holder == self._identity or unchanged_for > good_for

    async def _read(self) -> Object | None:
        return await self._api.get(LEASES, self._namespace, self._name, within=_WITHIN)

    async def _write(self, found: Object | None, *, holder: str | None = None) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = {} if found is None else found["spec"]
        mine = self._identity if holder is None else holder
        spec = {
            **before,
            "holderIdentity": mine,
            "leaseDurationSeconds": GOOD_FOR if mine else 1,
            "renewTime": now,
        }
        if before.get("holderIdentity") != mine:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + 1
        if found is None:
            made = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.name,
                "metadata": {"namespace": self._namespace, "name": self._name},
                "spec": spec,
            }
            await self._api.create(LEASES, made)
        else:
            await self._api.replace(LEASES, {**found, "spec": spec}, within=_WITHIN)


def _record(found: Object | None) -> tuple[object, ...]:
    if found is None:
        return ()
    spec = found["spec"]
    return (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("acquireTime"))
