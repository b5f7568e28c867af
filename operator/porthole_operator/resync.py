"""Lists all Sessions every now and then: what a watch has lost is found, and that it has.

What changed without the watch telling is looked at, and so is whatever is on its way from one
phase to another. Those that rest look after themselves, each in its own time.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from porthole_contract.errors import PortholeError
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import SESSIONS
from porthole_operator.watchfulness import Key, Watchfulness
from porthole_operator.work import Work

EVERY: Final = 20.0
"""Seconds between two lists."""

_log = structlog.get_logger(__name__)


class Resync:
    """Compares what is there with what was told.

    Args:
        cluster: where.
        namespaces: those of sessions.
        work: wakes the workers.
        watchfulness: knows what the watch has told.
        every: seconds between two lists.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str],
        work: Work,
        watchfulness: Watchfulness,
        *,
        every: float = EVERY,
    ) -> None:
        self._cluster = cluster
        self._namespaces = namespaces
        self._work = work
        self._watchfulness = watchfulness
        self._every = every

    async def run(self) -> None:
        """List until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once()
            except PortholeError as error:
                _log.warning("resync_failed", why=str(error))

    async def once(self) -> None:
        """List once.

        Raises:
            PortholeError: it could not be done.
        """
        versions: dict[Key, str] = {}
        for namespace in self._namespaces:
            for body in await self._cluster.list(SESSIONS, namespace):
                head = body["metadata"]
                versions[namespace, head["name"]] = head["resourceVersion"]
        missed = self._watchfulness.listed(versions, datetime.now(UTC))
        if missed:
            _log.debug("not_told_yet", sessions=[name for _, name in missed])
        for key in {*missed, *self._work.passing()}:
            self._work.wake(*key)
