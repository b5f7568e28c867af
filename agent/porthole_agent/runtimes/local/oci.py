"""OCI configurations of the two containers of a session, as runc reads them (pure)."""

from dataclasses import dataclass
from typing import Any, Final

from porthole_agent.runtimes.local.seccomp import profile

Json = dict[str, Any]

MASKED: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
)
READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
PERIOD: Final = 100_000
"""Microseconds over which the CPU quota is counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use: cores, bytes, number of tasks."""

    cpu: float
    cpu_request: float
    memory: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Container:
    """What is different between one container and another.

    `network`: path of a network namespace, or None for an empty one of its own. `groups`:
    further gids. `open_files`: how many each of its processes may have, which cannot be more
    than we may. `sooner`: how much sooner than others the kernel ends it when memory runs
    out (0-1000).
    """

    name: str
    hostname: str
    root: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    args: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    mounts: tuple[Json, ...]
    network: str | None
    limits: Limits
    open_files: int = 4096
    sooner: int = 0


def bind(
    source: str, target: str | None = None, *, write: bool = False, execute: bool = True
) -> Json:
    """Return a bind mount; read-only unless `write`, never setuid, never devices."""
    options = ["rbind" if not write else "bind", "rw" if write else "ro", "nosuid", "nodev"]
    if not execute:
        options.append("noexec")
    return {
        "destination": target or source,
        "type": "bind",
        "source": source,
        "options": options,
    }


def scratch(target: str, size: int, mode: str = "1777", *, uid: int = 0, gid: int = 0) -> Json:
    """Return a filesystem in memory of at most `size` bytes; it counts as memory used."""
    return {
        "destination": target,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [
            "nosuid",
            "nodev",
            f"mode={mode}",
            f"uid={uid}",
            f"gid={gid}",
            f"size={size}",
            f"nr_inodes={max(1024, size // 4096)}",
        ],
    }


def volume(device: str, target: str) -> Json:
    """Return the mount of an ext4 filesystem on a block device."""
    return {
        "destination": target,
        "type": "ext4",
        "source": device,
        "options": ["nosuid", "nodev", "noatime"],
    }


def configuration(container: Container) -> Json:
    """Return the whole `config.json`."""
    network: Json = {"type": "network"}
    if container.network is not None:
        network["path"] = container.network
    return {
        "ociVersion": "1.0.2",
        "hostname": container.hostname,
        "root": {"path": container.root, "readonly": True},
        "process": {
            "terminal": False,
            "user": {
                "uid": container.uid,
                "gid": container.gid,
                "additionalGids": list(container.groups),
                "umask": 0o022,
            },
            "args": list(container.args),
            "env": [f"{name}={value}" for name, value in sorted(container.env.items())],
            "cwd": container.cwd,
            "capabilities": {
                kind: []
                for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
            },
            "noNewPrivileges": True,
            "oomScoreAdj": container.sooner,
            "rlimits": [
                {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
                {
                    "type": "RLIMIT_NOFILE",
                    "hard": container.open_files,
                    "soft": min(8192, container.open_files),
                },
            ],
        },
        "mounts": [*_SYSTEM, *container.mounts],
        "linux": {
            "namespaces": [
                {"type": "pid"},
                {"type": "mount"},
                {"type": "ipc"},
                {"type": "uts"},
                {"type": "cgroup"},
                network,
            ],
            "cgroupsPath": f"/{container.name}",
            "resources": _resources(container.limits),
            "seccomp": profile(),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
        },
    }


_SYSTEM: Final[tuple[Json, ...]] = (
    {
        "destination": "/proc",
        "type": "proc",
        "source": "proc",
        "options": ["nosuid", "noexec", "nodev"],
    },
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=64k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    },
)


def _resources(limits: Limits) -> Json:
    return {
        "devices": [{"allow": False, "access": "rwm"}],
        # The same number for memory and memory with swap: no swap.
        "memory": {"limit": limits.memory, "swap": limits.memory},
        "cpu": {
            "shares": max(2, int(limits.cpu_request * 1024)),
            "quota": max(1000, int(limits.cpu * PERIOD)),
            "period": PERIOD,
        },
        "pids": {"limit": limits.tasks},
    }
