"""What a session's two containers and programs are told (pure): effective -> descriptions."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from porthole_agent.runtimes.local.oci import Container, Limits, bind, scratch, volume
from porthole_agent.runtimes.local.ourselves import SUPERVISOR, Ourselves
from porthole_agent.runtimes.local.record import Record
from porthole_agent.runtimes.local.rootfs import HOME, USER, Identity
from porthole_contract import configuration
from porthole_contract.effective import Effective, keyboard_of
from porthole_contract.keyboard import DEFAULT_KEYBOARD
from porthole_contract.session import Protocol
from porthole_contract.stream.channels import SERVED
from porthole_contract.stream.grant import SigningKey

MIB: Final = 2**20
GATE_LIMITS: Final = Limits(cpu=1.0, cpu_request=0.1, memory=256 * MIB, tasks=64)
SHELF_LIMITS: Final = Limits(cpu=1.0, cpu_request=0.1, memory=256 * MIB, tasks=64)
"""Of what serves files while a desktop sleeps."""
DESKTOP_TASKS: Final = 2048
"""A browser with many tabs has about a thousand."""
SHARED_SIZE: Final = 4 * MIB
"""Bytes of each of the two small filesystems of sockets and logs."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a session are on this machine."""

    desktop_root: str
    gate_root: str
    desktop_config: str
    gate_config: str
    sockets: str
    gate_sockets: str
    namespace: str
    device: str
    etc: tuple[str, ...]
    caches: tuple[str, ...]
    open_files: int


def container_name(session: UUID, part: str) -> str:
    """Return the name of a session's container and of its cgroup."""
    return f"porthole-{session.hex}-{part}"


def hostname(record: Record) -> str:
    """Return what the desktop calls itself."""
    return configuration.hostname(record.name, record.spec)


def desktop_identity(record: Record, effective: Effective) -> Identity:
    """Return who the desktop is to itself."""
    return Identity(
        hostname=hostname(record),
        uid=record.desktop_uid,
        gid=record.desktop_uid,
        shared_gid=record.gate_uid,
        machine_id=record.session.hex,
        timezone=effective.timezone,
    )


def shelf_identity(record: Record) -> Identity:
    """Return who serves its files to itself, while it sleeps."""
    return Identity(
        hostname=hostname(record),
        uid=record.desktop_uid,
        gid=record.desktop_uid,
        shared_gid=record.gate_uid,
        machine_id=record.session.hex,
    )


def gate_identity(record: Record) -> Identity:
    """Return who the gate is to itself."""
    return Identity(
        hostname="gate",
        uid=record.gate_uid,
        gid=record.gate_uid,
        shared_gid=record.gate_uid,
        machine_id=record.session.hex,
    )


def shelf_config(record: Record) -> dict[str, Any]:
    """Return the supervisor's `config.json` while it sleeps and its files are used."""
    return configuration.shelf_config(gate_uid=record.gate_uid)


def supervisor_config(record: Record, effective: Effective, stop_seconds: int) -> dict[str, Any]:
    """Return the supervisor's `config.json`."""
    return configuration.supervisor_config(
        record.name, effective, gate_uid=record.gate_uid, stop_seconds=stop_seconds
    )


def gate_config(record: Record, key: SigningKey, *, asleep: bool = False) -> dict[str, Any]:
    """Return the gate's `config.json`; of one that is `asleep` there are only files."""
    modes = {mode for served in SERVED.values() for mode in served}
    template = record.template.spec
    protocols = (Protocol.VNC,) if template is None else template.protocols
    return configuration.gate_config(
        record.session,
        record.fingerprint,
        [key.issuer(channels=SERVED, modes=modes)],
        listen="unix:/run/gate/gate.sock",
        health="unix:/run/gate/health.sock",
        desktop_uid=record.desktop_uid,
        protocols=() if asleep else protocols,
        files=None if template is None else template.files,
        clipboard=None if template is None else template.clipboard,
        keyboard=DEFAULT_KEYBOARD if template is None else keyboard_of(record.spec, template),
        traceparent=None if record.start is None else str(record.start),
    )


