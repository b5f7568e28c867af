"""What is said on the channel `control`: one JSON object a line, both ways.

The gate tells its state when it changes and at least every `HEARTBEAT`; so silence for
longer means that it is gone. Observers only hear. The commander also orders, each order
with an `id` that `Done` repeats; there is one, and the newest epoch wins.

A type that is not known is answered with `Done` and the code `unknown_order` by the gate,
and skipped by everybody else: either side may be newer.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from porthole_contract.errors import LocalProtocolError, RemoteProtocolError
from porthole_contract.model import Message
from porthole_contract.stream.closing import CloseReason
from porthole_contract.trace import Span

VERSION: Final = "1.3"
"""1.0: state, closed, done; set_mode, kick, stop_desktop, start_program.
1.1: span, for observers: what the gate did, for whoever collects traces.
1.2: unproven, of a viewer.
1.3: usage, of the state."""
HEARTBEAT: Final = timedelta(seconds=5)
LONGEST_LINE: Final = 65536
"""Bytes, with the line feed."""

OrderId = Annotated[int, Field(ge=0, lt=2**53)]
Text = Annotated[str, Field(max_length=500)]


class Viewer(Message):
    """One open stream: `sent` and `received` are bytes, as the gate sees it.

    One that is `unproven` has yet to show the password that its grant asks for.
    """

    stream: UUID
    channel: str
    mode: str
    since: datetime
    sent: Annotated[int, Field(ge=0)] = 0
    received: Annotated[int, Field(ge=0)] = 0
    unproven: bool | None = None


class Usage(Message):
    """What a session has used since its containers began, and holds now.

    `age` is how many seconds ago that was looked at; `cpu_seconds` are of one core, the others
    bytes, those of the network with what viewers see. The gate's part is what the kernel counts;
    the desktop's is what the desktop says of itself, and no more than a hint.
    """

    age: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    memory: Annotated[int, Field(ge=0, lt=2**63)]
    received: Annotated[int, Field(ge=0, lt=2**63)] = 0
    sent: Annotated[int, Field(ge=0, lt=2**63)] = 0


class State(Message):
    """The gate's state.

    `idle_seconds` count from the last real key or pointer event of anybody, or from the
    gate's start; `drawn` is what the supervisor said. `usage` is left out while the desktop
    does not say what it uses.
    """

    type: Literal["state"] = "state"
    version: str = VERSION
    session: UUID
    drawn: bool
    stopping: bool = False
    idle_seconds: Annotated[float, Field(ge=0)]
    viewers: tuple[Viewer, ...] = ()
    usage: Usage | None = None


class Closed(Message):
    """A stream ended: why (a `CloseReason`, or one that is newer than we are)."""

    type: Literal["closed"] = "closed"
    viewer: Viewer
    reason: Annotated[str, Field(max_length=64)]
    message: Text = ""


class Done(Message):
    """An order was carried out (`error` is None) or not."""

    type: Literal["done"] = "done"
    id: OrderId | None = None
    error: str | None = None
    message: Text = ""


class SetMode(Message):
    """Change what a viewer may do, at once."""

    type: Literal["set_mode"] = "set_mode"
    id: OrderId
    stream: UUID
    mode: Annotated[str, Field(max_length=64)]


class Kick(Message):
    """Close a stream for one of the reasons that an order may give."""

    type: Literal["kick"] = "kick"
    id: OrderId
    stream: UUID
    reason: Literal[
        CloseReason.KICKED,
        CloseReason.REVOKED,
        CloseReason.SUPERSEDED,
        CloseReason.SESSION_ENDED,
        CloseReason.VIEWER_LEFT,
    ] = CloseReason.KICKED
    message: Text = ""


class StopDesktop(Message):
    """Have the supervisor stop the desktop, programs first."""

    type: Literal["stop_desktop"] = "stop_desktop"
    id: OrderId


class StartProgram(Message):
    """Have the supervisor start one of the desktop's programs, by its name."""

    type: Literal["start_program"] = "start_program"
    id: OrderId
    program: Annotated[str, Field(min_length=1, max_length=64)]


_T = TypeVar("_T")
News = State | Closed | Done | Span
Order = SetMode | Kick | StopDesktop | StartProgram

_NEWS: TypeAdapter[News] = TypeAdapter(Annotated[News, Field(discriminator="type")])
_ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="type")])


def encode(message: News | Order) -> bytes:
    """Return the line that says `message`.

    Raises:
        LocalProtocolError: it would be longer than `LONGEST_LINE`.
    """
    line = message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise LocalProtocolError(f"A line of {len(line)} bytes is too long for a control channel.")
    return line


def read_news(line: bytes) -> News | None:
    """Return what the gate says; None for a type that is not known.

    Raises:
        RemoteProtocolError: it is no message.
    """
    return _read(line, _NEWS)


def read_order(line: bytes) -> Order | None:
    """Return what is ordered; None for a type that is not known.

    Raises:
        RemoteProtocolError: it is no message.
    """
    return _read(line, _ORDERS)


class Lines:
    """Cuts lines out of bytes that arrive in any chunks."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take bytes; return the lines that are whole, without their line feed.

        Raises:
            RemoteProtocolError: a line is longer than `LONGEST_LINE`.
        """
        self._rest += data
        *lines, rest = bytes(self._rest).split(b"\n")
        if max(map(len, (*lines, rest))) >= LONGEST_LINE:
            raise RemoteProtocolError("A line on the control channel is too long.")
        self._rest = bytearray(rest)
        return lines


def _read(line: bytes, adapter: TypeAdapter[_T]) -> _T | None:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        if fault["type"] == "union_tag_invalid":
            return None
        where = ".".join(str(part) for part in fault["loc"]) or "line"
        raise RemoteProtocolError(
            f"A line on the control channel is wrong at '{where}': {fault['msg']}."
        ) from None
