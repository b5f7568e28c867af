"""What the API says about RDP servers, and what it asks for."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.session import Name as AgentName
from porthole_control.rdp_servers import rules
from porthole_control.rdp_servers.repository import Alert, Server
from porthole_control.rdp_servers.rules import Sample, ServerStatus
from porthole_control.rdp_servers.service import Made

_CLEAN = r"[^\x00-\x1f\x7f]"
Name = Annotated[
    str, Field(min_length=1, max_length=255, pattern=rf"^{_CLEAN}*[^\s\x00-\x1f\x7f]{_CLEAN}*$")
]
Description = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
Desktop = Annotated[
    Literal["xfce", "lxde", "gnome", "kde"],
    Field(description="`xfce` and `lxde` name the light desktop; the others are not started."),
]
_WIDTH = "(3[2-9][0-9]|[4-9][0-9]{2}|[1-6][0-9]{3}|7[0-5][0-9]{2}|76[0-7][0-9]|7680)"
_HEIGHT = "(2[4-9][0-9]|[3-9][0-9]{2}|[1-3][0-9]{3}|4[0-2][0-9]{2}|43[01][0-9]|4320)"
Resolution = Annotated[
    str,
    Field(
        pattern=f"^{_WIDTH}x{_HEIGHT}$",
        description="Width and height in pixels: 320x240 to 7680x4320.",
    ),
]
ColorDepth = Annotated[
    Literal[16, 24, 32],
    Field(description="Bits of a colour. It is kept; what is seen has 32, whatever it says."),
]
Cpu = Annotated[float, Field(ge=0.1, le=8, description="Cores.")]
Memory = Annotated[int, Field(ge=512, le=16384, multiple_of=256, description="MiB.")]
Disk = Annotated[
    int,
    Field(
        ge=1024, le=102400, multiple_of=256, description="MiB of its home, when that is first made."
    ),
]
Bandwidth = Annotated[
    int, Field(ge=100, le=10000, description="Mbit/s, above 80 % of which there is an alert.")
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RdpConfiguration(_Asked):
    """How a server's desktop is made, from its next start on."""

    desktop_environment: Desktop = "xfce"
    resolution: Resolution = "1920x1080"
    color_depth: ColorDepth = 24
    use_tls: bool = True
    audio_enabled: bool = True
    clipboard_enabled: bool = True
    drive_redirection: bool = False
    printer_redirection: bool = False


class RdpConfigurationPatch(_Asked):
    """What of a configuration changes; what is left out stays."""

    desktop_environment: Desktop | None = None
    resolution: Resolution | None = None
    color_depth: ColorDepth | None = None
    use_tls: bool | None = None
    audio_enabled: bool | None = None
    clipboard_enabled: bool | None = None
    drive_redirection: bool | None = None
    printer_redirection: bool | None = None


class RdpResources(_Asked):
    """What a server may use."""

    cpu_limit: Cpu = 2.0
    memory_limit: Memory = 4096
    disk_limit: Disk = 20480
    network_bandwidth: Bandwidth = 1000


class RdpResourcesPatch(_Asked):
    """What of the limits changes; what is left out stays."""

    cpu_limit: Cpu | None = None
    memory_limit: Memory | None = None
    disk_limit: Disk | None = None
    network_bandwidth: Bandwidth | None = None


class NewRdpServer(_Asked):
    """A server that is asked for."""

    name: Name
    description: Description = ""
    user_id: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="Whose it is: the caller, by name or id, and nobody else."
    )
    configuration: RdpConfiguration = RdpConfiguration()
    resources: RdpResources = RdpResources()
    agent: AgentName | None = Field(
        default=None, description="Where it is. None: one is chosen that runs RDP desktops."
    )
    expose: bool = Field(
        default=False,
        description="Have its agent listen on its port while it runs, on the address that the"
        " agent is told: 127.0.0.1, unless its machine's administrator wants another. RDP"
        " programs come in with a password that the answer shows, once. In a cluster that cannot"
        " be had (409).",
    )


class RdpServerPatch(_Asked):
    """What of a server changes; what is left out stays."""

    name: Name | None = None
    description: Description | None = None
    configuration: RdpConfigurationPatch | None = None
    resources: RdpResourcesPatch | None = None


class RdpServerOut(BaseModel):
    """A server: a row that outlives the sessions which it is started as."""

    server_id: UUID
    user_id: str
    name: str
    description: str
    status: ServerStatus
    message: str = Field(description="Why it is so, if there is something to be said.")
    host: str = Field(description="The agent that it is on.")
    port: int = Field(description="Unique on its agent.")
    expose: bool = Field(description="Whether its agent listens on its port while it runs.")
    address: str | None = Field(
        description="Where RDP programs come in now, on its agent's machine. None: nowhere;"
        " `message` says why if it is exposed and runs."
    )
    certificate: str | None = Field(
        description="SHA-256 of the certificate that it shows there; each start makes a new one."
    )
    configuration: RdpConfiguration
    resources: RdpResources
    home: str
    session_id: UUID | None = Field(description="What it runs as, or ran as last.")
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    last_started_at: datetime | None
    last_stopped_at: datetime | None
    version: int = Field(description="Rises with every change; also the ETag.")

    @classmethod
    def of(cls, server: Server) -> Self:
        """Return what the API says of this row."""
        return cls.model_validate(server_json(server))


