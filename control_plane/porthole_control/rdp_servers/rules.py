"""What an RDP server is, may be, and uses. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from porthole_contract.conditions import ConditionType, Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import PORTS
from porthole_contract.session import Desired
from porthole_control.errors import Conflict, TooMany

TEMPLATE: Final = "rdp"
"""What its sessions are made from."""
MIB: Final = 2**20
ASIDE: Final = {"cpu": "50m", "memory": "192Mi"}
"""What is set aside for a server that runs: what one needs that nobody uses. Twenty of them have
room on a machine that is used by few at a time; what each may use at the most are its limits."""


class ServerStatus(StrEnum):
    """What a server is; the last three pass by themselves."""

    STOPPED = "stopped"
    RUNNING = "running"
    ERROR = "error"
    STARTING = "starting"
    STOPPING = "stopping"


PASSING: Final = frozenset({ServerStatus.STARTING, ServerStatus.STOPPING})

_OF_PHASE: Final[Mapping[str, ServerStatus]] = {
    Phase.PENDING: ServerStatus.STARTING,
    Phase.STARTING: ServerStatus.STARTING,
    Phase.WAKING: ServerStatus.STARTING,
    Phase.RUNNING: ServerStatus.RUNNING,
    Phase.HIBERNATING: ServerStatus.STOPPING,
    Phase.TERMINATING: ServerStatus.STOPPING,
    Phase.HIBERNATED: ServerStatus.STOPPED,
    Phase.TERMINATED: ServerStatus.STOPPED,
    Phase.FAILED: ServerStatus.ERROR,
}


def status_of(phase: str | None, desired: str | None = None) -> ServerStatus:
    """Return what a server is whose newest session is in this phase; None: it has none.

    Args:
        phase: of that session.
        desired: what it is to be; one that sleeps and was told to run is being started, however
            long its agent takes to say so.
    """
    if phase == Phase.HIBERNATED and desired == Desired.RUNNING:
        return ServerStatus.STARTING
    return ServerStatus.STOPPED if phase is None else _OF_PHASE[Phase(phase)]


class TooManyServers(TooMany):
    """Its owner has as many servers as there may be."""

    code = "too_many_servers"


# What is asked for, and what can be had ------------------------------------------------

_LIGHT: Final = frozenset({"xfce", "lxde"})
_NAMES: Final = {"gnome": "GNOME", "kde": "KDE"}


def check_startable(configuration: Mapping[str, Any]) -> None:
    """Check that a server can be started as it is configured.

    Raises:
        Conflict: it asks for something that its desktops do not have.
    """
    for sentence in _missing(configuration):
        raise Conflict("configuration_not_available", sentence)


def _missing(configuration: Mapping[str, Any]) -> Iterator[str]:
    desktop = configuration["desktop_environment"]
    if desktop not in _LIGHT:
        yield (
            f"{_NAMES[desktop]} cannot run here: RDP desktops are light ones, without a display"
            " manager or a graphics card. Configure `xfce` or `lxde`, which name the light desktop."
        )
    if not configuration["use_tls"]:
        yield "There is no RDP without TLS here. Configure `use_tls`: true."
    if not configuration["audio_enabled"]:
        yield "Sound cannot be switched off yet. Configure `audio_enabled`: true."
    if not configuration["clipboard_enabled"]:
        yield "The clipboard cannot be switched off yet. Configure `clipboard_enabled`: true."
    if configuration["drive_redirection"]:
        yield (
            "A viewer's drives are not brought into desktops; files have a way of their own,"
            " `porthole session cp`. Configure `drive_redirection`: false."
        )
    if configuration["printer_redirection"]:
        yield "Printers are not brought into desktops. Configure `printer_redirection`: false."


def spec_of(
    configuration: Mapping[str, Any], resources: Mapping[str, Any], home: str
) -> dict[str, Any]:
    """Return what the session of a server is asked to be, as JSON of SessionSpec's fields."""
    width, height = size_of(configuration["resolution"])
    limits = {
        "cpu": f"{round(resources['cpu_limit'] * 1000)}m",
        "memory": f"{resources['memory_limit']}Mi",
        "storage": f"{resources['disk_limit']}Mi",
    }
    return {
        "protocol": "rdp",
        "display": {"width": width, "height": height},
        "resources": {"requests": ASIDE, "limits": limits},
        "home": home,
    }


def size_of(resolution: str) -> tuple[int, int]:
    """Return width and height of `1920x1080`."""
    width, _, height = resolution.partition("x")
    return int(width), int(height)


def free_port(taken: Collection[int], last: int | None) -> int:
    """Return a port that no server of an agent has.

    Args:
        taken: those that are not free.
        last: the one that was given last; the next free one after it is taken, so that a
            client which remembers a port finds another server there as late as can be.

    Raises:
        Conflict: all are taken.
    """
    first = 0 if last is None else last + 1 - PORTS.start
    for at in range(len(PORTS)):
        port = PORTS[(first + at) % len(PORTS)]
        if port not in taken:
            return port
    raise Conflict(
        "ports_exhausted",
        f"All {len(PORTS)} ports of its agent are taken. Delete a server, or take another agent.",
    )


# Its port on the machine of its agent ---------------------------------------------------


