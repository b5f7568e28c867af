"""What the control plane says to an agent.

A `Command` is a durable order: it is sent until its result is known, and an agent carries
it out once. The other messages answer a question or are about streams that somebody is
waiting for: they are numbered and repeated within a conversation like everything else, and
nobody says them again in the next one.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from porthole_contract.model import Message, Moment, Sentence
from porthole_contract.session import Name, Owner, SessionSpec
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec

Order = Annotated[int, Field(ge=1, lt=2**53)]


class ApplySession(Message):
    """Make the session what `spec` says. A newer order supersedes, an older one is nothing."""

    type: Literal["ApplySession"] = "ApplySession"
    session: UUID
    order: Order
    name: Name
    owner: Owner
    spec: SessionSpec
    template: PinnedTemplate
    home: UUID | None = None


class DeleteSession(Message):
    """End the session and leave nothing of it but its home."""

    type: Literal["DeleteSession"] = "DeleteSession"
    session: UUID
    order: Order


class DeleteHome(Message):
    """Delete a home and everything in it. Refused while a session holds it."""

    type: Literal["DeleteHome"] = "DeleteHome"
    home: UUID


Body = Annotated[ApplySession | DeleteSession | DeleteHome, Field(discriminator="type")]


class Command(Message):
    """A durable order: `id` is its row, `sequence` its place among those of its subject."""

    type: Literal["Command"] = "Command"
    id: UUID
    sequence: Annotated[int, Field(ge=0, lt=2**53)]
    body: Body

    @property
    def subject(self) -> tuple[str, UUID]:
        """What it is about; commands of one subject are carried out in order."""
        match self.body:
            case DeleteHome(home=home):
                return ("home", home)
            case ApplySession(session=session) | DeleteSession(session=session):
                return ("session", session)


class TemplateContent(Message):
    """The revision that the agent asked for with `WantTemplate`."""

    type: Literal["TemplateContent"] = "TemplateContent"
    digest: str
    spec: SessionTemplateSpec


class OpenStream(Message):
    """Dial back one WebSocket at `url` for this stream, and join it to the session's gate.

    `secret` may be used once, by this agent in this epoch. `owner` must be the owner that
    the agent knows; otherwise it refuses.
    """

    type: Literal["OpenStream"] = "OpenStream"
    stream: UUID
    session: UUID
    owner: Owner
    protocol: str
    channel: str
    mode: Literal["control", "view"]
    url: Annotated[str, Field(max_length=2048)]
    secret: Annotated[str, Field(min_length=1, max_length=512, repr=False)]
    expires_at: Moment


class ChangeStream(Message):
    """From now on the stream may do this; holds for a stream that is already open."""

    type: Literal["ChangeStream"] = "ChangeStream"
    stream: UUID
    session: UUID
    mode: Literal["control", "view"]


class CloseStream(Message):
    """End the stream; `code` and `message` say why and reach the viewer."""

    type: Literal["CloseStream"] = "CloseStream"
    stream: UUID
    session: UUID
    code: str
    message: Sentence = ""


class WantInventory(Message):
    """Send a complete inventory now."""

    type: Literal["WantInventory"] = "WantInventory"


ControlItem = Annotated[
    Command | TemplateContent | OpenStream | ChangeStream | CloseStream | WantInventory,
    Field(discriminator="type"),
]
"""Everything that travels from the control plane to an agent inside `Data`."""
