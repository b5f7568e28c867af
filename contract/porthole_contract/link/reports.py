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
from porthole_contract.trace import TraceparentText

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
    """The command's id."""
    outcome: Outcome
    """How it ended."""
    code: Code = ""
    """If it failed: why, as a word for programs."""
    message: Sentence = ""
    """Why, as a sentence for people."""


MOST_EVENTS = 100
"""How many events one report tells at the most; an agent keeps the newest."""


class ObservedEvent(Message):
    """Something that happened to a session at its runtime, for its history."""

    at: Moment
    """When, on the agent's clock."""
    reason: Code
    """What, as a word."""
    message: Sentence = ""
    """What, as a sentence."""


MOST_STREAMS = 32
"""Of how many streams that it let in by itself an agent tells, of one session."""


class StreamSeen(Message):
    """A stream that nobody asked the agent for: a program that came in on the session's port."""

    stream: UUID
    """Which stream."""
    since: Moment
    """When it was opened, on the agent's clock."""
    ended_at: Moment | None = None
    """When it ended; left out: it is open."""
    reason: Code = ""
    """Why it ended, as a word."""
    message: Sentence = ""
    """Why, as a sentence."""
    to_viewer: Bytes = 0
    """Bytes that the viewer was sent, once it has ended."""
    from_viewer: Bytes = 0
    """Bytes that the viewer has sent, once it has ended."""


class SessionObserved(Message):
    """A session as the runtime sees it now.

    `gone` says that nothing of it is left. `desired` is what it is held to under `order`; it
    differs from what was ordered when the runtime itself has put an idle session to sleep.
    `traceparent` is that of the order which it is held to.
    """

    type: Literal["SessionObserved"] = "SessionObserved"
    session: UUID
    """Which session."""
    name: Name
    """What it is called there."""
    owner: Owner
    """Whose it is there."""
    origin: Origin = Origin.API
    """Who made it: the control plane (`api`) or somebody in the cluster."""
    order: Annotated[int, Field(ge=0, lt=2**53)]
    """The order that it is held to; 0 if it never had one."""
    desired: Desired = Desired.RUNNING
    """What it is held to."""
    spec: SessionSpec | None = None
    """All that it is held to."""
    status: SessionStatus
    """How it is."""
    gone: bool = False
    """Whether nothing of it is left."""
    events: Annotated[tuple[ObservedEvent, ...], Field(max_length=MOST_EVENTS)] = ()
    """What happened to it since it was last told of."""
    traceparent: TraceparentText | None = None
    """What its order is a part of, as W3C Trace Context writes it."""
    streams: Annotated[tuple[StreamSeen, ...], Field(max_length=MOST_STREAMS)] = ()
    """Those that came in on its port: all that are open, and the last that have ended."""


class SessionEnded(Message):
    """A session that is gone and that the agent still remembers: why, and when."""

    session: UUID
    """Which session."""
    order: Annotated[int, Field(ge=0, lt=2**53)]
    """The order of its end."""
    reason: Code
    """Why, as a word."""
    message: Sentence = ""
    """Why, as a sentence."""
    at: Moment
    """When."""


class HomeObserved(Message):
    """A home that the agent has. Sizes in bytes; `name` is what it was made under."""

    type: Literal["HomeObserved"] = "HomeObserved"
    home: UUID
    """Which home."""
    owner: Owner
    """Whose it is."""
    name: Annotated[str, Field(max_length=63, pattern=NO_NUL)] = ""
    """What it was made under."""
    size: Bytes
    """How much fits into it, in bytes."""
    used: Bytes | None = None
    """How much is in it, in bytes; left out: nobody can say."""
    holder: UUID | None = None
    """The live session that has it."""
    gone: bool = False
    """Whether it was deleted."""


class TemplateOffered(Message):
    """A template that the agent knows by itself, and whether it can run it now."""

    name: Name
    """What it is called there."""
    spec: SessionTemplateSpec
    """What it says."""
    available: bool = True
    """Whether it can be run there now."""
    reason: Code = ""
    """Why not, as a word."""
    message: Sentence = ""
    """Why not, as a sentence."""


class Capacity(Message):
    """What the agent has for sessions, and what of it they use."""

    sessions: Count
    """How many sessions there may be."""
    sessions_used: Count
    """How many there are."""
    total: ResourceList = ResourceList()
    """What there is for them."""
    used: ResourceList = ResourceList()
    """What they were promised of it."""


class SessionUse(Message):
    """What a session has used since its programs were begun, and holds now."""

    session: UUID
    """Which session."""
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Seconds of one core."""
    memory: Bytes
    """How much memory it holds, in bytes, without what could be dropped at once."""
    disk: Bytes
    """How much is in its home, in bytes; 0 from a cluster, where nobody knows."""
    received: Bytes
    """How much came in from the network, in bytes; viewers count in a cluster alone."""
    sent: Bytes
    """How much went out to it, in bytes."""
    age: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """How many seconds ago it was so."""


MOST_USES = 2000
"""Of how many sessions an agent tells what they use."""


class AgentObserved(Message):
    """The agent itself. `place` is its cluster's UID, or the local runtime's own."""

    type: Literal["AgentObserved"] = "AgentObserved"
    place: UUID
    """Which machine or cluster it speaks for; always the same one."""
    runtime: Literal["kubernetes", "local"]
    """How sessions are run there."""
    program: Code = ""
    """Name and version of the program, for people."""
    capacity: Capacity
    """What there is room for."""
    protocols: tuple[Protocol, ...] = (Protocol.VNC,)
    """Which of the viewers' protocols its sessions can have."""
    templates: Annotated[tuple[TemplateOffered, ...], Field(max_length=1000)] = ()
    """Those that it knows by itself."""
    draining: bool = False
    """Whether it takes no new sessions."""
    uses: Annotated[tuple[SessionUse, ...], Field(max_length=MOST_USES)] = ()
    """What those of its sessions use that run, as far as it can tell."""
    rdp_listen: Annotated[str, Field(max_length=64, pattern=NO_NUL)] | None = None
    """The address whose ports it listens on for sessions that are `exposed`; left out: it does
    not."""


class InventoryPart(Message):
    """A piece of a complete inventory; only all pieces of one snapshot prove an absence.

    `index` counts from 0, the one with `last` ends the snapshot.
    """

    type: Literal["InventoryPart"] = "InventoryPart"
    snapshot: UUID
    """Which inventory: the same in all of its parts."""
    index: Count
    """Which part, counted from 0."""
    last: bool
    """Whether no part follows."""
    place: UUID
    """As in `AgentObserved`."""
    sessions: Annotated[tuple[SessionObserved, ...], Field(max_length=200)] = ()
    """Those that are there."""
    homes: Annotated[tuple[HomeObserved, ...], Field(max_length=200)] = ()
    """Those that are there."""
    ended: Annotated[tuple[SessionEnded, ...], Field(max_length=200)] = ()
    """Those that are not, as far as they are remembered."""


class StreamRefused(Message):
    """The stream could not be opened; the viewer is told `message`."""

    type: Literal["StreamRefused"] = "StreamRefused"
    stream: UUID
    """Which stream."""
    code: Code
    """Why, as a word."""
    message: Sentence
    """Why, as a sentence."""


class WantTemplate(Message):
    """The agent holds a command whose template it lacks."""

    type: Literal["WantTemplate"] = "WantTemplate"
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of the revision, in lower-case hexadecimal digits."""


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
