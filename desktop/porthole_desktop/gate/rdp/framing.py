"""Cuts PDUs out of bytes that arrive in any chunks.

Two kinds follow each other as they like: TPKT (RFC 1006), and fast-path, which has a shorter
head. What waits for its end is never longer than the longest of them.
"""

from collections.abc import Iterator
from typing import Final

from porthole_contract.errors import RemoteProtocolError

TPKT: Final = 3
LONGEST: Final = 65535
"""Bytes; TPKT has two for its length, fast-path fifteen bits."""
HEADER: Final = 4
"""Bytes of TPKT's head."""
_SHORTEST_TPKT: Final = HEADER + 3
_KIND: Final = 0x03
_ENCRYPTED: Final = 0xC0
_LONG: Final = 0x80


class Cutter:
    """One direction.

    Args:
        fault: what to raise for bytes that begin no PDU.
    """

    def __init__(self, fault: type[RemoteProtocolError]) -> None:
        self._fault = fault
        self._held = bytearray()

    @property
    def between(self) -> bool:
        """Whether no PDU is under way."""
        return not self._held

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Take bytes; yield each PDU that is whole.

        Raises:
            RemoteProtocolError: what comes next is no PDU.
        """
        held = self._held
        held += data
        at = 0
        try:
            while (length := _length(held, at, self._fault)) and at + length <= len(held):
                pdu = bytes(held[at : at + length])
                at += length
                yield pdu
        finally:
            del held[:at]

    def rest(self) -> bytes:
        """Return what waits for its end, and forget it."""
        rest = bytes(self._held)
        self._held.clear()
        return rest


def tpkt(body: bytes) -> bytes:
    """Return `body` (X.224 and what is in it) in a TPKT."""
    return bytes((TPKT, 0)) + (HEADER + len(body)).to_bytes(2, "big") + body


def is_fast(pdu: bytes) -> bool:
    """Whether a PDU is of the fast-path kind."""
    return pdu[0] != TPKT


def head_of_fast(pdu: bytes) -> int:
    """Return how long the head of a fast-path PDU is."""
    return 3 if pdu[1] & _LONG else 2


def _length(held: bytearray, at: int, fault: type[RemoteProtocolError]) -> int:
    """Return the length of the PDU at `at`; 0 if that cannot be told yet."""
    there = len(held) - at
    if not there:
        return 0
    first = held[at]
    if first == TPKT:
        if there >= 2 and held[at + 1]:  # noqa: PLR2004 - its second byte is 0
            raise fault("A TPKT has a second byte that is not 0.")
        if there < HEADER:
            return 0
        length = int.from_bytes(held[at + 2 : at + HEADER], "big")
        if length < _SHORTEST_TPKT:
            raise fault(f"A TPKT of {length} bytes cannot be.")
        return length
    if first & _KIND or first & _ENCRYPTED:
        raise fault(f"No PDU begins with the byte {first:#04x}.")
    if there < 2 or (held[at + 1] & _LONG and there < 3):  # noqa: PLR2004 - one byte, or two
        return 0
    length, shortest = held[at + 1], 3
    if length & _LONG:
        length, shortest = (length & 0x7F) << 8 | held[at + 2], 4
    if length < shortest:
        raise fault(f"A fast-path PDU of {length} bytes cannot be.")
    return length
