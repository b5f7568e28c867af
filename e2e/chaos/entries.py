"""What happened in a run, as lines of JSON: calls, effects, faults, and looks at the machine.

`at` and `until` are seconds of the machine's monotonic clock, which no fault sets. Calls are
written by whoever made them, effects by the process that has just had them (see `witness.py`),
the rest by the run itself. The database is asked only for `Shown`, which is judged and never
believed.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Call:
    """A call of the API, from the first attempt to its answer.

    Attributes:
        verb: create, change, hibernate, wake or delete.
        key: of the create; the label `key` of the session.
        session: its id; "" if it was never told.
        mark: for create and change: the number in the session's label `mark`, which only rises.
        outcome: accepted, refused, or unknown (it was never answered).
    """

    at: float
    until: float
    verb: str
    key: str
    session: str
    mark: int = -1
    outcome: str = "accepted"


@dataclass(frozen=True)
class Held:
    """The runtime of a place has a session's record on disk, as it says here."""

    at: float
    place: str
    session: str
    order: int
    restarts: int
    phase: str
    desired: str
    key: str
    mark: int


@dataclass(frozen=True)
class Begun:
    """A session's desktop was started."""

    at: float
    place: str
    session: str


@dataclass(frozen=True)
class Buried:
    """The runtime of a place has on disk that a session has ended."""

    at: float
    place: str
    session: str
    order: int


@dataclass(frozen=True)
class Alive:
    """Whose desktops have processes on the machine at one moment."""

    at: float
    sessions: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """Something was broken from `at` to `until`; `whom`: a place, a replica, or the database."""

    at: float
    until: float
    kind: str
    whom: str
    point: str = ""


@dataclass(frozen=True)
class Restored:
    """The database was put back to what it was when a backup was taken, at `of`."""

    at: float
    of: float


@dataclass(frozen=True)
class Left:
    """At the end something was on the machine that belongs to nobody any more."""

    at: float
    what: str
    session: str = ""


@dataclass(frozen=True)
class Shown:
    """What the API shows of a session at the end."""

    at: float
    session: str
    phase: str
    desired: str
    mark: int


@dataclass(frozen=True)
class Note:
    """A moment of the run: `calm` (nothing is broken yet), `healed` (nor any more), `end`."""

    at: float
    what: str


Entry = Call | Held | Begun | Buried | Alive | Fault | Restored | Left | Shown | Note
_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Call, Held, Begun, Buried, Alive, Fault, Restored, Left, Shown, Note)
}


def line(entry: Entry) -> str:
    """Return an entry as one line."""
    return json.dumps({"is": type(entry).__name__, **asdict(entry)}, separators=(",", ":"))


def read_line(text: str) -> Entry:
    """Return the entry that a line says."""
    said = json.loads(text)
    kind = _KINDS[said.pop("is")]
    if kind is Alive:
        said["sessions"] = tuple(said["sessions"])
    entry: Entry = kind(**said)
    return entry


def read(paths: Iterable[Path]) -> list[Entry]:
    """Return everything that files say, in the order of time; what a kill cut short is left out."""
    return sorted((entry for path in paths for entry in _entries(path)), key=when)


def _entries(path: Path) -> Iterator[Entry]:
    for text in path.read_text(encoding="utf-8").split("\n")[:-1]:
        yield read_line(text)


def when(entry: Entry) -> float:
    """Return the moment at which an entry was true: a call's and a fault's is its beginning."""
    return entry.at
