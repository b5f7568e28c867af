"""What the API says about agents, and what it asks for."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from porthole_contract.quantities import Duration
from porthole_contract.session import Labels, Name
from porthole_control.agents.repository import Agent, JoinToken


class AgentOut(BaseModel):
    """An enrolled place where sessions run."""

    id: UUID
    name: str
    state: Literal["enrolled", "draining", "revoked"]
    linked: bool
    runtime: str | None = Field(description="`local` or `kubernetes`.")
    runtime_uid: str | None = Field(description="Which machine or cluster it speaks for.")
    version: str | None
    labels: dict[str, str]
    capacity: dict[str, Any]
    conditions: list[dict[str, Any]]
    epoch: int = Field(description="Rises with every link.")
    enrolled_by: str
    created_at: datetime
    linked_at: datetime | None
    last_seen_at: datetime | None

    @classmethod
    def of(cls, agent: Agent) -> "AgentOut":
        """Return what the API says of this row."""
        return cls(
            id=agent.id,
            name=agent.name,
            state=agent.state,
            linked=agent.linked,
            runtime=agent.runtime,
            runtime_uid=agent.runtime_uid,
            version=agent.version,
            labels=agent.labels,
            capacity=agent.capacity,
            conditions=agent.conditions,
            epoch=agent.epoch,
            enrolled_by=agent.enrolled_by,
            created_at=agent.created_at,
            linked_at=agent.linked_at,
            last_seen_at=agent.last_seen_at,
        )


class AgentPatch(BaseModel):
    """What an agent should be from now on; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    draining: StrictBool | None = Field(
        default=None, description="Take no new sessions (true), or take them again (false)."
    )
    labels: Labels | None = None


class NewJoinToken(BaseModel):
    """A join token that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What the agent will be called.")
    labels: Labels = Field(default_factory=dict)
    lifetime: Duration = Field(default=timedelta(hours=1), description="How long it can be used.")


class JoinTokenOut(BaseModel):
    """A join token that nobody has used yet, without its secret."""

    id: UUID
    name: str
    labels: dict[str, str]
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, token: JoinToken) -> "JoinTokenOut":
        """Return what the API says of this row."""
        return cls(
            id=token.id,
            name=token.name,
            labels=token.labels,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )


class JoinTokenCreated(BaseModel):
    """A join token that was just made; `token` is shown this once."""

    id: UUID
    name: str
    expires_at: datetime
    token: str = Field(
        description="With the fingerprint of our certificate behind a dot, if we have made it."
    )
    url: str = Field(description="What the agent dials.")
    fingerprint: str | None = Field(
        description="SHA-256 of our certificate (DER, lower hex); null: a public one, or no TLS."
    )


def _key(text: str) -> str:
    try:
        if len(base64.b64decode(text, validate=True)) == _KEY_BYTES:
            return text
    except (binascii.Error, ValueError):
        pass
    raise ValueError("must be the base64 of the 32 bytes of an Ed25519 public key")


_KEY_BYTES = 32


class Enrolment(BaseModel):
    """An agent that wants to be let in."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=8192)] = Field(
        description="A join token, or the token of a ServiceAccount that may let agents in."
    )
    public_key: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"), AfterValidator(_key)
    ] = Field(description="Base64 of an Ed25519 public key; the agent has stored its private half.")


class Enrolled(BaseModel):
    """An agent that was let in."""

    agent_id: UUID
    name: str
    instance: UUID = Field(description="Which installation it belongs to; part of every link.")
