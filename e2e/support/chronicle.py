"""What a session's object was, version by version, and what was made for it: from the watch and
from the API server's audit log, neither of which any program of ours writes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from e2e.cluster.installing import SESSIONS
from e2e.support.cluster_api import ClusterApi, Json
from e2e.support.real_cluster import RealCluster
from porthole_kube.kinds import SESSIONS as KIND

LOSSES = {"DesktopLost", "BackOff", "Evicted", "NodeLost"}
"""The reasons that go with a loss."""


class _Ground(Protocol):
    """Where it happens."""

    cluster: RealCluster
    api: ClusterApi


class Chronicle:
    """What happened to the session of one name, from its order to its end."""

    def __init__(self, name: str, versions: list[Json], audit: Path) -> None:
        self._name = name
        self._versions = versions
        self._audit = audit
        self._from = audit.stat().st_size

    @classmethod
    @asynccontextmanager
    async def of(cls, ground: _Ground, name: str) -> AsyncIterator["Chronicle"]:
        """Write it for as long as the context lasts."""
        async with ground.api.watched(KIND.path(SESSIONS)) as versions:
            yield cls(name, versions, ground.cluster.place.audit / "log")

    def check(self, *, restarts: int, starts: int, made: int = 1) -> None:
        """Check that each start was one, and each loss is on record.

        Args:
            restarts: how often it was lost.
            starts: how many pods were made.
            made: how many objects.
        """
        mine = [one for one in self._versions if one["metadata"]["name"] == self._name]
        uids = {one["metadata"]["uid"] for one in mine}
        assert len(uids) == made, f"{len(uids)} objects of the name {self._name}"
        before = 0
        for one in mine:
            status = one.get("status") or {}
            now, reason = status.get("restarts", 0), status.get("reason")
            story = f"{before} -> {now} with {reason}: {status.get('message')}"
            assert now in {before, before + 1}, story
            assert now == before or reason in LOSSES, story
            before = now
        assert before == restarts, f"{before} losses, not {restarts}: {self._said(mine)}"
        pods = self._pods_made()
        assert pods == starts, f"{pods} pods made, not {starts}: {self._said(mine)}"

    def _pods_made(self) -> int:
        """Return how many pods of its name were made."""
        with self._audit.open("rb") as log:
            log.seek(self._from)
            lines = [json.loads(line) for line in log if b'"verb":"create"' in line]
        return sum(
            one["objectRef"].get("resource") == "pods"
            and one["objectRef"].get("name") == self._name
            and one["objectRef"].get("namespace") == SESSIONS
            and "subresource" not in one["objectRef"]
            and one["responseStatus"]["code"] == 201
            for one in lines
        )

    @staticmethod
    def _said(versions: list[Json]) -> str:
        told = [one.get("status") or {} for one in versions]
        return "\n".join(
            f"{one.get('phase')} {one.get('restarts')} {one.get('reason')}: {one.get('message')}"
            for one in told
        )
