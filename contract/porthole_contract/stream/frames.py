"""What is said on the channels `exec` and `files`: messages and bytes, in frames.

    payload length u32 | number u16 | kind u8 | payload        (big-endian)

On number 0 there are messages, JSON objects with a `type`; on the others, and for `exec` on 0
as well, there are bytes. `desktop/README.md` says which. Texts in messages may have lone
surrogates: they are the bytes of names that are no UTF-8 (Python's `surrogateescape`).

Sans-I/O: `Decoder` is fed bytes in any chunks.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from porthole_contract.errors import RemoteProtocolError

HEADER: Final = 7
LARGEST: Final = 65536
"""The most bytes in one frame's payload."""
BLOCK: Final = 2**20
"""Bytes of a file that are hashed by themselves, see `Digest`."""


class Kind(IntEnum):
    """What a payload is."""

    JSON = 1
    BYTES = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: which number, what kind, the payload."""

    number: int
    kind: Kind
    payload: bytes

    def message(self) -> dict[str, Any]:
        """Return the JSON object with its `type`.

        Raises:
            RemoteProtocolError: the payload is none.
        """
        try:
            value = json.loads(self.payload) if self.kind is Kind.JSON else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise RemoteProtocolError("A frame's message is not a JSON object with a type.")
        return value


def say(kind: str, **fields: Any) -> bytes:
    """Return the frame that says one message.

    Raises:
        ValueError: it is too long.
    """
    return _encode(0, Kind.JSON, json.dumps({"type": kind, **fields}).encode())


def carry(number: int, data: bytes) -> bytes:
    """Return the frame that carries bytes; `LARGEST` at the most.

    Raises:
        ValueError: there are more.
    """
    return _encode(number, Kind.BYTES, data)


def _encode(number: int, kind: Kind, payload: bytes) -> bytes:
    if len(payload) > LARGEST:
        raise ValueError(f"A payload of {len(payload)} bytes is over the limit of {LARGEST}.")
    return len(payload).to_bytes(4, "big") + number.to_bytes(2, "big") + bytes((kind,)) + payload


class Decoder:
    """Cuts frames out of bytes that arrive in any chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that are whole.

        Raises:
            RemoteProtocolError: these are no frames.
        """
        self._buffer += data
        frames: list[Frame] = []
        at = 0
        while len(self._buffer) - at >= HEADER:
            length = int.from_bytes(self._buffer[at : at + 4], "big")
            kind = self._buffer[at + 6]
            if length > LARGEST or kind not in set(Kind):
                raise RemoteProtocolError("What came is no frame.")
            if len(self._buffer) - at < HEADER + length:
                break
            number = int.from_bytes(self._buffer[at + 4 : at + 6], "big")
            at += HEADER
            frames.append(Frame(number, Kind(kind), bytes(self._buffer[at : at + length])))
            at += length
        del self._buffer[:at]
        return frames


class Digest:
    """What shows that a file arrived: the SHA-256 of the SHA-256 of each of its blocks.

    In blocks because a browser hashes no more at once than it has in memory.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._filled = 0

    def update(self, data: bytes) -> None:
        """Take bytes."""
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self._filled]
            self._block.update(piece)
            self._filled += len(piece)
            view = view[len(piece) :]
            if self._filled == BLOCK:
                self._close()

    def hex(self) -> str:
        """Return the digest; nothing more may come."""
        if self._filled:
            self._close()
        return self._whole.hexdigest()

    def _close(self) -> None:
        self._whole.update(self._block.digest())
        self._block, self._filled = hashlib.sha256(), 0
