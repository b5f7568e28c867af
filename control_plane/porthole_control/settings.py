"""Settings of the control plane; each says what it means, its unit, and what None does.

They come from the environment (`PORTHOLE_...`, e.g. `PORTHOLE_PORT=8080`). Secrets do not:
they are files below `secrets`, readable by their owner only.
"""

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def split_address(text: str, port: int) -> tuple[str, int]:
    """Return address and port of `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ValueError: it is none of these.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("must be an address, or an address and a port such as 10.0.0.5:8443")
    address = match["bracketed"] or match["plain"]
    ip_address(address)
    number = int(match["port"] or port)
    if number >= 2**16:
        raise ValueError("must have a port below 65536")
    return address, number


_ADDRESS = re.compile(
    r"(?:\[(?P<bracketed>[0-9a-fA-F:.]+)\]|(?P<plain>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?"
)


class Settings(BaseSettings):
    """How one control plane process is run."""

    model_config = SettingsConfigDict(env_prefix="PORTHOLE_", extra="ignore", frozen=True)

    home: Path = Path("/var/lib/porthole")
    """Where this instance keeps its state: `postgres/`, `secrets/` and `run/` are below it."""

    instance: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] | None = None
    """Tells this instance's cookie from another's on the same host name. None: made from the
    path of `home`, so that every home has its own."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port of the API and the console, on 127.0.0.1 and on `listen`. 0 takes a free one."""

    listen: str | None = None
    """A further address to serve on, with TLS: what other machines reach us at. `ADDRESS` uses
    `port`; `ADDRESS:PORT` (IPv6: `[ADDRESS]:PORT`) another one, which 0.0.0.0 and [::] need.
    None serves this machine only."""

    tls_certificate: Path | None = None
    """PEM file with the certificate chain for `listen`. None: a self-made one is kept in
    `secrets/`; its fingerprint is part of every join token."""

    tls_key: Path | None = None
    """PEM file with that certificate's key. Needed when `tls_certificate` is given."""

    tls_pinned: bool = False
    """Whether nobody vouches for `tls_certificate`: join tokens carry its fingerprint then."""

    public_url: str | None = None
    """What people and agents reach us at, e.g. `https://desktops.example`. None: the address
    of `listen`, else http://127.0.0.1. Needed behind a proxy."""

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Further host names (comma-separated, no port) that a request may name in its Host
    header. localhost, this machine's name, the one in `public_url` and plain addresses always
    may; any other name is refused, so that no web page can reach us under a name of its own."""

    internal: str | None = None
    """Where probes and metrics are: `unix:PATH`, or `HOST:PORT` with an address that only
    operators reach. None: the socket `run/control-plane.sock` below `home`."""

    replica_listen: str = "127.0.0.1"
    """Where other control plane processes on the same database pass streams on to us, with TLS:
    `ADDRESS` takes a free port, `ADDRESS:PORT` (IPv6: `[ADDRESS]:PORT`) this one. Processes on
    other machines need an address that they can reach."""

    replica_address: str | None = None
    """The host name or address under which they reach it, without port. None: `replica_listen`."""

    metrics_token_file: Path | None = None
    """File with the token that /metrics asks for. None: `secrets/metrics-token`, made when
    missing."""

    database_url: str | None = None
    """libpq's connection string of Postgres 14 or newer, without the password (that is what
    a passfile or `database_password_file` is for). None: the embedded Postgres of `home`."""

    database_password_file: Path | None = None
    """File with the password for `database_url`. None: libpq's own ways."""

    database_connections: Annotated[int, Field(ge=2, le=500)] = 10
    """Connections kept open per process; as many again may be opened for a moment."""

    migrate: bool = True
    """Whether to bring the database's tables up to date before serving. Replicas that start
    together wait for one another. False: they are waited for; `python -m
    porthole_control.migrate` brings them up to date."""

    administrator: str = "admin"
    """Name of the user that exists from the start and may do everything. Their token is in
    `secrets/admin-token`, made when missing."""

    administrator_token_file: Path | None = None
    """File with the administrator's token, `pht_` and 32 and 64 hexadecimal digits with a `_`
    between: it is made good, so that several processes know the same one. None: as above."""

    cluster_agents: Annotated[dict[str, str], NoDecode] = {}
    """Which ServiceAccounts of our own cluster let an agent join without a join token, and
    what it is called then: `NAMESPACE/NAME=AGENT`, comma-separated."""

    body_limit: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """The most bytes that a request's body may have; larger ones are answered 413."""

    body_timeout: timedelta = timedelta(seconds=20)
    """How long a request's body may take to arrive."""

    request_timeout: timedelta = timedelta(seconds=30)
    """How long an answer may take (live lists and streams excepted)."""

    ticket_lifetime: timedelta = timedelta(seconds=15)
    """How long a ticket opens its stream."""

    sign_in_lifetime: timedelta = timedelta(days=30)
    """How long a browser stays signed in."""

    sign_in_link_lifetime: timedelta = timedelta(minutes=30)
    """How long a link that signs in can be used (once)."""

    idempotency_retention: timedelta = timedelta(days=1)
    """How long the answer to an Idempotency-Key is remembered."""

    session_retention: timedelta = timedelta(days=30)
    """How long ended sessions, their events and their streams are listed."""

    event_retention: timedelta = timedelta(hours=24)
    """How far back a live list can be resumed; older listeners are told to list again."""

    sessions_per_owner: Annotated[int, Field(ge=1)] = 200
    """The most live sessions that one owner may have."""

    rdp_servers_per_owner: Annotated[int, Field(ge=1)] = 50
    """The most RDP servers that one owner may have, running or not."""

    log_format: Literal["json", "text"] = "json"
    """`json` for programs that collect logs, `text` for people."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what is worse."""

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("cluster_agents", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if not all("/" in account and name for account, _, name in pairs):
            raise ValueError("must be NAMESPACE/NAME=AGENT, comma-separated")
        return {account: name for account, _, name in pairs}

    @field_validator("listen", "replica_listen")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None:
            split_address(value, 0)
        return value

    @property
    def secrets(self) -> Path:
        """The directory of this instance's secrets (0700)."""
        return self.home / "secrets"

    @property
    def run(self) -> Path:
        """The directory of sockets and locks."""
        return self.home / "run"
