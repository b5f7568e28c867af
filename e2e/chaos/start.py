"""`python -m e2e.chaos.start PROGRAM`: a program of Porthole, with a witness in it.

The witness writes down what the local runtime has on disk and which desktops it starts, at the
very calls that do it; it decides nothing. `PORTHOLE_CHAOS_JOURNAL` is the file, and
`PORTHOLE_CHAOS_PLACE` says whose. While the file `PORTHOLE_CHAOS_DEAF` exists, no doorbell of this
process is rung or heard. `PORTHOLE_CHAOS_CLOCK` is a file with the seconds by which this process'
clock is wrong: not its monotonic one, which nobody can set.

`PORTHOLE_CHAOS_PLANTED` names a bug to begin with (`tests/support/planted.py`).
"""

import importlib
import os
import runpy
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from e2e.chaos.entries import Begun, Buried, Entry, Held, line

JOURNAL = "PORTHOLE_CHAOS_JOURNAL"
PLACE = "PORTHOLE_CHAOS_PLACE"
DEAF = "PORTHOLE_CHAOS_DEAF"
CLOCK = "PORTHOLE_CHAOS_CLOCK"
PLANTED = "PORTHOLE_CHAOS_PLANTED"


class Witness:
    """Writes what one place does, a line at a time."""

    def __init__(self, path: str, place: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._place = place

    def say(self, entry: Entry) -> None:
        os.write(self._file, f"{line(entry)}\n".encode())

    def held(self, record: Any) -> None:
        labels = record.spec.labels
        self.say(
            Held(
                at=time.monotonic(),
                place=self._place,
                session=str(record.session),
                order=record.order,
                restarts=record.restarts,
                phase=str(record.phase),
                desired=str(record.spec.desired),
                key=labels.get("key", ""),
                mark=int(labels.get("mark", "-1")),
            )
        )

    def buried(self, tombstone: Any) -> None:
        session, order = str(tombstone.session), tombstone.order
        self.say(Buried(time.monotonic(), self._place, session, order))

    def begun(self, container: str) -> None:
        _, digits, part = container.split("-")
        if part == "desktop":
            parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
            self.say(Begun(time.monotonic(), self._place, "-".join(parts)))


def _watch_agent(witness: Witness) -> None:
    # An agent alone has what is imported here.
    runc = importlib.import_module("porthole_agent.runtimes.local.containers").Runc
    runtime = importlib.import_module("porthole_agent.runtimes.local.runtime").LocalRuntime
    site = importlib.import_module("porthole_agent.runtimes.local.site").Site
    write_record, write_tombstone = site.write_record, site.write_tombstone
    start, adopt = runc.start, runtime._adopt

    def record_written(self: Any, record: Any) -> None:
        write_record(self, record)
        witness.held(record)

    def tombstone_written(self: Any, tombstone: Any) -> None:
        write_tombstone(self, tombstone)
        witness.buried(tombstone)

    async def started(self: Any, name: str, *arguments: Any) -> None:
        witness.begun(name)
        await start(self, name, *arguments)

    def adopted(self: Any, record: Any) -> None:
        # What was written when somebody was killed before they could say so.
        witness.held(record)
        adopt(self, record)

    site.write_record, site.write_tombstone = record_written, tombstone_written
    runc.start, runtime._adopt = started, adopted


def _deafen(path: Path) -> None:
    doorbell = importlib.import_module("porthole_control.db.doorbell").Doorbell
    ring, tell = doorbell.ring, doorbell._tell

    def rung(self: Any, *arguments: Any) -> None:
        if not path.exists():
            ring(self, *arguments)

    def told(self: Any, *arguments: Any) -> None:
        if not path.exists():
            tell(self, *arguments)

    doorbell.ring, doorbell._tell = rung, told


class _Like(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


def _skew(path: str, program: str) -> None:
    """Have everything of ours in this process see another time."""

    def shift() -> timedelta:
        return timedelta(seconds=float(Path(path).read_text(encoding="ascii") or 0))

    class Skewed(datetime, metaclass=_Like):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + shift()

    importlib.import_module(f"{program}.__main__")
    for name, module in list(sys.modules.items()):
        if name.startswith("porthole_") and getattr(module, "datetime", None) is datetime:
            module.datetime = Skewed  # type: ignore[attr-defined]
    del sys.modules[f"{program}.__main__"]  # it is run, and not imported


def main(words: Sequence[str]) -> None:
    """Become a program."""
    program = words[0]
    if program == "porthole_agent" and (journal := os.environ.get(JOURNAL)):
        _watch_agent(Witness(journal, os.environ[PLACE]))
    if program == "porthole_control" and (deaf := os.environ.get(DEAF)):
        _deafen(Path(deaf))
    if clock := os.environ.get(CLOCK):
        _skew(clock, program)
    if planted := os.environ.get(PLANTED):
        importlib.import_module("tests.support.planted").plant(planted, program)
    sys.argv[:] = [program, *words[1:]]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
