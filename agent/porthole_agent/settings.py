"""Settings of the agent; each says what it means, its unit, and what None does.

They come from the environment (`PORTHOLE_AGENT_...`; `PORTHOLE_HOME` as for every part).
Secrets do not: the agent's key is a file that only its owner reads.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How one agent is run."""

    model_config = SettingsConfigDict(env_prefix="PORTHOLE_AGENT_", extra="ignore", frozen=True)

    home: Annotated[
        Path, Field(validation_alias=AliasChoices("PORTHOLE_AGENT_HOME", "PORTHOLE_HOME"))
    ] = Path("/var/lib/porthole")
    """The instance's home; the agent uses nothing of it but `agent/`."""

    url: str | None = None
    """Where the control plane is reached. None: where it was joined."""

    run_id: str | None = None
    """Which run of the machine's Porthole this agent belongs to. When it differs from the
    last one, the desktops of that run are ended first and their sessions begin anew. None:
    whatever runs is adopted."""

    end_desktops: bool = False
    """Whether SIGTERM ends the desktops too. False: they go on, and the next agent adopts
    them."""

    max_sessions: Annotated[int, Field(ge=0)] = 20
    """The most sessions that run at once."""

    cpu: Annotated[float, Field(gt=0)] | None = None
    """Cores that sessions may be given. None: all of the machine's."""

    memory: ByteSize | None = None
    """Memory that sessions may be given. None: most of the machine's."""

    install_packages: bool = False
    """Whether a template's missing Debian packages may be installed on this machine."""

    inventory_every: timedelta = timedelta(minutes=3)
    """How often everything there is is reported, besides what changes."""

    log_format: Literal["json", "text"] = "json"
    """`json` for programs that collect logs, `text` for people."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged: this and what is worse."""

    @property
    def folder(self) -> Path:
        """Everything that the agent keeps."""
        return self.home / "agent"