def check_exposable(agent: str, runtime: str | None, capacity: Mapping[str, Any]) -> None:
    """Check that an agent can listen on the ports of its servers.

    Args:
        agent: its name.
        runtime: how sessions are run there; None: it has not said.
        capacity: what it says of itself.

    Raises:
        Conflict: it cannot; the sentence says why, and how else a server is reached.
    """
    if capacity.get("rdp_listen") is not None:
        return
    if runtime == "kubernetes":
        why = "In a cluster nothing listens on a server's port."
    else:
        why = (
            f"The agent {agent!r} does not say that it listens on ports: it is told not to"
            " (PORTHOLE_AGENT_RDP_LISTEN is empty), or is too old."
        )
    raise Conflict(
        "expose_not_served",
        f"{why} Leave `expose` out, start the server, and open a door on your own machine:"
        " `porthole session connect SESSION --rdp`.",
    )


def port_condition(conditions: Iterable[Mapping[str, Any]]) -> tuple[bool, str]:
    """Return whether a session's port is listened on, and if it cannot be, why."""
    for one in conditions:
        if one["type"] == ConditionType.EXPOSED:
            failed = one["reason"] == Reason.PORT_UNAVAILABLE
            return one["status"] == "True", one["message"] if failed else ""
    return False, ""


# What it uses --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """What a session has used up to a moment: seconds of a core, bytes."""

    session: UUID
    cpu_seconds: float
    memory: int
    disk: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server used at a moment.

    Attributes:
        cpu_percent: of one core, since the sample before; two cores are 200.
        network_mbps: megabits a second, both ways, since the sample before.
    """

    at: datetime
    session_id: UUID
    cpu_seconds: float
    cpu_percent: float
    memory_bytes: int
    disk_bytes: int
    network_in: int
    network_out: int
    network_mbps: float


_MOST_CORES: Final = 10_000.0
_MOST_MBPS: Final = 1e7
"""What an agent says beyond this is no measure of anything, and sums of it are no numbers."""


def sampled(
    used: Used, now: datetime, before: Sample | None, started: datetime, cores: float
) -> Sample:
    """Return the sample that follows from what was used since the one before, or the start.

    Args:
        used: up to `now`.
        now: when that was so.
        before: the newest sample, of whichever session.
        started: when the session was.
        cores: how many it may use.
    """
    since, cpu, network = started, 0.0, 0
    if before is not None and before.session_id == used.session:
        since, cpu = before.at, before.cpu_seconds
        network = before.network_in + before.network_out
    seconds = max((now - since).total_seconds(), 0.001)
    cpu_used = used.cpu_seconds - cpu
    if cpu_used < 0:
        # What ran was lost and begun again: its counters began again, too. What is more than it
        # can have used since is no new count: only a part of it was begun again.
        cpu_used = used.cpu_seconds if used.cpu_seconds <= cores * seconds else 0.0
    carried = used.received + used.sent
    carried -= network if carried >= network else 0
    return Sample(
        at=now,
        session_id=used.session,
        cpu_seconds=used.cpu_seconds,
        cpu_percent=round(100 * min(cpu_used / seconds, _MOST_CORES), 2),
        memory_bytes=used.memory,
        disk_bytes=used.disk,
        network_in=used.received,
        network_out=used.sent,
        network_mbps=round(min(carried * 8 / 1e6 / seconds, _MOST_MBPS), 3),
    )


def percent(part: float, whole: float) -> float:
    """Return how much of `whole` a part is, 100 at the most."""
    return round(min(100.0, 100 * part / whole), 2)


def shares(sample: Sample, resources: Mapping[str, Any]) -> dict[str, float]:
    """Return how much of its limits a server used, in percent; more than 100 never."""
    return {
        "cpu": percent(sample.cpu_percent, 100 * resources["cpu_limit"]),
        "memory": percent(sample.memory_bytes, resources["memory_limit"] * MIB),
        "disk": percent(sample.disk_bytes, resources["disk_limit"] * MIB),
        "network": percent(sample.network_mbps, resources["network_bandwidth"]),
    }


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a resource is too much used, in percent of its limit."""

    above: float
    severity: str


THRESHOLDS: Final[Mapping[str, Threshold]] = {
    "cpu": Threshold(80, "medium"),
    "memory": Threshold(80, "medium"),
    "disk": Threshold(90, "critical"),
    "network": Threshold(80, "medium"),
}
_CALM: Final = 10.0
"""So far below its threshold an alert is over: what goes up and down there is one alert."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert that begins."""

    resource: str
    severity: str
    threshold: float
    value: float
    message: str


def judge(shares: Mapping[str, float], open_now: Collection[str]) -> tuple[list[Raised], set[str]]:
    """Return the alerts that begin with what is used now, and the resources whose end.

    Args:
        shares: as of `shares`.
        open_now: the resources that have an alert already.
    """
    raised = [
        Raised(
            resource,
            limit.severity,
            limit.above,
            shares[resource],
            f"It uses {shares[resource]:.0f} % of the {resource} that it may use.",
        )
        for resource, limit in THRESHOLDS.items()
        if shares[resource] > limit.above and resource not in open_now
    ]
    over = {one for one in open_now if shares[one] < THRESHOLDS[one].above - _CALM}
    return raised, over
