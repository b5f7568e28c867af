"""Settings of the agent; each says what it means, its unit, and what None does.

They come from the environment (`PORTHOLE_AGENT_...`; `PORTHOLE_HOME` as for every part).
Secrets do not: the agent's key is a file that only its owner reads.
"""

from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, ByteSize, Field, IPvAnyAddress, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """How one agent is run."""

    model_config = SettingsConfigDict(env_prefix="PORTHOLE_AGENT_", extra="ignore", frozen=True)

    home: Annotated[
        Path, Field(validation_alias=AliasChoices("PORTHOLE_AGENT_HOME", "PORTHOLE_HOME"))
    ] = Path("/var/lib/porthole")
    """The instance's home; the agent uses nothing of it but `agent/`."""

    runtime: Literal["local", "kubernetes"] = "local"
    """How sessions are run: as processes of this machine, or as objects of a cluster."""

    url: str | None = None
    """Where the control plane is reached. None: where it was joined."""

    key_file: Path | None = None
    """PEM file with the agent's key (Ed25519), shared by its replicas. None: one of its own,
    made when missing, in `agent/`."""

    join_token_file: Path | None = None
    """File with what lets this agent join the control plane at `url` whenever it starts: a
    join token, or a ServiceAccount's token that stands in for one. None: it has joined."""

    authority_file: Path | None = None
    """PEM file with who vouches for the control plane's certificate, besides the public
    authorities. None: those alone, or those in the file that SSL_CERT_FILE names."""

    namespace: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = ("porthole-sessions",)
    """In a cluster: the namespaces of sessions, separated by commas. Those that the control
    plane orders are made in the first."""

    system_namespace: str = "porthole-system"
    """In a cluster: the namespace of the agent itself, of its Lease and of what has ended."""

    kubeconfig: Path | None = None
    """In a cluster: how its API server is reached. None: as a pod's ServiceAccount does."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """In a cluster: where `GET /healthz` and `GET /readyz` are answered; 0 is nowhere."""

    metrics: str | None = None
    """Where `GET /metrics` is answered to who has the token: `unix:PATH` or `HOST:PORT`. None:
    nowhere."""

    metrics_token_file: Path | None = None
    """File with that token. None: `agent/metrics-token`, made when missing."""

    resync_every: timedelta = timedelta(seconds=60)
    """In a cluster: how often everything is listed anew, whatever its watches say."""

    run_id: str | None = None
    """Which run of the machine's Porthole this agent belongs to. When it differs from the
    last one, the desktops of that run are ended first and their sessions begin anew. None:
    whatever runs is adopted."""

    end_desktops: bool = False
    """Whether SIGTERM ends the desktops too. False: they go on, and the next agent adopts
    them."""

    max_sessions: Annotated[int, Field(ge=0)] | None = None
    """The most sessions that run at once. None: 20 on one machine, 1000 in a cluster."""

    cpu: Annotated[float, Field(gt=0)] | None = None
    """Cores that sessions may be given. None: all of the machine's, or of the nodes'."""

    memory: ByteSize | None = None
    """Memory that sessions may be given. None: most of the machine's, all of the nodes'."""

    rdp_listen: IPvAnyAddress | None = IPv4Address("127.0.0.1")
    """On one machine: the address on which RDP programs reach the RDP servers that are exposed,
    each on its own port. Only programs of this machine reach the default. None, or empty:
    nothing is listened on, and no server of this agent can be exposed."""

    install_packages: bool = False
    """Whether a template's missing Debian packages may be installed on this machine."""

    inventory_every: timedelta = timedelta(minutes=3)
    """How often everything there is is reported, besides what changes."""

    log_format: Literal["json", "text"] = "json"
    """`json` for programs that collect logs, `text` for people."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what is worse."""

    @field_validator("rdp_listen", mode="before")
    @classmethod
    def _nowhere(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("namespace", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def folder(self) -> Path:
        """Everything that the agent keeps."""
        return self.home / "agent"
