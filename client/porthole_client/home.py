"""PORTHOLE_HOME: where one instance on this machine keeps everything.

`porthole up` makes it, its parts fill it, and clients find the running instance in it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def default_home() -> Path:
    """Return the home that is used when none is named: root's, or this user's own."""
    if named := os.environ.get("PORTHOLE_HOME"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/porthole")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "porthole"


@dataclass(frozen=True)
class Home:
    """The paths of one home. Nothing here creates anything."""

    path: Path

    @property
    def run(self) -> Path:
        """Locks, sockets and the record of what runs."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """One bounded log per part."""
        return self.path / "log"

    @property
    def agent(self) -> Path:
        """The agent's key, journal, sessions and homes."""
        return self.path / "agent"

    @property
    def secrets(self) -> Path:
        """Secrets of the control plane, readable by their owner only."""
        return self.path / "secrets"

    @property
    def admin_token(self) -> Path:
        """The administrator's token of this instance."""
        return self.secrets / "admin-token"

    @property
    def server(self) -> Path:
        """What the running instance is reached at."""
        return self.run / "server.json"

    @property
    def parts(self) -> Path:
        """What `up` has started."""
        return self.run / "parts.json"


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file, or an empty one if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Put an object in a file in one step: a reader sees the old one or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
