"""What of Porthole is on this machine: processes, cgroups, mounts, sockets, loop devices.

    before = Leftovers.of(home)
    ...
    assert Leftovers.of(home) == before

Everything that belongs to one PORTHOLE_HOME and nothing else, so other instances on the same
machine do not disturb. A process belongs to it if its command line, its environment or an
open file names the home, or if it runs in one of its sessions' cgroups.
"""

import contextlib
import json
import os
import struct
from dataclasses import dataclass, fields
from fcntl import ioctl
from pathlib import Path
from typing import Self

_LOOP_GET_STATUS64 = 0x4C05


@dataclass(frozen=True)
class Leftovers:
    """One look; two are equal if nothing was left behind in between.

    `processes` are (pid, command line): compare with `without_processes` where something
    was meant to be restarted.
    """

    processes: frozenset[tuple[int, str]]
    cgroups: frozenset[str]
    mounts: frozenset[str]
    sockets: frozenset[str]
    loops: frozenset[str]
    containers: frozenset[str]
    sessions: frozenset[str]

    @classmethod
    def of(cls, home: Path) -> Self:
        """Look at what belongs to `home`."""
        home = home.resolve()
        containers, sessions = _names(home, "runc"), _names(home, "sessions")
        ids = {name.replace("-", "") for name in sessions}
        ids |= {name.split("-")[1] for name in containers if name.startswith("porthole-")}
        ids |= {path.stem.replace("-", "") for path in home.rglob("ended/*.json")}
        ids |= _journaled(home)
        cgroups = _cgroups(ids)
        return cls(
            processes=_processes(home, cgroups),
            cgroups=frozenset(cgroups),
            mounts=_mounts(home),
            sockets=_sockets(home),
            loops=_loops(home),
            containers=frozenset(containers),
            sessions=frozenset(sessions),
        )

    def without_processes(self) -> dict[str, frozenset[object]]:
        """Return everything else."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "processes"}

    def new_since(self, before: "Leftovers") -> dict[str, list[object]]:
        """Return what is here and was not there, by kind; empty if nothing is."""
        found = {
            field.name: sorted(getattr(self, field.name) - getattr(before, field.name))
            for field in fields(self)
        }
        return {kind: things for kind, things in found.items() if things}


def _names(home: Path, folder: str) -> set[str]:
    return {path.name for top in home.rglob(folder) if top.is_dir() for path in top.iterdir()}


def _journaled(home: Path) -> set[str]:
    """Every session that ever began here."""
    lines = (line for path in home.rglob("journal.jsonl") for line in path.read_text().splitlines())
    return {json.loads(line)["session"].replace("-", "") for line in lines}


def _cgroups(ids: set[str]) -> set[str]:
    found = set()
    for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")):
        for path in top.glob("porthole-*"):
            if path.name.split("-")[1] in ids:
                found.add(str(path))
    return found


def _processes(home: Path, cgroups: set[str]) -> frozenset[tuple[int, str]]:
    ours = set()
    for group in cgroups:
        with contextlib.suppress(OSError):
            ours |= {int(pid) for pid in (Path(group) / "cgroup.procs").read_text().split()}
    name = str(home).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid() and _names_it(entry, name):
            ours.add(int(entry.name))
    found = set()
    for pid in ours:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            # A zombie has no command line: it runs nothing and only waits for its parent.
            if words:
                found.add((pid, words))
    return frozenset(found)


def _names_it(process: Path, name: bytes) -> bool:
    for source in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            if name in (process / source).read_bytes():
                return True
    with contextlib.suppress(OSError):
        for fd in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(fd.readlink()).startswith(f"{name.decode()}/"):
                    return True
    return False


def _mounts(home: Path) -> frozenset[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = (line.split()[4].replace("\\040", " ") for line in lines)
    return frozenset(point for point in points if Path(point).is_relative_to(home))


def _sockets(home: Path) -> frozenset[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = (line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8)
    return frozenset(path for path in paths if path.startswith(f"{home}/"))


def _loops(home: Path) -> frozenset[str]:
    images = {(i.stat().st_dev, i.stat().st_ino): str(i) for i in home.rglob("*.ext4")}
    found = set()
    for busy in Path("/sys/block").glob("loop*/loop"):
        with contextlib.suppress(OSError):
            fd = os.open(f"/dev/{busy.parent.name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                info = ioctl(fd, _LOOP_GET_STATUS64, bytes(232))
            finally:
                os.close(fd)
            backing = struct.unpack_from("=QQ", info)
            name = (busy / "backing_file").read_text().strip()
            if backing in images or name.startswith(f"{home}/"):
                found.add(f"{busy.parent.name} {images.get(backing, name)}")
    return frozenset(found)
