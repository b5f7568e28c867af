"""Places at which a test may end or stop this program, by name.

`porthole_contract.failpoints` says how a test asks for it.

`NAMES` is the whole list, in the order in which a session passes them.
"""

import contextlib
import os
import sys
from pathlib import Path

from porthole_contract.failpoints import VARIABLE, Failpoints

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
LOCAL = CREATE + LOSE + DELETE

KUBERNETES_CREATE = (
    "kubernetes.create.received",
    "kubernetes.create.revision-made",
    "kubernetes.create.session-made",
    "kubernetes.create.revision-owned",
)
KUBERNETES_CHANGE = (
    "kubernetes.change.read",
    "kubernetes.change.written",
)
KUBERNETES_DELETE = (
    "kubernetes.delete.received",
    "kubernetes.delete.tombstone-written",
    "kubernetes.delete.asked",
    "kubernetes.delete.gone",
)
KUBERNETES = KUBERNETES_CREATE + KUBERNETES_CHANGE + KUBERNETES_DELETE

NAMES = LOCAL + KUBERNETES


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
