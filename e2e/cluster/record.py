"""Where the state of a cluster lies, and what is written down of one that is up."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from e2e.cluster.config import Wanted


@dataclass(frozen=True)
class Place:
    """The files of one cluster.

    Args:
        name: the cluster's.
    """

    name: str

    @property
    def folder(self) -> Path:
        """All of them; gone when the cluster is."""
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(base) / "porthole" / "clusters" / self.name

    @property
    def lock(self) -> Path:
        """Locked by whoever makes the cluster or takes it down."""
        return self.folder.with_name(f"{self.name}.lock")

    @property
    def kubeconfig(self) -> Path:
        """Its administrator's."""
        return self.folder / "kubeconfig"

    @property
    def audit(self) -> Path:
        """The folder of `policy.yaml` and of `log`, the API server's audit log."""
        return self.folder / "audit"

    @property
    def programs(self) -> Path:
        """What is put into PATH for those who use the cluster."""
        return self.folder / "bin"

    @property
    def engine(self) -> Path:
        """The state of an engine of its own."""
        return self.folder / "engine"

    @property
    def on_docker(self) -> Path:
        """There from the moment that the machine's Docker may hold parts of it."""
        return self.folder / "on-docker"

    @property
    def record(self) -> Path:
        """What is written down of it."""
        return self.folder / "up.json"


@dataclass(frozen=True)
class Up:
    """What is written down of a cluster that is up.

    Args:
        wanted: the cluster as it was asked for.
        own_engine: whether its engine is its own, or the machine's Docker.
    """

    wanted: Wanted
    own_engine: bool

    def write(self, place: Place) -> None:
        """Write it down."""
        place.record.write_text(json.dumps(asdict(self)), encoding="ascii")

    @classmethod
    def read(cls, place: Place) -> Self | None:
        """Return what was written down, or None if nothing was."""
        if not place.record.exists():
            return None
        content = json.loads(place.record.read_text(encoding="ascii"))
        ports = {int(outside): inside for outside, inside in content["wanted"].pop("ports").items()}
        return cls(Wanted(**content["wanted"], ports=ports), content["own_engine"])
