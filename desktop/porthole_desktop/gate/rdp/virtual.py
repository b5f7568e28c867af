"""Static virtual channels: messages that come in chunks, each chunk in a PDU of its own."""

import struct
from dataclasses import dataclass
from typing import Final

from porthole_contract.errors import RemoteProtocolError

LONGEST: Final = 256 * 2**20
"""Bytes; a message that claims to be longer ends the stream."""
_HEAD: Final = struct.Struct("<II")
_FIRST, _LAST = 1, 2
_MEANINGLESS: Final = 0x10
"""CHANNEL_FLAG_SHOW_PROTOCOL: for the other end's own programs."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a message of `total` bytes."""

    total: int
    first: bool
    last: bool
    data: bytes


class Chunks:
    """One direction of one channel.

    Args:
        fault: what to raise for chunks that make no message.
    """

    def __init__(self, fault: type[RemoteProtocolError]) -> None:
        self.fault = fault
        self._total = 0
        self._left = 0
        self._under_way = False

    def read(self, body: bytes) -> Chunk:
        """Read the next chunk.

        Raises:
            RemoteProtocolError: it is none, or not the next.
        """
        if len(body) < _HEAD.size:
            raise self.fault("A chunk on a channel has no head.")
        total, flags = _HEAD.unpack_from(body)
        data = body[_HEAD.size :]
        first, last = bool(flags & _FIRST), bool(flags & _LAST)
        if flags & ~(_FIRST | _LAST | _MEANINGLESS):
            raise self.fault(
                f"A chunk on a channel has flags that were not agreed on ({flags:#x})."
            )
        if first == self._under_way or total > LONGEST:
            raise self.fault("A chunk on a channel is not the one that has to follow.")
        if first:
            self._total = self._left = total
        self._left -= len(data)
        self._under_way = not last
        if total != self._total or self._left < 0 or (last and self._left):
            raise self.fault("A message on a channel is not as long as it says.")
        return Chunk(total, first, last, data)


def chunk(message: bytes) -> bytes:
    """Return a short message as the one chunk that it is."""
    return _HEAD.pack(len(message), _FIRST | _LAST) + message
