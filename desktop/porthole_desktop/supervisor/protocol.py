"""What gate and supervisor say to each other on `supervisor.sock`.

One unix socket, many channels. A frame is

    payload length u32 | channel u16 | kind u8 | payload        (big-endian)

Channel 0 is the conversation: JSON objects with a `type`. Both sides begin with `hello`
and their version; another major version ends it. The other numbers are channels that the gate
opens by name with `open` (exec, text); a name that is not known is refused in words, so either
side may be newer.

    supervisor -> gate   hello  state  drawn  stopping  screen {width, height}
                         usage {cpu, memory}
                         program_started  program_exited  reply {id, ok | error}
    gate -> supervisor   hello  start {id, program | command}  stop {id}
                         open {id, name, channel}

A channel is open once its `open` was answered with ok. It carries bytes both ways, in frames of
the kind BYTES, no more of them than the other side has room for: `WINDOW` at first, and as many
more as it says with CREDIT (u32) when it has used some up. So one that is not read waits, and
nothing else waits with it. Both sides END it; its number is free again once both have.

Sans-I/O, and standard library only: the gate imports this module too.
"""

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

VERSION: Final = (1, 4)
"""1.0: hello, state, drawn, stopping, program_started, program_exited; start, stop, open.
1.1: `state` has `rdp {fingerprint}` where there is an `rdp.sock`: the SHA-256 of the DER of
the certificate that it shows (64 lower-case hex digits), another one at each start.
1.2: channels: `open` has a `channel`; BYTES, CREDIT and END on it.
1.3: `screen` says how large the screen is now, in pixels, when that changes; so does `state`
(`screen {width, height}`) once there is one.
1.4: `usage` says every few seconds what the desktop's container uses: `cpu`, microseconds of one
core since it began, and `memory`, bytes that it holds; so does `state` (`usage {cpu, memory}`).
Neither is said by a container that is not shown its own control group.
"""

HEADER: Final = 7
LARGEST: Final = 65536
"""The most bytes in one frame's payload."""
CONVERSATION: Final = 0
CREDIT_SIZE: Final = 4
LAST_CHANNEL: Final = 65535
WINDOW: Final = 256 * 1024
"""Bytes that may be on their way in one direction of a channel."""
_SHARE: Final = WINDOW // 4
"""Room is given back when so much was used up."""


class Kind(IntEnum):
    """What a payload is."""

    JSON = 1
    BYTES = 2
    END = 3  # the channel is closed; the payload is a sentence or empty
    CREDIT = 4  # so many bytes more may be sent on the channel; the payload is a u32


class Broken(Exception):
    """The peer sent what is no frame, or no message; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: which channel, what kind, the payload."""

    channel: int
    kind: Kind
    payload: bytes

    def message(self) -> dict[str, Any]:
        """Return the JSON object with its `type`.

        Raises:
            Broken: the payload is none.
        """
        try:
            value = json.loads(self.payload) if self.kind is Kind.JSON else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise Broken("A frame of the conversation is not a JSON object with a type.")
        return value


def encode(channel: int, kind: Kind, payload: bytes) -> bytes:
    """Return the bytes of one frame.

    Raises:
        ValueError: the payload is larger than `LARGEST`.
    """
    if len(payload) > LARGEST:
        raise ValueError(f"A payload of {len(payload)} bytes is over the limit of {LARGEST}.")
    head = len(payload).to_bytes(4, "big") + channel.to_bytes(2, "big") + bytes((kind,))
    return head + payload


def say(kind: str, **fields: Any) -> bytes:
    """Return the frame that says one message of the conversation."""
    text = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return encode(CONVERSATION, Kind.JSON, text.encode())


def hello(role: str) -> bytes:
    """Return the first frame of either side."""
    return say("hello", version=list(VERSION), role=role)


def check_hello(message: dict[str, Any]) -> None:
    """Check that a conversation begins with a version that we understand.

    Raises:
        Broken: it does not.
    """
    version = message.get("version")
    if message["type"] != "hello" or not isinstance(version, list) or not version:
        raise Broken("The conversation does not begin with a hello.")
    if version[0] != VERSION[0]:
        raise Broken(
            f"The peer speaks version {version[0]!r} of the supervisor's protocol,"
            f" this program understands version {VERSION[0]}."
        )


class Window:
    """How much may be sent on one channel, and how much the other side may send.

    Attributes:
        room: bytes that may be sent now.
    """

    def __init__(self) -> None:
        self.room = WINDOW
        self._expected = WINDOW
        self._used = 0

    def sent(self, size: int) -> None:
        """Count bytes that were sent; there was room for them."""
        assert size <= self.room
        self.room -= size

    def given(self, payload: bytes) -> None:
        """Take the payload of a CREDIT.

        Raises:
            Broken: it is none, or more than there ever was.
        """
        more = int.from_bytes(payload, "big")
        if len(payload) != CREDIT_SIZE or not 0 < more <= WINDOW - self.room:
            raise Broken("A channel was given room that it cannot have.")
        self.room += more

    def came(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            Broken: there was no room for them.
        """
        if not 0 < size <= self._expected:
            raise Broken("A channel carries more than there is room for.")
        self._expected -= size

    def used(self, size: int) -> bytes:
        """Count bytes that came and are dealt with; return the payload of a CREDIT, or nothing."""
        self._used += size
        if self._used < _SHARE:  # there is room for more than that still
            return b""
        given, self._used = self._used, 0
        self._expected += given
        return given.to_bytes(CREDIT_SIZE, "big")


class Decoder:
    """Cuts frames out of bytes that arrive in any chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that are whole.

        Raises:
            Broken: a length or a kind is impossible; nothing after it can be read.
        """
        self._buffer += data
        frames: list[Frame] = []
        at = 0
        while len(self._buffer) - at >= HEADER:
            length = int.from_bytes(self._buffer[at : at + 4], "big")
            if length > LARGEST:
                raise Broken(f"A frame of {length} bytes is over the limit of {LARGEST}.")
            if len(self._buffer) - at < HEADER + length:
                break
            channel = int.from_bytes(self._buffer[at + 4 : at + 6], "big")
            number = self._buffer[at + 6]
            if number not in set(Kind):
                raise Broken(f"There is no frame of the kind {number}.")
            at += HEADER
            frames.append(Frame(channel, Kind(number), bytes(self._buffer[at : at + length])))
            at += length
        del self._buffer[:at]
        return frames
