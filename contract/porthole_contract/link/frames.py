"""What stands in one text frame of the link.

Greeting: the agent says `Hello`, gets a `Challenge`, answers with `Proof` and is given
`Welcome`. After that both sides send `Data`, `Ack`, `Ping`, `Pong`; `Goodbye` is the last
frame of either side and says why.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from porthole_contract.link.commands import ControlItem
from porthole_contract.link.reports import AgentItem
from porthole_contract.model import Code, Message, Sentence

Number = Annotated[int, Field(ge=0, lt=2**53)]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32,128}$")]


class Hello(Message):
    """The agent: who I am, and what I remember of our last conversation.

    `epoch` is the greatest that it was ever welcomed in, so that a control plane whose
    database is older than that does not give it again.
    """

    type: Literal["Hello"] = "Hello"
    version: Annotated[str, Field(max_length=16)]
    """`MAJOR.MINOR` of this protocol, the newest that the agent speaks."""
    agent: UUID
    """Which agent: what enrolment answered."""
    instance: UUID
    """Which process of it: made at each start, and kept as long as that runs."""
    nonce: Nonce
    """Fresh random bytes, in lower-case hexadecimal digits."""
    conversation: UUID | None = None
    """The conversation that is remembered; left out by one that was just started."""
    received: Number = 0
    """The number of the last item of it that was taken."""
    epoch: Number = 0
    """The greatest epoch that this agent was ever welcomed in."""
    program: Code = ""
    """Name and version of the program, for people."""


class Challenge(Message):
    """The control plane: prove it, for this epoch."""

    type: Literal["Challenge"] = "Challenge"
    version: str
    """The newest version that the control plane speaks."""
    control_plane: UUID
    """Which installation: what enrolment answered as `instance`."""
    nonce: Nonce
    """Fresh random bytes, in lower-case hexadecimal digits."""
    epoch: Annotated[int, Field(ge=1, lt=2**53)]
    """What this link will have; goes into the proof."""


class Proof(Message):
    """The agent's Ed25519 signature (hex) over `greeting.statement`."""

    type: Literal["Proof"] = "Proof"
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    """Ed25519, in hexadecimal digits."""


class Welcome(Message):
    """The control plane: you are linked.

    If `resumed`, both go on after what the other has taken; otherwise `conversation` is
    new and both count from nothing.
    """

    type: Literal["Welcome"] = "Welcome"
    conversation: UUID
    """What both are in from now on."""
    resumed: bool
    """Whether it is the one that the agent remembers."""
    received: Number = 0
    """The number of the last item of it that the control plane has taken."""
    epoch: Annotated[int, Field(ge=1, lt=2**53)]
    """The epoch of this link."""


class ControlData(Message):
    """Items of the control plane, numbered from `seq` upwards."""

    type: Literal["Data"] = "Data"
    seq: Annotated[int, Field(ge=1, lt=2**53)]
    """The number of the first item."""
    items: Annotated[tuple[ControlItem, ...], Field(min_length=1, max_length=256)]
    """In their order."""


class AgentData(Message):
    """Items of an agent, numbered from `seq` upwards."""

    type: Literal["Data"] = "Data"
    seq: Annotated[int, Field(ge=1, lt=2**53)]
    """The number of the first item."""
    items: Annotated[tuple[AgentItem, ...], Field(min_length=1, max_length=256)]
    """In their order."""


class Ack(Message):
    """Everything up to `upto` has been taken; up to `window` more may come."""

    type: Literal["Ack"] = "Ack"
    upto: Number
    """The number of the last item that was taken."""
    window: Annotated[int, Field(ge=0, le=4096)]
    """How many more may be said after that one."""


class Ping(Message):
    """Are you there? Whoever has heard less than `said` tells has lost something."""

    type: Literal["Ping"] = "Ping"
    number: Number
    """Counts this side's pings; the answer repeats it."""
    said: Number | None = None
    """The number of the last item before this frame."""


class Pong(Message):
    """I am."""

    type: Literal["Pong"] = "Pong"
    number: Number
    """That of the ping."""


class Goodbye(Message):
    """The last frame. `retry_after` in seconds: None means that redialling is of no use."""

    type: Literal["Goodbye"] = "Goodbye"
    code: Code
    """Why, as a word for programs."""
    message: Sentence = ""
    """Why, as a sentence for people."""
    retry_after: Annotated[float, Field(ge=0, le=3600)] | None = None
    """Seconds after which to dial again; left out: it is of no use."""


FromAgent = Annotated[
    Hello | Proof | AgentData | Ack | Ping | Pong | Goodbye, Field(discriminator="type")
]
FromControl = Annotated[
    Challenge | Welcome | ControlData | Ack | Ping | Pong | Goodbye, Field(discriminator="type")
]
