"""What the API says about streams, and what it asks for."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from porthole_contract.stream.channels import usual
from porthole_contract.stream.drive import LARGEST_CLIPBOARD
from porthole_contract.template import ClipboardRules, SessionTemplateSpec
from porthole_control.streams.repository import Seen

_WORD: Final = r"^[a-z][a-z0-9-]{0,31}$"


class NewTicket(BaseModel):
    """A ticket that is asked for."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["control", "view"] = "control"
    channel: Annotated[
        Annotated[str, Field(pattern=_WORD)] | SkipJsonSchema[None],
        Field(description="What is opened; left out: the screen, over its protocol."),
    ] = None
    protocol: Annotated[
        Annotated[str, Field(pattern=_WORD)] | SkipJsonSchema[None],
        Field(
            description="What is spoken: on `rdp`, `rdcleanpath` as browsers do, or `rdp` with the"
            " gate's TLS inside the stream. Left out: what is usual on the channel.",
        ),
    ] = None
    replaces: Annotated[
        UUID | SkipJsonSchema[None],
        Field(
            description="A stream to this session that the same token has opened (`stream` of its"
            " ticket) and whose line may have broken: it is ended, and its keys and buttons are"
            " let go of, before this one reaches the desktop. One that is over is no mistake.",
        ),
    ] = None


class ClipboardOut(BaseModel):
    """Which way the clipboard may go, as the session's template has it; its gate sees to that."""

    upload: bool = Field(description="Whether what was copied elsewhere may be pasted in it.")
    download: bool = Field(description="Whether what was copied in it may be pasted elsewhere.")
    most: int = Field(description="Bytes of text that go at once.")

    @classmethod
    def of(cls, template: SessionTemplateSpec | None) -> "ClipboardOut":
        """Return what a template says; one that nobody has told of forbids nothing."""
        said = ClipboardRules() if template is None else template.clipboard
        most = LARGEST_CLIPBOARD if said.most is None else min(said.most, LARGEST_CLIPBOARD)
        return cls(upload=said.upload, download=said.download, most=most)


class TicketOut(BaseModel):
    """The right to open one stream, once, for a few seconds."""

    ticket: str
    stream: UUID = Field(description="The stream that it opens.")
    url: str = Field(description="The WebSocket to open, with the subprotocol `binary`.")
    expires_at: datetime
    clipboard: ClipboardOut


class StreamOut(BaseModel):
    """One viewer's bytes on one channel."""

    id: UUID
    channel: str
    protocol: str = Field(description="What is spoken on it.")
    mode: Literal["control", "view"]
    viewer: str = Field(description="Who looked.")
    state: Literal["ticket", "waiting", "open", "closed"]
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    bytes_to_viewer: int
    bytes_from_viewer: int
    closed_reason: str | None

    @classmethod
    def of(cls, stream: Seen) -> "StreamOut":
        """Return what the API says of this row."""
        return cls(
            id=stream.id,
            channel=stream.channel,
            protocol=stream.protocol or usual(stream.channel),
            mode=stream.mode,
            viewer=stream.viewer,
            state=stream.state,
            created_at=stream.created_at,
            opened_at=stream.opened_at,
            closed_at=stream.closed_at,
            bytes_to_viewer=stream.bytes_to_viewer,
            bytes_from_viewer=stream.bytes_from_viewer,
            closed_reason=stream.closed_reason,
        )
