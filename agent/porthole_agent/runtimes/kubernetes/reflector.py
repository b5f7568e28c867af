"""One collection of the cluster, followed: listed, watched for a while, and listed anew.

A watch may lose events or fall silent; the next list finds what it missed. So nothing that
happens in the cluster stays unseen for longer than `every`, whatever becomes of a watch.
"""

import asyncio
import random
from collections.abc import Callable
from time import monotonic

import structlog

from porthole_agent.runtimes.kubernetes.store import Store
from porthole_contract.cluster import Kind
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Expired, Unanswered

_log = structlog.get_logger(__name__)

_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0


class Reflector:
    """Follows the objects of one kind in one namespace.

    Args:
        api: the API server.
        kind: of what.
        namespace: where.
        store: is told what there is.
        every: seconds between two lists.
        listed: called after each list.
    """

    def __init__(
        self,
        api: Cluster,
        kind: Kind,
        namespace: str,
        store: Store,
        *,
        every: float,
        listed: Callable[[], None] = lambda: None,
    ) -> None:
        self._api = api
        self._kind = kind
        self._namespace = namespace
        self._store = store
        self._every = every
        self._listed = listed
        self.turned_at = monotonic()
        """When it last began to list."""

    async def list(self) -> str:
        """Take in everything there is now; return the version from which to watch on.

        Raises:
            Unanswered: the API server does not answer.
            Refused: it does not allow it.
        """
        things, version = await self._api.list_to_watch(self._kind, self._namespace)
        self._store.replace(self._namespace, things, version)
        self._listed()
        return version

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            self.turned_at = monotonic()
            try:
                version = await self.list()
                failures = 0
                await self._follow(version)
            except Exception as error:  # noqa: BLE001 - an agent that does not look is blind
                if failures == 0 and not isinstance(error, Expired):
                    _log.warning(
                        "watch_lost" if isinstance(error, Unanswered) else "watch_refused",
                        kind=self._kind.plural,
                        namespace=self._namespace,
                        why=str(error) or type(error).__name__,
                    )
                longest = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** min(failures, 16))
                failures += 1
                await asyncio.sleep(longest * (0.5 + random.random() / 2))  # noqa: S311 - jitter

    async def _follow(self, version: str) -> None:
        async for change, thing in self._api.watch(
            self._kind, self._namespace, version, seconds=self._every
        ):
            if change == "DELETED":
                self._store.drop(thing)
            elif change in {"ADDED", "MODIFIED"}:
                self._store.put(thing)
