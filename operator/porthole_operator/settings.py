"""Settings of the operator; each says what it means, its unit, and what None does.

They come from the environment (`PORTHOLE_OPERATOR_...`; lists in JSON).
"""

import json
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from porthole_contract.errors import Refused
from porthole_contract.stream.grant import Issuer
from porthole_operator.desired.recipe import Site
from porthole_operator.rights import LEASE

_ISSUERS: TypeAdapter[tuple[Issuer, ...]] = TypeAdapter(tuple[Issuer, ...])


class Settings(BaseSettings):
    """How the operator is run."""

    model_config = SettingsConfigDict(env_prefix="PORTHOLE_OPERATOR_", extra="ignore", frozen=True)

    namespaces: Annotated[tuple[str, ...], Field(min_length=1)] = ("porthole-sessions",)
    """Where Sessions are looked for."""

    kubeconfig: Path | None = None
    """How the API server is reached. None: as from inside a pod."""

    issuers_file: Path | None = None
    """Who may sign grants for gates, as a gate's `issuers`: JSON. It is read before each start of
    a session. None: nobody but the operator itself."""

    registry: str = "localhost/porthole"
    """Where images of a bare name come from."""

    image_version: str = Field(default_factory=lambda: version("porthole"))
    """Which version of them. Unset: the operator's own."""

    gate_image: str | None = None
    """The gate's image. None: `porthole-gate` of `registry`."""

    system_namespace: str = "porthole-system"
    """Where the operator and the agent run."""

    lease_name: str = LEASE
    """The Lease that says which replica is the operator."""

    lease_namespace: str | None = None
    """Where it is. None: in `system_namespace`."""

    lease_seconds: Annotated[int, Field(ge=2)] = 15
    """How long a replica that is silent is taken to be alive."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Where `GET /healthz` is answered; 0 is nowhere."""

    metrics: str | None = None
    """Where `GET /metrics` is answered to who has the token: `unix:PATH` or `HOST:PORT`. None:
    nowhere."""

    metrics_token_file: Path = Path("/run/porthole-metrics/token")
    """File with that token."""

    gate_port: Annotated[int, Field(ge=1, le=65535)] = 7443
    """Where gates listen."""

    resync_every: timedelta = timedelta(seconds=20)
    """How often all Sessions are listed."""

    log_format: Literal["json", "text"] = "json"
    """`json` for programs that collect logs, `text` for people."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what is worse."""

    def issuers(self) -> tuple[Issuer, ...]:
        """Return who may sign grants.

        Raises:
            Refused: the file is missing or not a list of issuers.
        """
        if self.issuers_file is None:
            return ()
        try:
            return _ISSUERS.validate_python(json.loads(self.issuers_file.read_bytes()))
        except (OSError, ValueError, ValidationError) as error:
            raise Refused(
                "issuers_unreadable", f"The issuers in {self.issuers_file} cannot be read: {error}"
            ) from error

    def site(self) -> Site:
        """Return what is the same for all Sessions.

        Raises:
            Refused: the issuers cannot be read.
        """
        return Site(
            registry=self.registry,
            version=self.image_version,
            gate_image=self.gate_image or f"{self.registry}/porthole-gate:{self.image_version}",
            system_namespace=self.system_namespace,
            issuers=self.issuers(),
        )
