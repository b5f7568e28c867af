"""What the API says about sessions, and what it asks for."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from porthole_contract.conditions import Condition
from porthole_contract.lifecycle import Phase
from porthole_contract.quantities import Duration
from porthole_contract.session import (
    Desired,
    Labels,
    LabelsPatch,
    Name,
    Protocol,
    SessionFields,
    SessionSpec,
    Template,
)
from porthole_control.events.repository import SessionEvent
from porthole_control.sessions.repository import Session
from porthole_control.sessions.rules import all_conditions, message_of

HomeName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f\x7f/]+$")]


class NewSession(SessionFields):
    """A session that is asked for: a template, and any field that should be another."""

    model_config = ConfigDict(title="NewSession")

    template: Template = Field(
        description="A template by its name, `desktop`, or one of its revisions, `desktop@3`."
    )
    name: Name | None = Field(default=None, description="None: one is made of the template's.")
    agent: Name | None = Field(default=None, description="The agent that must run it.")
    agent_labels: Labels = Field(
        default_factory=dict,
        alias="agent_labels",
        description="What the agent that runs it must be labelled.",
    )
    desired: Desired = Desired.RUNNING
    home: HomeName | None = Field(
        default=None, description="A home by its name, made if there is none yet; null: none."
    )
    labels: Labels = Field(default_factory=dict)
    start_deadline: Duration | None = Field(
        default=None,
        alias="start_deadline",
        description="Give up if it has not begun within this time; null: never.",
    )


class DisplayPatch(BaseModel):
    """What of a screen changes; null goes back to what the template says."""

    model_config = ConfigDict(extra="forbid")

    width: Annotated[int, Field(ge=320, le=7680)] | None = None
    height: Annotated[int, Field(ge=240, le=4320)] | None = None
    scale: Annotated[int, Field(ge=50, le=400)] | None = None


class IdlePatch(BaseModel):
    """What changes of what happens when nobody uses it; null goes back to the template."""

    model_config = ConfigDict(extra="forbid")

    after: Duration | None = None
    action: Literal["Hibernate", "Delete"] | None = None


class SessionPatch(BaseModel):
    """A merge patch (RFC 7396): what is null goes back to what the template says."""

    model_config = ConfigDict(extra="forbid")

    desired: Desired | None = None
    display: DisplayPatch | None = None
    labels: LabelsPatch | None = None
    idle: IdlePatch | None = None
    lifetime: Duration | None = None


class SessionOut(BaseModel):
    """A session: what it should be (`spec`, `desired`, `order`) and what it is."""

    id: UUID
    name: str
    owner: str
    foreign_owner: str | None = Field(
        description="Who its agent says it belongs to, if that agent may not say so."
    )
    origin: Literal["api", "kubectl"]
    template: str
    template_revision: int | None
    protocol: Protocol
    agent: str | None
    agent_id: UUID | None
    home: str | None
    home_id: UUID | None
    desired: Desired
    order: int = Field(description="The number of the newest desired state.")
    reported_order: int = Field(description="The order that its agent last said it holds.")
    phase: Phase
    reason: str
    message: str
    queue_place: int | None = Field(
        description="Its place among those that wait for room, from 1; null: it does not."
    )
    conditions: list[Condition]
    viewers: int
    restarts: int
    labels: dict[str, str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    last_activity_at: datetime | None
    ended_at: datetime | None
    version: int = Field(description="Rises with every change; also the ETag.")
    spec: SessionSpec


def session_json(session: Session) -> dict[str, Any]:
    """Return the JSON form of `SessionOut`.

    Made without validating what we have validated before: lists are asked for all day.
    """
    spec = session.spec
    return {
        "id": session.id,
        "name": session.name,
        "owner": session.owner,
        "foreign_owner": session.foreign_owner,
        "origin": session.origin,
        "template": session.template,
        "template_revision": session.template_revision,
        "protocol": spec.get("protocol") or Protocol.VNC,
        "agent": session.agent,
        "agent_id": session.agent_id,
        "home": session.home or spec.get("home"),
        "home_id": session.home_id,
        "desired": session.desired,
        "order": session.order_no,
        "reported_order": session.reported_order,
        "phase": session.phase,
        "reason": session.reason,
        "message": message_of(session),
        "queue_place": session.queue_place,
        "conditions": all_conditions(session),
        "viewers": session.viewers,
        "restarts": session.restarts,
        "labels": spec.get("labels", {}),
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "started_at": session.started_at,
        "last_activity_at": session.last_activity_at,
        "ended_at": session.deleted_at,
        "version": session.version,
        "spec": spec,
    }


class SessionEventOut(BaseModel):
    """One line of a session's story."""

    id: int
    at: datetime
    kind: str = Field(description="A word for programs.")
    phase: Phase | None
    reason: str
    message: str = Field(description="A sentence for people.")

    @classmethod
    def of(cls, event: SessionEvent) -> "SessionEventOut":
        """Return what the API says of this row."""
        return cls(
            id=event.id,
            at=event.at,
            kind=event.kind,
            phase=None if event.phase is None else Phase(event.phase),
            reason=event.reason,
            message=event.message,
        )
