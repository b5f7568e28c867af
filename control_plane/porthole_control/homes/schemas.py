"""What the API says about homes, and what it asks for."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from porthole_control.homes.repository import Home
from porthole_control.sessions.schemas import HomeName


class HomeOut(BaseModel):
    """A user's files."""

    id: UUID
    name: str
    owner: str
    agent: str | None = Field(description="Where they are; null until a first session began.")
    agent_id: UUID | None
    size_bytes: int | None
    used_bytes: int | None
    holder: UUID | None = Field(description="The session that holds it now.")
    deleting: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, home: Home) -> "HomeOut":
        """Return what the API says of this row."""
        return cls(
            id=home.id,
            name=home.name,
            owner=home.owner,
            agent=home.agent,
            agent_id=home.agent_id,
            size_bytes=home.size_bytes,
            used_bytes=home.used_bytes,
            holder=home.holder,
            deleting=home.deleted_at is not None,
            created_at=home.created_at,
            updated_at=home.updated_at,
        )


class HomePatch(BaseModel):
    """What a home should be called from now on."""

    model_config = ConfigDict(extra="forbid")

    name: HomeName
