"""Share PDUs: what the two sides say on the channel of the desktop itself, not by fast-path."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from porthole_desktop.gate.rdp import mcs
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.reader import Reader

DEMAND_ACTIVE, CONFIRM_ACTIVE, DEACTIVATE_ALL, DATA = 1, 3, 6, 7

SERVER_USER: Final = 1002
_KIND: Final = 0x0F
_VERSION: Final = 0x10
_CONTROL: Final = struct.Struct("<HHH")
_HEAD: Final = struct.Struct("<IBBHBBH")
_COMPRESSED: Final = 0x20
_LOW_PRIORITY: Final = 1
_MOST_CAPABILITIES: Final = 64
_BITMAP: Final = 2

SET_ERROR: Final = 47
_LICENCE: Final = 0x0080
_LICENCE_ERROR, _LICENCE_VERSION = 0xFF, 0x03
_VALID_CLIENT, _NO_TRANSITION = 7, 2


@dataclass(frozen=True, slots=True)
class Pdu:
    """One Share PDU: its kind, a reader of what follows its head, and all of it as it was said."""

    kind: int
    body: Reader
    said: bytes


def read(body: bytes, reader: Reader) -> Iterator[Pdu]:
    """Yield the Share PDUs of which `body` is made; `reader` says whose they are."""
    whole = Reader(body, reader.fault, reader.name)
    while whole.left:
        head = whole.take(_CONTROL.size)
        length, kind, _ = _CONTROL.unpack(head)
        if length < _CONTROL.size:
            raise whole.fault(f"{whole.name} has a part of {length} bytes.")
        rest = whole.take(length - _CONTROL.size)
        yield Pdu(kind & _KIND, Reader(rest, whole.fault, whole.name), head + rest)


def read_data(body: Reader) -> int:
    """Read the head of a data PDU; return its kind, with `body` at what follows."""
    _, _, _, _, kind, compressed, _ = _HEAD.unpack(body.take(_HEAD.size))
    if compressed & _COMPRESSED:
        raise body.fault(f"{body.name} is compressed, which was not agreed on.")
    return int(kind)


def read_demand(body: Reader, agreed: Agreed) -> None:
    """Read Demand Active: note the share and the size of the screen."""
    agreed.share = body.u32()
    source, _ = body.u16(), body.u16()
    body.take(source)
    for kind, capability in _capabilities(body):
        if kind == _BITMAP:
            capability.take(8)
            agreed.width, agreed.height = capability.u16(), capability.u16()
    body.rest()  # the number of a session, which means nothing to anybody


def check_confirm(body: Reader) -> None:
    """Read Confirm Active, which passes as it is."""
    body.take(6)
    source, _ = body.u16(), body.u16()
    body.take(source)
    for _ in _capabilities(body):
        pass
    body.end()


def data(agreed: Agreed, kind: int, payload: bytes, *, to_desktop: bool) -> bytes:
    """Return a PDU of our own, ready to be sent."""
    source = agreed.user if to_desktop else SERVER_USER
    head = _HEAD.pack(agreed.share, 0, _LOW_PRIORITY, len(payload), kind, 0, 0)
    length = _CONTROL.size + len(head) + len(payload)
    body = _CONTROL.pack(length, _VERSION | DATA, source) + head + payload
    way = mcs.SEND if to_desktop else mcs.SENT
    return mcs.data(way, source, agreed.io_channel, body)


def goodbye(agreed: Agreed, code: int) -> bytes:
    """Return what tells a viewer why a conversation ends: Set Error Info, then the end of MCS.

    Where licences are still talked about, that is brought to its end first. Empty while the
    viewer could not understand it.
    """
    if agreed.user == 0:
        return b""
    before = b""
    if agreed.share == 0:
        error = struct.pack("<IIHH", _VALID_CLIENT, _NO_TRANSITION, 4, 0)
        head = struct.pack("<HHBBH", _LICENCE, 0, _LICENCE_ERROR, _LICENCE_VERSION, 4 + len(error))
        before = mcs.data(mcs.SENT, SERVER_USER, agreed.io_channel, head + error)
    words = data(agreed, SET_ERROR, struct.pack("<I", code), to_desktop=False)
    return before + words + mcs.disconnect()


def _capabilities(body: Reader) -> Iterator[tuple[int, Reader]]:
    count, _ = body.u16(), body.u16()
    if count > _MOST_CAPABILITIES:
        raise body.fault(f"{body.name} has {count} capabilities.")
    for _ in range(count):
        kind, length = body.u16(), body.u16()
        if length < 4:  # noqa: PLR2004 - the head that was just read
            raise body.fault(f"{body.name} has a capability of {length} bytes.")
        yield kind, body.part(length - 4)
