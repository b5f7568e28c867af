"""What the control plane says to an agent.

A `Command` is a durable order: it is sent until its result is known, and an agent carries
it out once. The other messages answer a question or are about streams that somebody is
waiting for: they are numbered and repeated within a conversation like everything else, and
nobody says them again in the next one.
"""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from porthole_contract.model import Message, Moment, Sentence
from porthole_contract.session import Name, Owner, SessionSpec
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec
from porthole_contract.trace import TraceparentText

Order = Annotated[int, Field(ge=1, lt=2**53)]


PORTS: Final = range(33890, 34000)
"""Those that an agent may be told to listen on; whoever orders has no say over others."""


class Exposure(Message):
    """A port on which RDP programs reach a session, on the machine that it runs on."""

    port: Annotated[int, Field(ge=PORTS.start, lt=PORTS.stop)]
    """Which port; the address is the agent's own affair."""
    password: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    """SHA-256 of what a program has to show as its password, in lower-case hexadecimal digits."""


class ApplySession(Message):
    """Make the session what `spec` says. A newer order supersedes, an older one is nothing.

    `traceparent` (W3C Trace Context) says what it is a part of, for whoever collects traces.
    """

    type: Literal["ApplySession"] = "ApplySession"
    session: UUID
    """Which session."""
    order: Order
    """The number of this wish; whatever has a lower one is older."""
    name: Name
    """What its owner calls it."""
    owner: Owner
    """Whose it is, as the agent's place knows them."""
    spec: SessionSpec
    """What it is to be."""
    template: PinnedTemplate
    """What it is made from."""
    home: UUID | None = None
    """Which of its owner's homes `spec.home` means."""
    exposed: Exposure | None = None
    """The port on which it is reached while it runs; left out: none."""
    traceparent: TraceparentText | None = None
    """What the wish is a part of, as W3C Trace Context writes it."""


class DeleteSession(Message):
    """End the session and leave nothing of it but its home."""

    type: Literal["DeleteSession"] = "DeleteSession"
    session: UUID
    """Which session."""
    order: Order
    """The number of this wish."""
    traceparent: TraceparentText | None = None
    """What the wish is a part of, as W3C Trace Context writes it."""


class DeleteHome(Message):
    """Delete a home and everything in it. Refused while a session holds it."""

    type: Literal["DeleteHome"] = "DeleteHome"
    home: UUID
    """Which home."""


Body = Annotated[ApplySession | DeleteSession | DeleteHome, Field(discriminator="type")]


class Command(Message):
    """A durable order: `id` is its row, `sequence` its place among those of its subject."""

    type: Literal["Command"] = "Command"
    id: UUID
    """The same whenever it is said again; the result repeats it."""
    sequence: Annotated[int, Field(ge=0, lt=2**53)]
    """Its place among the commands of its subject."""
    body: Body
    """What is to be done."""

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
    """Of which revision: the SHA-256 that was asked for."""
    spec: SessionTemplateSpec
    """What it says; an agent checks that it has that digest."""


class OpenStream(Message):
    """Dial back one WebSocket at `url` for this stream, and join it to the session's gate.

    `secret` may be used once, by this agent in this epoch. `owner` must be the owner that
    the agent knows; otherwise it refuses.
    """

    type: Literal["OpenStream"] = "OpenStream"
    stream: UUID
    """Which stream; part of what is dialled."""
    session: UUID
    """Whose gate it is to be joined to."""
    owner: Owner
    """Whose session it is said to be."""
    protocol: str
    """What is spoken on the channel, `rfb` for a screen."""
    channel: str
    """The channel's name at the gate: `vnc`, `logs`."""
    mode: Literal["control", "view"]
    """What the viewer may do."""
    url: Annotated[str, Field(max_length=2048)]
    """Where the control plane takes it to be dialled."""
    secret: Annotated[str, Field(min_length=1, max_length=512, repr=False)]
    """Goes into the dial-back as its bearer token."""
    expires_at: Moment
    """When the secret is worth nothing any more, on the control plane's clock."""
    replaces: UUID | None = None
    """A stream of the same viewer, which the gate ends before this one reaches the desktop."""


class ChangeStream(Message):
    """From now on the stream may do this; holds for a stream that is already open."""

    type: Literal["ChangeStream"] = "ChangeStream"
    stream: UUID
    """Which stream."""
    session: UUID
    """Whose it is."""
    mode: Literal["control", "view"]
    """What its viewer may do from now on."""


class CloseStream(Message):
    """End the stream; `code` and `message` say why and reach the viewer."""

    type: Literal["CloseStream"] = "CloseStream"
    stream: UUID
    """Which stream."""
    session: UUID
    """Whose it is."""
    code: str
    """Why, as a word; becomes part of the WebSocket's close frame."""
    message: Sentence = ""
    """Why, as a sentence."""


class WantInventory(Message):
    """Send a complete inventory now."""

    type: Literal["WantInventory"] = "WantInventory"


ControlItem = Annotated[
    Command | TemplateContent | OpenStream | ChangeStream | CloseStream | WantInventory,
    Field(discriminator="type"),
]
"""Everything that travels from the control plane to an agent inside `Data`."""
