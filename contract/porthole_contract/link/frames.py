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
    agent: UUID
    instance: UUID
    nonce: Nonce
    conversation: UUID | None = None
    received: Number = 0
    epoch: Number = 0
    program: Code = ""


class Challenge(Message):
    """The control plane: prove it, for this epoch."""

    type: Literal["Challenge"] = "Challenge"
    version: str
    control_plane: UUID
    nonce: Nonce
    epoch: Annotated[int, Field(ge=1, lt=2**53)]


class Proof(Message):
    """The agent's Ed25519 signature (hex) over `greeting.statement`."""

    type: Literal["Proof"] = "Proof"
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Welcome(Message):
    """The control plane: you are linked.

    If `resumed`, both go on after what the other has taken; otherwise `conversation` is
    new and both count from nothing.
    """

    type: Literal["Welcome"] = "Welcome"
    conversation: UUID
    resumed: bool
    received: Number = 0
    epoch: Annotated[int, Field(ge=1, lt=2**53)]


class ControlData(Message):
    """Items of the control plane, numbered from `seq` upwards."""

    type: Literal["Data"] = "Data"
    seq: Annotated[int, Field(ge=1, lt=2**53)]
    items: Annotated[tuple[ControlItem, ...], Field(min_length=1, max_length=256)]


class AgentData(Message):
    """Items of an agent, numbered from `seq` upwards."""

    type: Literal["Data"] = "Data"
    seq: Annotated[int, Field(ge=1, lt=2**53)]
    items: Annotated[tuple[AgentItem, ...], Field(min_length=1, max_length=256)]


class Ack(Message):
    """Everything up to `upto` has been taken; up to `window` more may come."""

    type: Literal["Ack"] = "Ack"
    upto: Number
    window: Annotated[int, Field(ge=0, le=4096)]


class Ping(Message):
    """Are you there? `said` is the number of the last item before this frame."""

    type: Literal["Ping"] = "Ping"
    number: Number
    said: Number | None = None


class Pong(Message):
    """I am."""

    type: Literal["Pong"] = "Pong"
    number: Number


class Goodbye(Message):
    """The last frame. `retry_after` in seconds: None means that redialling is of no use."""

    type: Literal["Goodbye"] = "Goodbye"
    code: Code
    message: Sentence = ""
    retry_after: Annotated[float, Field(ge=0, le=3600)] | None = None


FromAgent = Annotated[
    Hello | Proof | AgentData | Ack | Ping | Pong | Goodbye, Field(discriminator="type")
]
FromControl = Annotated[
    Challenge | Welcome | ControlData | Ack | Ping | Pong | Goodbye, Field(discriminator="type")
]
