"""What a container uses, as the kernel counts it for the container's own control group.

The gate looks at its own with this, too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

GROUP: Final = Path("/sys/fs/cgroup")
"""Where a container is shown its own group: cgroup v2, or a folder for each controller of v1."""


@dataclass(frozen=True, slots=True)
class Used:
    """Microseconds of one core since the container began; bytes of memory that it holds now."""

    cpu: int
    memory: int


def look(group: Path = GROUP) -> Used | None:
    """Return what this container uses; None if it is not shown its group."""
    try:
        if (v2 := group / "memory.current").exists():
            cpu = counted((group / "cpu.stat").read_text(), "usage_usec")
            held, stat, dropped = v2, group / "memory.stat", "inactive_file"
        else:
            cpu = int((group / "cpuacct/cpuacct.usage").read_text()) // 1000
            held, stat = group / "memory/memory.usage_in_bytes", group / "memory/memory.stat"
            dropped = "total_inactive_file"
        # Files that could be dropped at once are nobody's use.
        return Used(cpu, max(0, int(held.read_text()) - counted(stat.read_text(), dropped)))
    except (OSError, ValueError):
        return None


def counted(text: str, name: str) -> int:
    """Return the number in the line `name NUMBER`, 0 if there is none (pure).

    Raises:
        ValueError: it is no number.
    """
    for line in text.splitlines():
        key, _, number = line.partition(" ")
        if key == name:
            return int(number)
    return 0
