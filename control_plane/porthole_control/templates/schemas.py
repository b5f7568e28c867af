"""What the API says about templates, and what it asks for."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.session import Name, Protocol
from porthole_contract.template import SessionTemplateSpec
from porthole_control.templates.rules import Known


class OfferOut(BaseModel):
    """What one agent says about a template."""

    agent_id: UUID
    agent: str
    offered: bool
    message: str = Field(description="Why not, in a sentence.")


class TemplateOut(BaseModel):
    """A template, in its newest revision."""

    name: str
    revision: int
    digest: str
    title: str
    description: str
    icon: str | None
    protocols: list[Protocol]
    source: Literal["api", "agent"] = Field(
        description="`api`: made here; `agent`: brought along by an agent."
    )
    available: bool = Field(description="Whether some agent can run it.")
    message: str = Field(description="Why none can, in a sentence.")
    offers: list[OfferOut]
    updated_at: datetime
    spec: SessionTemplateSpec

    @classmethod
    def of(cls, template: Known) -> "TemplateOut":
        """Return what the API says of this template."""
        newest = template.newest
        return cls(
            name=newest.name,
            revision=newest.revision,
            digest=newest.digest,
            title=newest.spec.title,
            description=newest.spec.description,
            icon=newest.spec.icon,
            protocols=list(newest.spec.protocols),
            source="api" if template.source == "api" else "agent",
            available=template.available,
            message=template.message,
            offers=[
                OfferOut(
                    agent_id=offer.agent_id,
                    agent=offer.agent,
                    offered=offer.offered,
                    message=offer.message,
                )
                for offer in template.offers
            ],
            updated_at=newest.created_at,
            spec=newest.spec,
        )


class TemplateContent(BaseModel):
    """What a template should be from now on."""

    model_config = ConfigDict(extra="forbid")

    spec: SessionTemplateSpec


class NewTemplate(TemplateContent):
    """A template that is to be made."""

    name: Name
