"""Nothing of a run stays on the machine, whatever went wrong: by the names that the run knows."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_ENDS_WITHIN = 10.0


def clear(folder: Path, sessions: Iterable[str]) -> None:
    """End what sessions have running, and take away what is mounted or attached below a folder."""
    groups = [group for session in set(sessions) for group in _groups_of(session)]
    end = time.monotonic() + _ENDS_WITHIN
    while (pids := {*_pids(groups), *_below(folder)}) and time.monotonic() < end:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for group in groups:
        with contextlib.suppress(OSError):
            group.rmdir()
    for mount in sorted(_mounts(folder), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    for device in _devices(folder):
        subprocess.run(["losetup", "--detach", device], check=False)


def _groups_of(session: str) -> Iterator[Path]:
    name = f"porthole-{session.replace('-', '')}"
    for top in (_GROUPS, *_GROUPS.glob("*/")):
        for part in ("desktop", "gate"):
            if (group := top / f"{name}-{part}").is_dir():
                yield group


def _pids(groups: Iterable[Path]) -> Iterator[int]:
    for group in groups:
        with contextlib.suppress(OSError):
            yield from (int(pid) for pid in (group / "cgroup.procs").read_text().split())


def _below(folder: Path) -> Iterator[int]:
    """Yield processes whose command line names the folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{folder}/".encode() in (entry / "cmdline").read_bytes():
                    yield int(entry.name)


def _mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = (line.split()[4].replace("\\040", " ") for line in lines)
    return [point for point in points if Path(point).is_relative_to(folder)]


def _devices(folder: Path) -> Iterator[str]:
    for busy in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if busy.read_text().startswith(f"{folder}/"):
                yield f"/dev/{busy.parts[3]}"
