"""What is on the machine, looked at past everything of Porthole."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from e2e.chaos.entries import Alive, Buried, Entry, Held, Left
from e2e.chaos.place import Deployment, records
from tests.support.leftovers import Leftovers

_GROUPS = Path("/sys/fs/cgroup")


def pids_of(session: str, part: str = "desktop") -> list[int]:
    """Return the processes of a session's container."""
    name = f"porthole-{session.replace('-', '')}-{part}"
    for top in (_GROUPS, *_GROUPS.glob("*/")):
        with contextlib.suppress(OSError):
            return [int(pid) for pid in (top / name / "cgroup.procs").read_text().split()]
    return []


def scan(sessions: Iterable[str]) -> Alive:
    """Look which of these sessions have a desktop with processes."""
    at = time.monotonic()
    return Alive(at, tuple(sorted(one for one in sessions if pids_of(one))))


def on_disk(deployment: Deployment) -> Iterator[Entry]:
    """Yield what every place has on disk, as its files say."""
    at = time.monotonic()
    for place, folder in deployment.place_folders.items():
        for record in records(folder):
            labels = record["spec"].get("labels") or {}
            yield Held(
                at,
                place,
                record["session"],
                record["order"],
                record["restarts"],
                record["phase"],
                record["spec"].get("desired", "Running"),
                labels.get("key", ""),
                int(labels.get("mark", "-1")),
            )
        for path in folder.glob("ended/*.json"):
            yield Buried(at, place, path.stem, -1)


def left(deployment: Deployment) -> Iterator[Left]:
    """Yield what is left of sessions when all of them have ended; parts are over by then."""
    at = time.monotonic()
    for folder in deployment.place_folders.values():
        found = Leftovers.of(folder.parent).new_since(Leftovers.of(folder / "nothing"))
        for kind, things in found.items():
            for thing in things:
                yield Left(at, f"{kind}: {thing}")
