"""What an agent says to the control plane."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from porthole_contract.model import NO_NUL, Code, Message, Moment, Sentence
from porthole_contract.session import (
    Count,
    Desired,
    Name,
    Owner,
    Protocol,
    ResourceList,
    SessionSpec,
    SessionStatus,
)
from porthole_contract.template import SessionTemplateSpec

Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class Outcome(StrEnum):
    """How a command ended at the agent."""

    SUCCEEDED = "succeeded"  # the runtime durably holds it, or what it deletes is gone
    SUPERSEDED = "superseded"  # a newer order was there already
    FAILED = "failed"  # it cannot be done; the message says why


class Origin(StrEnum):
    """Who made a session."""

    API = "api"
    KUBECTL = "kubectl"


class CommandResult(Message):
    """The end of a command."""

    type: Literal["CommandResult"] = "CommandResult"
    command: UUID
    outcome: Outcome
    code: Code = ""
    message: Sentence = ""


MOST_EVENTS = 100
"""How many events one report tells at the most; an agent keeps the newest."""


class ObservedEvent(Message):
    """Something that happened to a session at its runtime, for its history."""

    at: Moment
    reason: Code
    message: Sentence = ""


class SessionObserved(Message):
    """A session as the runtime sees it now.

    `gone` says that nothing of it is left. `desired` is what it is held to under `order`; it
    differs from what was ordered when the runtime itself has put an idle session to sleep.
    """

    type: Literal["SessionObserved"] = "SessionObserved"
    session: UUID
    name: Name
    owner: Owner
    origin: Origin = Origin.API
    order: Annotated[int, Field(ge=0, lt=2**53)]
    desired: Desired = Desired.RUNNING
    spec: SessionSpec | None = None
    status: SessionStatus
    gone: bool = False
    events: Annotated[tuple[ObservedEvent, ...], Field(max_length=MOST_EVENTS)] = ()


class SessionEnded(Message):
    """A session that is gone and that the agent still remembers: why, and when."""

    session: UUID
    order: Annotated[int, Field(ge=0, lt=2**53)]
    reason: Code
    message: Sentence = ""
    at: Moment


class HomeObserved(Message):
    """A home that the agent has. Sizes in bytes; `name` is what it was made under."""

    type: Literal["HomeObserved"] = "HomeObserved"
    home: UUID
    owner: Owner
    name: Annotated[str, Field(max_length=63, pattern=NO_NUL)] = ""
    size: Bytes
    used: Bytes = 0
    holder: UUID | None = None
    gone: bool = False


class TemplateOffered(Message):
    """A template that the agent knows by itself, and whether it can run it now."""

    name: Name
    spec: SessionTemplateSpec
    available: bool = True
    reason: Code = ""
    message: Sentence = ""


class Capacity(Message):
    """What the agent has for sessions, and what of it they use."""

    sessions: Count
    sessions_used: Count
    total: ResourceList = ResourceList()
    used: ResourceList = ResourceList()


class AgentObserved(Message):
    """The agent itself. `place` is its cluster's UID, or the local runtime's own."""

    type: Literal["AgentObserved"] = "AgentObserved"
    place: UUID
    runtime: Literal["kubernetes", "local"]
    program: Code = ""
    capacity: Capacity
    protocols: tuple[Protocol, ...] = (Protocol.VNC,)
    templates: Annotated[tuple[TemplateOffered, ...], Field(max_length=1000)] = ()
    draining: bool = False


class InventoryPart(Message):
    """A piece of a complete inventory; only all pieces of one snapshot prove an absence.

    `index` counts from 0, the one with `last` ends the snapshot.
    """

    type: Literal["InventoryPart"] = "InventoryPart"
    snapshot: UUID
    index: Count
    last: bool
    place: UUID
    sessions: Annotated[tuple[SessionObserved, ...], Field(max_length=200)] = ()
    homes: Annotated[tuple[HomeObserved, ...], Field(max_length=200)] = ()
    ended: Annotated[tuple[SessionEnded, ...], Field(max_length=200)] = ()


class StreamRefused(Message):
    """The stream could not be opened; the viewer is told `message`."""

    type: Literal["StreamRefused"] = "StreamRefused"
    stream: UUID
    code: Code
    message: Sentence


class WantTemplate(Message):
    """The agent holds a command whose template it lacks."""

    type: Literal["WantTemplate"] = "WantTemplate"
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


AgentItem = Annotated[
    CommandResult
    | SessionObserved
    | HomeObserved
    | AgentObserved
    | InventoryPart
    | StreamRefused
    | WantTemplate,
    Field(discriminator="type"),
]
"""Everything that travels from an agent to the control plane inside `Data`."""
