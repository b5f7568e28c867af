"""MCS (T.125) after its greeting: users, channels, and data on them; as RDP writes it."""

import struct
from dataclasses import dataclass
from typing import Final

from porthole_desktop.gate.rdp.framing import HEADER, tpkt
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.x224 import DATA

ERECT: Final = 0x04
ATTACH: Final = 0x28
ATTACHED: Final = 0x2E
JOIN: Final = 0x38
JOINED: Final = 0x3E
SEND: Final = 0x64
SENT: Final = 0x68
DISCONNECT: Final = 0x20
"""And two bits, which say why."""
FIRST_USER: Final = 1001
"""Users are counted from here; channels are not."""
_WHOLE: Final = 0x70
"""High priority, and both the first and the last part."""
_LONG: Final = 0x80
_HEAD: Final = HEADER + len(DATA)


@dataclass(frozen=True, slots=True)
class Data:
    """Send Data Request or Indication: `body` is for the channel."""

    user: int
    channel: int
    body: bytes


def open_data(pdu: bytes, reader: Reader) -> tuple[int, Reader]:
    """Return which domain PDU a TPKT holds, and a reader of what follows its first byte."""
    if pdu[HEADER:_HEAD] != DATA:
        raise reader.fault("A PDU in X.224 carries no data.")
    reader.take(_HEAD)
    return reader.u8(), reader


def read_data(reader: Reader) -> Data:
    """Read a Send Data PDU after its first byte."""
    user, channel = reader.u16_be() + FIRST_USER, reader.u16_be()
    if reader.u8() & _WHOLE != _WHOLE:
        raise reader.fault(f"{reader.name} comes in parts.")
    length = reader.u8()
    if length & _LONG:
        length = (length & 0x7F) << 8 | reader.u8()
    if length != reader.left or length & 0x4000:
        raise reader.fault(f"{reader.name} is not as long as it says.")
    return Data(user, channel, reader.rest())


def data(kind: int, user: int, channel: int, body: bytes) -> bytes:
    """Return a Send Data PDU (`SEND` or `SENT`)."""
    head = struct.pack(">BHHB", kind, user - FIRST_USER, channel, _WHOLE)
    length = len(body)
    size = bytes((length,)) if length < _LONG else struct.pack(">H", length | 0x8000)
    return tpkt(DATA + head + size + body)


def disconnect() -> bytes:
    """Return Disconnect Provider Ultimatum: it is the provider's own wish."""
    return tpkt(DATA + b"\x20\x80")
