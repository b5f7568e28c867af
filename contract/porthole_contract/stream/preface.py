"""The first bytes of a stream: a small frame there, a small frame back, then raw bytes.

    "PORTHOLE" | major u8 | minor u8 | length u16, big-endian | `length` bytes of JSON

Both sides write the same framing. The one who opens sends a `Request`, the gate answers
`Admitted` or `Denied`. A major version is understood or it is not; a minor one only adds
fields, and fields that nobody knows are ignored.

Sans-I/O: `Decoder` is fed bytes in any chunks and gives back the object and whatever came
after it, which belongs to the channel.
"""

import json
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, ValidationError

from porthole_contract.errors import LocalProtocolError, RemoteProtocolError, TooOld
from porthole_contract.model import Message

MAGIC: Final = b"PORTHOLE"
MAJOR: Final = 1
MINOR: Final = 1
"""1.0: stream, channel, protocol, mode, auth, grant. 1.1: replaces."""
HEADER: Final = len(MAGIC) + 4
"""Bytes before the JSON."""
SMALLEST: Final = len(b"{}")
LARGEST: Final = 8192
"""The most JSON that is accepted, in bytes; a grant takes about 600."""

Word = Annotated[str, Field(min_length=1, max_length=64)]


class Request(Message):
    """What the opening side asks for.

    `stream` names the stream in state and orders; `channel`, `protocol`, `mode` and `auth`
    are names as in `channels`; `grant` is the token that gives the right. `replaces` is a
    stream that the same issuer's grant has opened: it is ended, and the desktop has let go of
    what it held, before anything of this one reaches the desktop.
    """

    stream: UUID
    channel: Word
    protocol: Word
    mode: Word
    auth: Word = "none"
    grant: Annotated[str, Field(min_length=1, max_length=4096, repr=False)]
    replaces: UUID | None = None


class Admitted(Message):
    """The gate agrees; raw bytes of the channel follow at once."""

    ok: Literal[True] = True


class Fault(Message):
    """Why not: `code` for programs, `message` for people."""

    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1000)]


class Denied(Message):
    """The gate does not agree; it closes after this."""

    error: Fault


def encode(message: Request | Admitted | Denied) -> bytes:
    """Return the frame that says `message`.

    Raises:
        LocalProtocolError: it would be larger than `LARGEST`.
    """
    text = json.dumps(message.to_dict(), separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > LARGEST:
        raise LocalProtocolError(f"A preface of {len(text)} bytes is over the limit of {LARGEST}.")
    return MAGIC + bytes((MAJOR, MINOR)) + len(text).to_bytes(2, "big") + text


class Decoder:
    """Reads one frame from bytes that arrive in any chunks.

    Wrong bytes are refused at the first one that is wrong, so a peer that speaks
    something else never gets to fill the buffer.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._done = False

    def feed(self, data: bytes | bytearray | memoryview) -> tuple[dict[str, Any], bytes] | None:
        """Take bytes; return (the JSON object, what came after it) once it is whole.

        Raises:
            TooOld: the peer speaks another major version.
            RemoteProtocolError: these are not the bytes of a preface.
        """
        if self._done:
            raise LocalProtocolError("A preface is read once.")
        buffer = self._buffer
        buffer += data
        seen = min(len(buffer), len(MAGIC))
        if buffer[:seen] != MAGIC[:seen]:
            raise RemoteProtocolError("The stream does not begin with a preface.")
        if len(buffer) > len(MAGIC) and buffer[len(MAGIC)] != MAJOR:
            raise TooOld(
                f"The peer's preface has version {buffer[len(MAGIC)]},"
                f" this program understands version {MAJOR}."
            )
        if len(buffer) < HEADER:
            return None
        length = int.from_bytes(buffer[HEADER - 2 : HEADER], "big")
        if not SMALLEST <= length <= LARGEST:
            raise RemoteProtocolError(
                f"A preface of {length} bytes is not between {SMALLEST} and {LARGEST} bytes long."
            )
        if len(buffer) < HEADER + length:
            return None
        self._done = True
        value = _object(bytes(buffer[HEADER : HEADER + length]))
        return value, bytes(buffer[HEADER + length :])


def read_request(value: dict[str, Any]) -> Request:
    """Return the request that a decoded preface makes.

    Raises:
        RemoteProtocolError: it makes none; the sentence names the first wrong field.
    """
    try:
        return Request.model_validate(value)
    except ValidationError as error:
        raise RemoteProtocolError(_first_fault(error)) from None


def read_answer(value: dict[str, Any]) -> Admitted | Denied:
    """Return the answer that a decoded preface gives.

    Raises:
        RemoteProtocolError: it is neither yes nor no.
    """
    kind = Denied if "error" in value else Admitted
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise RemoteProtocolError(_first_fault(error)) from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("The preface is not JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError("The preface is not a JSON object.")
    return value


def _first_fault(error: ValidationError) -> str:
    """Say what is wrong without repeating the value: it may be a grant."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "preface"
    return f"The preface is wrong at '{where}': {fault['msg']}."
