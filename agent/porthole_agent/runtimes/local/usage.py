"""What a session's containers use, as the kernel counts it."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

from porthole_agent.runtimes.local.containers import cgroup_folders
from porthole_agent.runtimes.local.makers import container_name
from porthole_agent.runtimes.port import Use
from porthole_contract.kernel import carried

_NANO, _MICRO = 1e-9, 1e-6
_PROC: Final = Path("/proc")


def look(session: UUID, disk: int) -> Use | None:
    """Return what a session has used; None if its desktop is not there.

    Its gate counts with it: what viewers cost is part of what it costs.

    Args:
        session: which one.
        disk: bytes of its home.
    """
    desktop = cgroup_folders(container_name(session, "desktop"))
    gate = cgroup_folders(container_name(session, "gate"))
    pids = _first(desktop, "cgroup.procs").split()
    if not pids:
        return None
    received, sent = carried(_read(_PROC / pids[0] / "net" / "dev"))
    return Use(
        session=session,
        cpu_seconds=_cpu(desktop) + _cpu(gate),
        memory=_memory(desktop) + _memory(gate),
        disk=disk,
        received=received,
        sent=sent,
    )


def counted(text: str, name: str) -> int:
    """Return the number in the line `name NUMBER`, 0 if there is none (pure)."""
    for line in text.splitlines():
        key, _, number = line.partition(" ")
        if key == name:
            return int(number)
    return 0


def _cpu(folders: Iterable[Path]) -> float:
    """Return seconds of a core: cgroup v1 counts nanoseconds, v2 microseconds."""
    if v1 := _first(folders, "cpuacct.usage"):
        return int(v1) * _NANO
    return counted(_first(folders, "cpu.stat"), "usage_usec") * _MICRO


def _memory(folders: Iterable[Path]) -> int:
    """Return bytes, without files that could be dropped at once."""
    stat = _first(folders, "memory.stat")
    if v1 := _first(folders, "memory.usage_in_bytes"):
        return max(0, int(v1) - counted(stat, "total_inactive_file"))
    held = _first(folders, "memory.current") or "0"
    return max(0, int(held) - counted(stat, "inactive_file"))


def _first(folders: Iterable[Path], name: str) -> str:
    """Return what the first of the folders says that has such a file; else nothing."""
    return next((text for folder in folders if (text := _read(folder / name))), "")


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):  # it may end at any moment
        return path.read_text()
    return ""
