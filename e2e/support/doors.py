"""What listens in a pod, by the kernel; and what a desktop gets to hear there."""

import contextlib
import json
from pathlib import Path
from typing import Any

from e2e.support.installed import SESSIONS, Installed
from e2e.support.outside import processes_in_pod

_LISTENS = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
_SCRIPT = (Path(__file__).with_name("stranger.py")).read_text(encoding="utf-8")


def listening(pod_uid: str) -> set[int]:
    """Return the TCP ports that others can reach in a pod."""
    found = set()
    for pid in processes_in_pod(pod_uid):
        for name in ("tcp", "tcp6"):
            lines: list[str] = []
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
            for _, local, _, state, *_ in map(str.split, lines):
                address, _, port = local.partition(":")
                if state == _LISTENS and address not in _LOOPBACK:
                    found.add(int(port, 16))
    return found


def heard_from(installed: Installed, session: str, places: list[tuple[str, int]]) -> list[Any]:
    """Have a program in a session's desktop ask at each place; return what it heard, in order."""
    where = ("exec", "-n", SESSIONS, session, "-c", "desktop", "--")
    words = (*where, "python3", "-c", _SCRIPT, json.dumps(places))
    found: list[Any] = json.loads(installed.cluster.kubectl(*words))
    return found
