"""The reaper of everything that this program started, orphans included.

`adopt()` first: from then on a process whose parent has ended is this program's child.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

GRACE = 10.0  # seconds between asking a process to end and ending it
_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Become the parent of every descendant that loses its own (`prctl(2)`)."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes() -> dict[int, tuple[int, str]]:
    """Return every process of the machine with its parent and its state."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            found[int(entry.name)] = (int(parent), state)
    return found


def descendants() -> list[int]:
    """Return the process ids of everything that this program started and that still runs."""
    everything = processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in everything.items():
        children.setdefault(parent, []).append(pid)
    found, look = [], [os.getpid()]
    while look:
        more = children.get(look.pop(), [])
        found += more
        look += more
    return [pid for pid in found if everything[pid][1] not in "ZX"]


def reap(keep: frozenset[int] = frozenset()) -> None:
    """Collect the orphans that have ended; `keep` are the stages' own, their Popen's business."""
    me = os.getpid()
    for pid, (parent, state) in processes().items():
        if parent == me and state == "Z" and pid not in keep:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_all() -> int:
    """End what is left of the stages; return how many processes that were."""
    left = descendants()
    for sent in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        while descendants() and time.monotonic() < until:
            reap()
            time.sleep(0.1)
    reap()
    return len(left)
