"""What both sides say about themselves: MCS Connect Initial and Response, with GCC's blocks.

The viewer's is made anew from what the gate knows of it, so nothing passes that was not read.
Its colours become 32 bits: with fewer the desktop sends rectangles that IronRDP draws askew.
"""

import struct
from dataclasses import dataclass
from typing import Final

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp import ber
from porthole_desktop.gate.rdp.agreed import SERVED, Agreed
from porthole_desktop.gate.rdp.framing import HEADER, tpkt
from porthole_desktop.gate.rdp.layouts import US
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.x224 import DATA, TLS

_INITIAL, _RESPONSE = b"\x7f\x65", b"\x7f\x66"
_BOOLEAN, _ENUMERATED = b"\x01", b"\x0a"
_T124: Final = b"\x00\x05\x00\x14\x7c\x00\x01"
_CREATE: Final = b"\x00\x08\x00\x10\x00\x01\xc0\x00Duca"
_CREATED: Final = b"\x14\x76\x0a\x01\x01\x00\x01\xc0\x00McDn"
_DOMAIN: Final = bytes.fromhex(
    "040101040101 0101ff"
    "301a 020122 020102 020100 020101 020100 020101 020300ffff 020102"
    "3019 020101 020101 020101 020101 020100 020101 02020420 020102"
    "3020 020300ffff 020300fc17 020300ffff 020101 020100 020101 020300ffff 020102"
)
"""What MCS is asked for before RDP's own words; every client says this."""

_CLIENT_CORE, _CLIENT_SECURITY, _CLIENT_CHANNELS = 0xC001, 0xC002, 0xC003
_PASSED_OVER: Final = frozenset({0xC004, 0xC005, 0xC006, 0xC008, 0xC00A})
"""Redirection, several monitors, a message channel, UDP: they are known, and do not pass."""
_SERVER_CORE, _SERVER_SECURITY, _SERVER_CHANNELS = 0x0C01, 0x0C02, 0x0C03
_CORE: Final = struct.Struct("<IHHHHII32sIII64sHHIHHH64sBBI")
"""The fields of Client Core Data up to the protocol that the server has selected."""
_RGB: Final = 0xCA01, 0xAA03
_COLOURS_8, _COLOURS_24, _ALL_DEPTHS = 0xCA01, 24, 0x0F
_ERRORS, _WANTS_32, _KNOWS_LINE = 0x01, 0x02, 0x20
_LAN: Final = 6
_MOST_CHANNELS: Final = 31
_NAME: Final = 8
_MAY_BE_COMPRESSED: Final = 0x00C00000
_CLOSED: Final = "none{:02}"
"""A name has seven bytes at the most, and a zero."""


@dataclass(frozen=True, slots=True)
class Size:
    """A screen, in pixels."""

    width: int
    height: int


def rewrite_initial(
    pdu: bytes, agreed: Agreed, most: Size, fixed: Size | None, layout: int = US
) -> bytes:
    """Return the Connect Initial that the desktop gets; note in `agreed` what was asked for.

    Args:
        pdu: the viewer's.
        agreed: gets the names of the channels, in their order.
        most: the largest screen that a viewer may ask for.
        fixed: the screen that it gets whatever it asks for; None: as it asks.
        layout: of its keyboard, if it does not say which.

    Raises:
        ViewerFault: it is none, or asks for something that cannot be.
    """
    reader = Reader(pdu[HEADER:], ViewerFault, "MCS Connect Initial")
    reader.expect(DATA)
    initial = ber.expect(reader, _INITIAL)
    reader.end()
    for tag in (ber.OCTETS, ber.OCTETS, _BOOLEAN, ber.SEQUENCE, ber.SEQUENCE, ber.SEQUENCE):
        ber.expect(initial, tag)
    conference = ber.expect(initial, ber.OCTETS)
    initial.end()
    conference.expect(_T124)
    _per_length(conference)
    conference.expect(_CREATE)
    blocks = _blocks(conference)
    if not {_CLIENT_CORE, _CLIENT_SECURITY} <= blocks.keys():
        raise ViewerFault("MCS Connect Initial says too little about the viewer.")
    unknown = blocks.keys() - {_CLIENT_CORE, _CLIENT_SECURITY, _CLIENT_CHANNELS} - _PASSED_OVER
    if unknown:
        raise ViewerFault(f"MCS Connect Initial has no block {min(unknown):#06x}.")
    body = _block(_CLIENT_CORE, _core(blocks[_CLIENT_CORE], most, fixed, layout))
    body += _block(_CLIENT_SECURITY, bytes(8))
    if _CLIENT_CHANNELS in blocks:
        body += _block(_CLIENT_CHANNELS, _channels(blocks[_CLIENT_CHANNELS], agreed))
    created = _CREATE + _long_length(len(body)) + body
    conference_data = _T124 + _long_length(len(created)) + created
    return tpkt(DATA + ber.write(_INITIAL, _DOMAIN + ber.write(ber.OCTETS, conference_data)))


