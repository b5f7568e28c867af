"""Places at which a test may end or stop this program, by name.

`porthole_contract.failpoints` says how a test asks for it.

`NAMES` is the whole list, in the order in which a session passes them.
"""

import contextlib
import os
import sys
from pathlib import Path

from porthole_contract.failpoints import VARIABLE, Failpoints

START = (
    "operator.start.decided",
    "operator.start.revision-kept",
    "operator.start.home-held",
    "operator.start.secret-made",
    "operator.start.service-made",
    "operator.start.policy-made",
    "operator.start.pod-made",  # and the status does not know
    "operator.start.noted",
    "operator.start.drawn-noted",
)
LOSE = (
    "operator.lose.noted",  # the attempt is over, its pod may still be there
    "operator.lose.pod-ended",
)
SLEEP = (
    "operator.sleep.noted",
    "operator.sleep.pod-ended",
    "operator.sleep.stopped-noted",
)
DELETE = (
    "operator.delete.noted",
    "operator.delete.pod-ended",
)
NAMES = START + LOSE + SLEEP + DELETE


def _take(path: str) -> str:
    """Return what a file says, and remove it; nothing if there is none."""
    with contextlib.suppress(FileNotFoundError):
        file = Path(path)
        said = file.read_text(encoding="ascii")
        file.unlink()
        return said
    return ""


_asked = Failpoints(NAMES, os.environ.get(VARIABLE, ""), _take)


def failpoint(name: str) -> None:
    """Pass the place `name`; does not return if a test wants this process dead here."""
    if _asked.any:
        assert name in NAMES, name
        if (number := _asked.due(name)) is not None:
            sys.stderr.write(f"failpoint {name}: {number.name} as asked\n")
            sys.stderr.flush()
            os.kill(os.getpid(), number)
