"""What a cluster may leave behind on the machine, looked for by name and by comparison."""

import contextlib
import shutil
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Traces:
    """What is on the machine now.

    Network interfaces and packet rules are the whole machine's; the rest is what carries the
    name of one cluster.
    """

    links: frozenset[str]
    rules: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]

    @classmethod
    def of(cls, folder: Path, name: str) -> "Traces":
        """Look for what belongs to the cluster `name` with its state in `folder`."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        tops = (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/"))
        cgroups = (path for top in tops for path in top.glob(f"porthole-cluster-{name}*"))
        return cls(
            links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            rules=_rules(),
            processes=_processes(str(folder), f"porthole-cluster-{name}"),
            mounts=frozenset(line for line in mounts if str(folder) in line),
            cgroups=frozenset(map(str, cgroups)),
        )

    def new_since(self, before: "Traces") -> dict[str, list[str]]:
        """Return what is here and was not there, by kind; empty if nothing is."""
        found = {
            one.name: sorted(getattr(self, one.name) - getattr(before, one.name))
            for one in fields(self)
        }
        return {kind: things for kind, things in found.items() if things}


def network_namespaces(cgroup: str) -> set[str]:
    """Return the network namespaces of all processes in control groups of this name."""
    found = set()
    for process in _numbered():
        with contextlib.suppress(OSError):
            if cgroup in (process / "cgroup").read_text():
                found.add(str((process / "ns/net").readlink()))
    return found


def all_network_namespaces() -> set[str]:
    """Return the network namespaces that any process is in."""
    found = set()
    for process in _numbered():
        with contextlib.suppress(OSError):
            found.add(str((process / "ns/net").readlink()))
    return found


def _rules() -> frozenset[str]:
    found: set[str] = set()
    for program in ("iptables-save", "ip6tables-save"):
        if shutil.which(program):
            lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout
            # Counters in brackets change by themselves.
            found |= {
                f"{program}: {line.partition(' [')[0]}"
                for line in lines.splitlines()
                if not line.startswith("#")
            }
    return frozenset(found)


def _processes(*names: str) -> frozenset[str]:
    found = set()
    for process in _numbered():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            told = f"{words} {(process / 'cgroup').read_text()}"
            if words and any(name in told for name in names):
                found.add(f"{process.name} {words}")
    return frozenset(found)


def _numbered() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