def desktop_container(
    record: Record, effective: Effective, places: Places, ourselves: Ourselves, kept: int
) -> Container:
    """Return the desktop's container; `kept` descriptors are its locks, from 3 on."""
    uid = record.desktop_uid
    runtime_folder = f"/run/user/{uid}"
    room = min(effective.memory_limit // 2, 1024 * MIB)
    # Where xrdp's programs meet is written into them.
    own = [scratch("/run/xrdp", MIB, "0700", uid=uid, gid=uid)] if _over_rdp(effective) else []
    return Container(
        name=container_name(record.session, "desktop"),
        hostname=hostname(record),
        root=places.desktop_root,
        uid=uid,
        gid=uid,
        groups=(record.gate_uid,),
        args=_supervisor(ourselves, kept),
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
            "HOME": HOME,
            "USER": USER,
            "LOGNAME": USER,
            "SHELL": "/bin/bash",
            "XDG_RUNTIME_DIR": runtime_folder,
        },
        cwd=HOME,
        mounts=(
            bind("/usr"),
            *(bind(path) for path in ourselves.desktop_paths),
            *(bind(f"/etc/{name}") for name in places.etc),
            *(bind(path) for path in places.caches),
            scratch("/tmp", room),  # noqa: S108 - of the container
            scratch("/dev/shm", room),  # noqa: S108 - of the container
            scratch(runtime_folder, 16 * MIB, "0700", uid=uid, gid=uid),
            *own,
            bind(ourselves.supervisor, SUPERVISOR),
            bind(places.desktop_config, "/run/porthole-config", execute=False),
            bind(places.sockets, "/run/porthole", write=True, execute=False),
            volume(places.device, HOME),
        ),
        network=places.namespace,
        limits=Limits(
            cpu=effective.cpu_limit,
            cpu_request=effective.cpu_request,
            memory=effective.memory_limit,
            tasks=DESKTOP_TASKS,
        ),
        open_files=places.open_files,
        sooner=500,
    )


def _supervisor(ourselves: Ourselves, kept: int) -> tuple[str, ...]:
    keep = [word for fd in range(3, 3 + kept) for word in ("--keep-fd", str(fd))]
    config = ("--config", "/run/porthole-config/config.json")
    return (ourselves.desktop_python, "-I", "-B", SUPERVISOR, *config, *keep)


def shelf_container(record: Record, places: Places, ourselves: Ourselves, kept: int) -> Container:
    """Return what stands in for the desktop while it sleeps and its files are used.

    It sees no network and none of the desktop's programs.
    """
    uid = record.desktop_uid
    return Container(
        name=container_name(record.session, "desktop"),
        hostname=hostname(record),
        root=places.desktop_root,
        uid=uid,
        gid=uid,
        groups=(record.gate_uid,),
        args=_supervisor(ourselves, kept),
        env={"PATH": "/usr/bin:/bin", "HOME": HOME, "USER": USER, "LANG": "C.UTF-8"},
        cwd="/",
        mounts=(
            bind("/usr"),
            *(bind(path) for path in ourselves.desktop_paths),
            *(bind(f"/etc/{name}") for name in places.etc),
            scratch("/tmp", MIB),  # noqa: S108 - of the container
            bind(ourselves.supervisor, SUPERVISOR),
            bind(places.desktop_config, "/run/porthole-config", execute=False),
            bind(places.sockets, "/run/porthole", write=True, execute=False),
            volume(places.device, HOME),
        ),
        network=None,
        limits=SHELF_LIMITS,
        open_files=min(places.open_files, 4096),
        sooner=500,
    )


def _over_rdp(effective: Effective) -> bool:
    return Protocol.RDP in effective.protocols


def gate_container(record: Record, places: Places, ourselves: Ourselves) -> Container:
    """Return the gate's container.

    It sees no network, no home, and nothing of the desktop but the folder of sockets.
    """
    return Container(
        name=container_name(record.session, "gate"),
        hostname="gate",
        root=places.gate_root,
        uid=record.gate_uid,
        gid=record.gate_uid,
        groups=(),
        args=(
            *(ourselves.gate_python, "-I", "-B", "-m", "porthole_desktop.gate"),
            *("--config", "/run/gate-config/config.json"),
        ),
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"},
        cwd="/",
        mounts=(
            bind("/usr"),
            bind("/etc/ld.so.cache"),
            scratch("/tmp", MIB),  # noqa: S108 - of the container
            # After /tmp: our own files may be below it.
            *(bind(path) for path in ourselves.gate_paths),
            bind(places.gate_config, "/run/gate-config", execute=False),
            bind(places.gate_sockets, "/run/gate", write=True, execute=False),
            bind(places.sockets, "/run/porthole", execute=False),
        ),
        network=None,
        limits=GATE_LIMITS,
        open_files=min(places.open_files, 4096),
    )