def rewrite_response(pdu: bytes, agreed: Agreed) -> bytes:
    """Return the Connect Response that the viewer gets; note in `agreed` what there is.

    Only the protocols that the viewer had asked for are put in their place: a client compares
    them, and the gate had asked for something else.

    Raises:
        DesktopFault: it is none, or does not fit what was asked for.
    """
    reader = Reader(pdu[HEADER:], DesktopFault, "MCS Connect Response")
    reader.expect(DATA)
    response = ber.expect(reader, _RESPONSE)
    reader.end()
    if ber.expect(response, _ENUMERATED).rest() != b"\0":
        raise DesktopFault("The desktop refuses the conversation (MCS).")
    connect_id = ber.expect(response, ber.INTEGER).rest()
    domain = ber.expect(response, ber.SEQUENCE).rest()
    conference = ber.expect(response, ber.OCTETS)
    response.end()
    conference.expect(_T124)
    _per_length(conference)
    conference.expect(_CREATED)
    blocks = _blocks(conference)
    if blocks.keys() != {_SERVER_CORE, _SERVER_SECURITY, _SERVER_CHANNELS}:
        raise DesktopFault("MCS Connect Response has other blocks than it has to have.")
    version = blocks[_SERVER_CORE].u32()
    if any(blocks[_SERVER_SECURITY].rest()):
        raise DesktopFault("The desktop wants to encrypt inside TLS.")
    channels = _numbers(blocks[_SERVER_CHANNELS], agreed)
    body = (
        _block(_SERVER_CORE, struct.pack("<II", version, agreed.asked))
        + _block(_SERVER_SECURITY, bytes(8))
        + _block(_SERVER_CHANNELS, channels)
    )
    created = _CREATED + _long_length(len(body)) + body
    return tpkt(
        DATA
        + ber.write(
            _RESPONSE,
            ber.write(_ENUMERATED, b"\0")
            + ber.write(ber.INTEGER, connect_id)
            + ber.write(ber.SEQUENCE, domain)
            + ber.write(ber.OCTETS, _T124 + _long_length(len(created)) + created),
        )
    )


def _core(reader: Reader, most: Size, fixed: Size | None, default: int) -> bytes:
    if reader.left < _CORE.size:
        raise ViewerFault("The viewer is too old: it does not say what it can do.")
    (
        version,
        width,
        height,
        _,
        sequence,
        layout,
        build,
        name,
        keyboard,
        subkind,
        keys,
        method,
        _,
        product,
        serial,
        _,
        _,
        early,
        _,
        _,
        _,
        selected,
    ) = _CORE.unpack(reader.take(_CORE.size))  # fmt: skip - a table of fields
    if selected != TLS:
        raise ViewerFault("The viewer believes that another protocol than TLS was selected.")
    if fixed is not None:
        width, height = fixed.width, fixed.height
    elif not (1 <= width <= most.width and 1 <= height <= most.height):
        raise ViewerFault(f"A screen of {width}x{height} pixels is not to be had.")
    early = early & _ERRORS | _WANTS_32 | _KNOWS_LINE
    return _CORE.pack(
        version,
        width,
        height,
        _COLOURS_8,
        sequence,
        layout or default,
        build,
        name,
        keyboard,
        subkind,
        keys,
        method,
        _COLOURS_8,
        product,
        serial,
        _COLOURS_24,
        _ALL_DEPTHS,
        early,
        bytes(64),
        _LAN,
        0,
        TLS,
    )  # fmt: skip - the same table


def _channels(reader: Reader, agreed: Agreed) -> bytes:
    """Keep each channel in its place; one that is not served gets a name that nobody knows."""
    count = reader.u32()
    if count > _MOST_CHANNELS:
        raise ViewerFault(f"A viewer has at most {_MOST_CHANNELS} channels.")
    out = struct.pack("<I", count)
    for number in range(count):
        name = reader.take(_NAME).split(b"\0", 1)[0].decode("latin-1").lower()
        options = reader.u32() & ~_MAY_BE_COMPRESSED
        if name not in SERVED or name in agreed.names:
            name = _CLOSED.format(number)
        agreed.names.append(name)
        out += struct.pack("<8sI", name.encode(), options)
    reader.end()
    return out


def _numbers(reader: Reader, agreed: Agreed) -> bytes:
    agreed.io_channel, count = reader.u16(), reader.u16()
    if count != len(agreed.names):
        raise DesktopFault("The desktop gives other channels than were asked for.")
    numbers = [reader.u16() for _ in range(count)]
    if len({agreed.io_channel, *numbers}) != count + 1:
        raise DesktopFault("Two channels have the same number.")
    reader.rest()  # what fills up to four bytes
    agreed.channels = dict(zip(numbers, agreed.names, strict=True))
    padding = bytes(2 * (count % 2))
    return struct.pack(f"<HH{count}H", agreed.io_channel, count, *numbers) + padding


def _blocks(reader: Reader) -> dict[int, Reader]:
    inside = reader.part(_per_length(reader))
    reader.end()
    blocks: dict[int, Reader] = {}
    while inside.left:
        kind, length = inside.u16(), inside.u16()
        if length < 4 or kind in blocks:  # noqa: PLR2004 - the head that was just read
            raise inside.fault(f"{inside.name} has a block {kind:#06x} that cannot be.")
        blocks[kind] = inside.part(length - 4)
    return blocks


def _block(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body)) + body


def _per_length(reader: Reader) -> int:
    length = reader.u8()
    if length & 0x80:
        length = (length & 0x7F) << 8 | reader.u8()
    return length


def _long_length(length: int) -> bytes:
    return (length | 0x8000).to_bytes(2, "big")
