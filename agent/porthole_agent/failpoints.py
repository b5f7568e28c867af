"""Places at which a test may end or stop this program, by name.

`PORTHOLE_FAILPOINTS="local.create.record-written=kill:2"` kills this process with SIGKILL
the second time it passes that place; several are separated by commas. Without the variable
a failpoint is one look into an empty dictionary. `stop:2` stops it instead, with SIGSTOP, so
that a test can end others at exactly that moment and let it go on with SIGCONT.

`NAMES` is the whole list, in the order in which a session passes them.
"""

import os
import signal
import sys
from dataclasses import dataclass

CREATE = (
    "local.create.received",
    "local.create.record-written",
    "local.create.begin-recorded",
    "local.create.journaled",
    "local.create.home-made",
    "local.create.home-attached",
    "local.create.volumes-mounted",
    "local.create.network-made",
    "local.create.network-started",
    "local.create.gate-started",
    "local.create.desktop-started",
    "local.create.settled",
    "local.create.drawn-recorded",
)
LOSE = (
    "local.lose.journaled",
    "local.lose.recorded",
)
DELETE = (
    "local.delete.received",
    "local.delete.recorded",
    "local.delete.desktop-stopped",
    "local.delete.gate-stopped",
    "local.delete.network-removed",
    "local.delete.volumes-removed",
    "local.delete.home-detached",
    "local.delete.tombstone-written",
    "local.delete.journaled",
    "local.delete.record-removed",
)
NAMES = CREATE + LOSE + DELETE


@dataclass
class _Asked:
    """What a test wants: a signal, after so many passes."""

    signal: signal.Signals
    passes: int


_VERBS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _read(setting: str) -> dict[str, _Asked]:
    """Return what is asked for each name.

    Raises:
        ValueError: a name or an action is not known; a test that kills nothing must not
            pass by accident.
    """
    asked: dict[str, _Asked] = {}
    for part in filter(None, (item.strip() for item in setting.split(","))):
        name, _, action = part.partition("=")
        verb, _, count = action.partition(":")
        if name not in NAMES or verb not in _VERBS or not count.isdecimal() or int(count) < 1:
            raise ValueError(f"PORTHOLE_FAILPOINTS: '{part}' is not NAME=kill:N with a known name.")
        asked[name] = _Asked(_VERBS[verb], int(count))
    return asked


_asked = _read(os.environ.get("PORTHOLE_FAILPOINTS", ""))


def failpoint(name: str) -> None:
    """Pass the place `name`; does not return if a test wants this process dead here."""
    if not _asked:
        return
    assert name in NAMES, name
    asked = _asked.get(name)
    if asked is None:
        return
    asked.passes -= 1
    if asked.passes == 0:
        sys.stderr.write(f"failpoint {name}: {asked.signal.name} as asked\n")
        sys.stderr.flush()
        os.kill(os.getpid(), asked.signal)
