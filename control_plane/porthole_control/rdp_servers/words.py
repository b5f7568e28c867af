"""What a viewer says in RDP, as bytes. Pure.

The other half of these words is the gate's, which reads them and makes them anew; that is where
RDP is understood.
"""

import struct
from typing import Final

_VERSION: Final = 3390
_DATA: Final = b"\x02\xf0\x80"
RESPONSE: Final = b"\x7f\x66"
_DOMAIN: Final = bytes.fromhex(
    "040101040101 0101ff"
    "301a 020122 020102 020100 020101 020100 020101 020300ffff 020102"
    "3019 020101 020101 020101 020101 020100 020101 02020420 020102"
    "3020 020300ffff 020300fc17 020300ffff 020101 020100 020101 020300ffff 020102"
)
_CONFERENCE: Final = b"\x00\x05\x00\x14\x7c\x00\x01"
_CREATE: Final = b"\x00\x08\x00\x10\x00\x01\xc0\x00Duca"
_CORE: Final = struct.Struct("<IHHHHII32sIII64sHHIHHH64sBBI")
_FIRST_USER: Final = 1001
_TLS: Final = 1
_NORMAL, _AUTOLOGON = 0x33, 0x8
"""A mouse, no Ctrl-Alt-Del, Unicode, the whole screen: xrdp takes nothing less for a logon."""


def _tpkt(body: bytes) -> bytes:
    return b"\x03\x00" + (4 + len(body)).to_bytes(2, "big") + body


ERECT: Final = _tpkt(_DATA + b"\x04\x01\x00\x01\x00")
ATTACH: Final = _tpkt(_DATA + b"\x28")


def clean_path() -> bytes:
    """Return the RDCleanPath request, with an X.224 request that asks for TLS."""
    x224 = _tpkt(b"\x0e\xe0\0\0\0\0\0" + struct.pack("<BBHI", 1, 0, 8, _TLS))
    fields = (
        (0, _der(0x02, _VERSION.to_bytes(2, "big"))),
        (2, _der(0x0C, b"desktop:3389")),
        (6, _der(0x04, x224)),
    )
    return _der(0x30, b"".join(_der(0xA0 | number, value) for number, value in fields))


def connect_initial(width: int, height: int) -> bytes:
    """Return MCS Connect Initial: a screen of this size, 24 bits, no channels."""
    core = _CORE.pack(
        *(0x00080004, width, height, 0xCA01, 0xAA03, 0x409, 0),
        "porthole".encode("utf-16-le"),
        *(4, 0, 12, b"", 0xCA01, 1, 0, 24, 0x0F, 0x29, b"", 6, 0, _TLS),
    )
    blocks = b"".join(
        struct.pack("<HH", kind, 4 + len(body)) + body
        for kind, body in ((0xC001, core), (0xC002, bytes(8)))
    )
    created = _CREATE + _long(len(blocks)) + blocks
    conference = _CONFERENCE + _long(len(created)) + created
    initial = _der(0x7F65, _DOMAIN + _der(0x04, conference))
    return _tpkt(_DATA + initial)


def join(user: int, channel: int) -> bytes:
    """Return the wish to join a channel."""
    return _tpkt(_DATA + struct.pack(">BHH", 0x38, user - _FIRST_USER, channel))


def send_data(user: int, channel: int, body: bytes) -> bytes:
    """Return a PDU that carries `body` on a channel."""
    head = struct.pack(">BHHBH", 0x64, user - _FIRST_USER, channel, 0x70, len(body) | 0x8000)
    return _tpkt(_DATA + head + body)


def client_info() -> bytes:
    """Return Client Info: nobody in particular; the gate says who it is."""
    return struct.pack("<HHII", 0x40, 0, 0, _NORMAL | _AUTOLOGON) + bytes(10) + bytes(10)


def licence() -> bytes:
    """Return the answer to who asks for a licence: one is to be made, without any secret."""
    blobs = ((2, bytes(72)), (15, b"user\0"), (16, b"desktop\0"))
    body = struct.pack("<II", 1, 0x04000000 | 0x00010000) + bytes(32)
    body += b"".join(struct.pack("<HH", kind, len(data)) + data for kind, data in blobs)
    return struct.pack("<HHBBH", 0x80, 0, 0x13, 0x03, 4 + len(body)) + body


def confirm_active(share: int, user: int, size: tuple[int, int]) -> bytes:
    """Return Confirm Active: what this viewer can show."""
    name, sets = b"PORTHOLE\0", capabilities(*size)
    body = struct.pack("<IHHH", share, 1002, len(name), len(sets)) + name + sets
    return struct.pack("<HHH", 6 + len(body), 0x13, user) + body


def data_pdu(share: int, user: int, kind: int, payload: bytes) -> bytes:
    """Return a Share Data PDU."""
    body = struct.pack("<IBBHBBH", share, 0, 2, 4 + len(payload), kind, 0, 0) + payload
    return struct.pack("<HHH", 6 + len(body), 0x17, user) + body


def capabilities(width: int, height: int) -> bytes:
    """Return what a viewer can show: no orders, no cache, surfaces in RemoteFX, frames counted."""
    remote_fx = bytes.fromhex(
        "01 122f777672bd6344afb3b73c9c6f7886 03 2900"
        "29000000 00000000 1d000000 c0cb08000000 0100 c1cb15000000 01c0cf01000800 000140000001 0104"
    )
    sets = (
        (26, struct.pack("<I", 0x002C4000)),  # as much as one update may have: all of it
        (1, struct.pack("<HHHHHHHHHBB", 0, 0, 0x200, 0, 0, 0x0401, 0, 0, 0, 0, 0)),
        (2, struct.pack("<HHHHHHHHHBBHH", 32, 1, 1, 1, width, height, 0, 0, 1, 0, 0x0E, 1, 0)),
        (3, bytes(20) + struct.pack("<HHHHHH", 1, 20, 0, 1, 0, 0x0A) + bytes(52)),
        (4, bytes(36)),
        (13, struct.pack("<HHIIII", 0x01, 0, 0x409, 4, 0, 12) + bytes(64)),
        (8, struct.pack("<HHH", 1, 32, 32)),
        (15, bytes(4)),
        (16, bytes(48)),
        (17, bytes(8)),
        (20, bytes(8)),
        (12, bytes(4)),
        (27, struct.pack("<H", 3)),
        (28, struct.pack("<II", 0x52, 0)),
        (29, remote_fx),
        (30, struct.pack("<I", 20)),
    )
    return struct.pack("<HH", len(sets), 0) + b"".join(
        struct.pack("<HH", kind, 4 + len(body)) + body for kind, body in sets
    )


def _der(tag: int, value: bytes) -> bytes:
    length = len(value)
    head = bytes((tag,)) if tag <= 0xFF else tag.to_bytes(2, "big")  # noqa: PLR2004 - one byte
    if length < 0x80:  # noqa: PLR2004 - the short form
        return head + bytes((length,)) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return head + bytes((0x80 | len(octets),)) + octets + value


def _long(length: int) -> bytes:
    return (length | 0x8000).to_bytes(2, "big")
