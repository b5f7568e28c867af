"""Processes by their identity: a pid alone may belong to somebody else by now."""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19  # index of the start time among the fields after the program's name


def _started(pid: int) -> int | None:
    """Return when a process began, in clock ticks since the boot; None if it is over."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[_STARTED])


@dataclass(frozen=True)
class Identity:
    """One process for ever: its pid, when it began, and in which life of the machine."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the identity of a process that runs now, or None."""
        started = _started(pid)
        return None if started is None else cls(pid, started, _boot())

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return self.boot == _boot() and _started(self.pid) == self.started

    def started_at(self) -> datetime:
        """Return when it began, to the hundredth of a second."""
        ticks = os.sysconf("SC_CLK_TCK")
        since = time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / ticks
        return datetime.now(UTC) - timedelta(seconds=since)

    def send(self, sent: signal.Signals) -> None:
        """Send a signal to this very process, if it still runs."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.is_alive():  # checked while the handle pins the pid
                signal.pidfd_send_signal(handle, sent)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def end(self, patience: float) -> bool:
        """Ask it to end, wait `patience` seconds, then end it; True once it is over."""
        self.send(signal.SIGTERM)
        if wait_over((self,), patience):
            return True
        self.send(signal.SIGKILL)
        return wait_over((self,), 5)


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip()


def wait_over(processes: Iterable[Identity], seconds: float) -> bool:
    """Wait until none of the processes runs; False if some still do after `seconds`."""
    until = time.monotonic() + seconds
    left = list(processes)
    while left := [process for process in left if process.is_alive()]:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def holders(path: Path) -> list[Identity]:
    """Return the processes that have `path` open, as far as this user may see them."""
    try:
        wanted = path.stat()
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            handles = list((entry / "fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            try:
                seen = handle.stat()
            except OSError:
                continue
            if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
                identity = Identity.of(int(entry.name))
                found += [identity] if identity else []
                break
    return found