def server_json(server: Server) -> dict[str, Any]:
    """Return the fields of `RdpServerOut`."""
    listens, trouble = server.port_state
    return {
        "server_id": server.id,
        "user_id": server.owner,
        "name": server.name,
        "description": server.description,
        "status": server.status,
        "message": trouble or server.message or "",
        "host": server.agent,
        "port": server.port,
        "expose": server.password is not None,
        "address": server.address if listens else None,
        "certificate": server.gate["fingerprint"] if listens and server.gate else None,
        "configuration": server.configuration,
        "resources": server.resources,
        "home": server.home,
        "session_id": server.session_id,
        "created_at": server.created_at,
        "updated_at": server.updated_at,
        "started_at": server.started_at if server.status is ServerStatus.RUNNING else None,
        "last_started_at": server.last_started_at,
        "last_stopped_at": server.last_stopped_at,
        "version": server.version,
    }


class RdpServerMade(RdpServerOut):
    """A server, and the password of its port."""

    password: str | None = Field(
        description="What RDP programs show, with any name: shown here and never again. None: it"
        " is not exposed."
    )

    @classmethod
    def made(cls, made: Made) -> Self:
        """Return what the API says of it this once."""
        return cls.model_validate({**server_json(made.server), "password": made.password})


class Pagination(BaseModel):
    """Where a page is among all."""

    page: int
    limit: int
    total: int
    pages: int


class RdpServers(BaseModel):
    """One page of servers."""

    servers: list[RdpServerOut]
    pagination: Pagination


class RdpActionOut(BaseModel):
    """What became of a start, a stop or a restart."""

    server_id: UUID
    action: Literal["start", "stop", "restart"]
    status: ServerStatus
    message: str
    timestamp: datetime
    session_id: UUID | None
    started_at: datetime | None = None
    stopped_at: datetime | None = None


class RdpUsageOut(BaseModel):
    """What a server used at a moment."""

    timestamp: datetime
    cpu_percent: float = Field(description="Of one core: two cores are 200.")
    memory_percent: float = Field(description="Of what it may use, as the next.")
    disk_percent: float
    memory_bytes: int
    disk_bytes: int
    network_in: int = Field(description="Bytes since its start, as the next.")
    network_out: int
    network_mbps: float = Field(description="Mbit/s both ways, since the sample before.")

    @classmethod
    def of(cls, sample: Sample, resources: dict[str, Any]) -> Self:
        """Return what the API says of a sample."""
        shares = rules.shares(sample, resources)
        return cls(
            timestamp=sample.at,
            cpu_percent=min(sample.cpu_percent, 100 * resources["cpu_limit"]),
            memory_percent=shares["memory"],
            disk_percent=shares["disk"],
            memory_bytes=sample.memory_bytes,
            disk_bytes=sample.disk_bytes,
            network_in=sample.network_in,
            network_out=sample.network_out,
            network_mbps=sample.network_mbps,
        )


class RdpUsageHistory(BaseModel):
    """What a server used for some time, oldest first."""

    server_id: UUID
    duration: str
    usage_history: list[RdpUsageOut]


class RdpAlertOut(BaseModel):
    """Something that is, or was, used too much."""

    alert_id: UUID
    severity: Literal["low", "medium", "high", "critical"]
    resource_type: Literal["cpu", "memory", "disk", "network"]
    resource_id: UUID = Field(description="The server.")
    threshold: float = Field(description="Percent of the limit, as the next.")
    current_value: float
    message: str
    created_at: datetime
    resolved_at: datetime | None
    resolved: bool

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Return what the API says of this row."""
        return cls.model_validate(
            {
                "alert_id": alert.id,
                "resource_id": alert.server_id,
                "resolved": alert.resolved_at is not None,
                "severity": alert.severity,
                "resource_type": alert.resource_type,
                "threshold": alert.threshold,
                "current_value": alert.current_value,
                "message": alert.message,
                "created_at": alert.created_at,
                "resolved_at": alert.resolved_at,
            }
        )


class RdpAlerts(BaseModel):
    """The alerts of a server, newest first."""

    active_alerts: list[RdpAlertOut]
    alert_history: list[RdpAlertOut]


class RdpStatusOut(BaseModel):
    """How a server is."""

    server_id: UUID
    status: ServerStatus
    message: str
    uptime: float = Field(description="Seconds; 0 while it does not run.")
    active_sessions: int
    resource_usage: RdpUsageOut | None
    last_health_check: datetime | None = Field(description="When its agent last told of it.")


class RdpServiceStatus(BaseModel):
    """The programs behind a server."""

    xrdp_status: Literal["active", "inactive"]
    xrdp_sesman_status: Literal["active", "inactive"] = Field(
        description="There is no sesman: what it would do, the desktop's supervisor does."
    )
    session_manager: Literal["supervisor"] = "supervisor"


class RdpActiveSession(BaseModel):
    """What a server runs as."""

    session_id: UUID
    phase: str
    viewers: int
    started_at: datetime | None


class RdpActiveSessions(BaseModel):
    """What a server runs as; empty while it is stopped."""

    active_sessions: list[RdpActiveSession]


class RdpConnectionTest(BaseModel):
    """What somebody who connects would have found."""

    connection_available: bool = Field(description="Whether the desktop was drawn, over RDP.")
    port_open: bool = Field(description="Whether RDP was answered on the way to the server.")
    drawn_percent: float = Field(description="So much of the screen was drawn.")
    pictures: int = Field(description="Rectangles of pictures that came.")
    resolution: str | None = Field(description="Of the screen that was drawn.")
    seconds: float = Field(description="From the asking to the picture.")
    message: str


class RdpStatistics(BaseModel):
    """All servers of the caller together."""

    total_servers: int
    running_servers: int
    stopped_servers: int
    error_servers: int
    passing_servers: int = Field(description="Those that are being started or stopped.")
    active_sessions: int
    viewers: int
    active_alerts: int
    cpu_percent: float = Field(description="Of those that run, by their newest samples.")
    memory_bytes: int
    cpu_limit: float
    memory_limit: int
