"""What the local runtime is told; each setting says its unit and what its default is for."""

import os
from dataclasses import dataclass, field
from pathlib import Path


def _cores() -> float:
    return float(os.cpu_count() or 1)


def _memory() -> int:
    """Four fifths of this machine's memory, in bytes: the rest is for everything else."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 4 // 5


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where the runtime keeps its things, and how much it may use."""

    directory: Path
    """A directory of its own, 0700: records, homes, runc's state."""

    max_sessions: int = 20
    """How many sessions may be running at once."""

    cpu: float = field(default_factory=_cores)
    """Cores that sessions may request together; the default is all there are."""

    memory: int = field(default_factory=_memory)
    """Bytes that sessions may request together."""

    install_packages: bool = False
    """Whether a template's missing Debian packages may be installed on this machine."""

    rdp_listen: str | None = "127.0.0.1"
    """The address on which RDP programs reach sessions that are exposed, each on its own port.
    None: they do not."""

    first_uid: int = 2_000_000
    """The first of the uids that desktops and gates run as; far above people and subuids."""

    uids: int = 10_000_000
    """How many uids there are from `first_uid` on. Each runtime uses a block of ten
    thousand of them, chosen by its own identity, so that two on one machine rarely share."""

    stop_seconds: int = 6
    """How long a desktop's programs have to end on their own; then they are killed."""

    keep_ended: int = 30 * 24 * 3600
    """Seconds for which the tombstone of an ended session is kept."""
