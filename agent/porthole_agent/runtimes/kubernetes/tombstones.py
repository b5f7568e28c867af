"""What has ended, kept in the cluster: an order that comes late finds it and does nothing.

One ConfigMap of the agent's own, with an entry per session. It is bounded in number and in
time; what it forgets is so old that no order about it can still be on its way. Entries that
are asked for together are written together.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from porthole_agent.runtimes.kubernetes.rights import TOMBSTONES
from porthole_agent.runtimes.port import Ended
from porthole_contract.cluster import Object
from porthole_contract.model import Message, Moment
from porthole_contract.names import AGENT, LABEL_MANAGED_BY, LABEL_PART_OF
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing
from porthole_kube.kinds import CONFIG_MAPS
from porthole_kube.objects import version_of

_log = structlog.get_logger(__name__)

MOST: Final = 1000
KEPT_FOR: Final = timedelta(days=2)
_LONGEST_MESSAGE: Final = 200
"""Characters; a thousand of them have to fit into one object."""


class Tombstone(Message):
    """That a session ended; an apply up to `order` comes too late."""

    order: int
    reason: str
    message: str = ""
    at: Moment


def outdated(held: dict[UUID, Tombstone], now: datetime) -> list[UUID]:
    """Return which entries are to be forgotten: the old ones, and the oldest of too many."""
    by_age = sorted(held, key=lambda session: held[session].at, reverse=True)
    return [
        session
        for place, session in enumerate(by_age)
        if place >= MOST or held[session].at < now - KEPT_FOR
    ]


class Tombstones:
    """The tombstones of one agent.

    Args:
        api: the API server.
        namespace: the agent's own.
    """

    def __init__(self, api: Cluster, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._held: dict[UUID, Tombstone] = {}
        self._wanted: dict[UUID, Tombstone] = {}
        self._version: str | None = None
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read what is there.

        Raises:
            PortholeError: it cannot be read.
        """
        found = await self._api.get(CONFIG_MAPS, self._namespace, TOMBSTONES)
        self._version = None if found is None else version_of(found)
        self._held = {} if found is None else _read(found)

    def order(self, session: UUID) -> int | None:
        """Return the order by which a session ended; None: it is not known to have."""
        found = self._held.get(session)
        return None if found is None else found.order

    def ended(self) -> tuple[Ended, ...]:
        """Return all that is remembered."""
        return tuple(
            Ended(session, one.order, one.reason, one.message, one.at)
            for session, one in self._held.items()
        )

    async def bury(self, session: UUID, tombstone: Tombstone) -> None:
        """Remember that a session ended; in the cluster when this returns.

        Raises:
            PortholeError: it could not be written.
        """
        tombstone = tombstone.evolve(message=tombstone.message[:_LONGEST_MESSAGE])
        wanted = self._wanted.get(session)
        if wanted is None or wanted.order < tombstone.order:
            self._wanted[session] = tombstone
        async with self._writing:
            # Whoever had the lock before us may have written ours as well.
            while self._is_missing(session, tombstone.order):
                try:
                    await self._write(tombstone.at)
                except (Conflicted, Missing):
                    await self.load()

    def _is_missing(self, session: UUID, order: int) -> bool:
        held = self.order(session)
        return held is None or held < order

    async def _write(self, now: datetime) -> None:
        news = {
            session: one
            for session, one in self._wanted.items()
            if self._is_missing(session, one.order)
        }
        held = {**self._held, **news}
        gone = [session for session in outdated(held, now) if session not in news]
        data: dict[str, str | None] = {
            str(session): one.model_dump_json(exclude_defaults=True)
            for session, one in news.items()
        }
        data |= {str(session): None for session in gone if session in self._held}
        if self._version is None:
            written = await self._api.create(CONFIG_MAPS, self._made(data))
        else:
            patch = {"metadata": {"resourceVersion": self._version}, "data": data}
            written = await self._api.merge(CONFIG_MAPS, self._namespace, TOMBSTONES, patch)
        self._version = version_of(written)
        self._held = {session: one for session, one in held.items() if session not in gone}
        for session, one in news.items():
            if self._wanted.get(session) == one:
                del self._wanted[session]

    def _made(self, data: dict[str, str | None]) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "namespace": self._namespace,
                "name": TOMBSTONES,
                "labels": {LABEL_MANAGED_BY: AGENT, LABEL_PART_OF: "porthole"},
            },
            "data": {name: value for name, value in data.items() if value is not None},
        }


def _read(found: Object) -> dict[UUID, Tombstone]:
    held = {}
    for name, text in (found.get("data") or {}).items():
        try:
            held[UUID(name)] = Tombstone.model_validate_json(text)
        except (ValidationError, ValueError):
            _log.warning("tombstone_unreadable", name=name)
    return held
