"""What `up` has started, as `run/parts.json` keeps it for the next `up` and for `status`."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from porthole_client.cli.up.processes import Identity
from porthole_client.home import Home, read_json, write_json


@dataclass(frozen=True)
class PartRecord:
    """One part: its name, its process (None between two starts) and how often it restarted."""

    name: str
    process: Identity | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Record:
    """`up` itself and its parts, in the order in which they start."""

    up: Identity
    parts: tuple[PartRecord, ...] = ()

    def with_part(self, part: PartRecord) -> "Record":
        """Return the record with `part` added, or put in the place of its namesake."""
        names = [known.name for known in self.parts]
        if part.name not in names:
            return replace(self, parts=(*self.parts, part))
        return replace(
            self, parts=tuple(part if known.name == part.name else known for known in self.parts)
        )

    def write(self, home: Home) -> None:
        """Keep it in the home."""
        write_json(home.parts, asdict(self))


def read(home: Home) -> Record | None:
    """Return what the last `up` of this home has written; None if it never ran."""
    found = read_json(home.parts)
    try:
        return Record(
            up=Identity(**found["up"]),
            parts=tuple(
                PartRecord(part["name"], _identity(part["process"]), int(part["restarts"]))
                for part in found["parts"]
            ),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _identity(found: dict[str, Any] | None) -> Identity | None:
    return None if found is None else Identity(**found)
