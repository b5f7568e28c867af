"""X.224: the request and the confirmation that a conversation in RDP begins with.

The gate offers TLS and nothing else: no CredSSP (it would end in the desktop, which the viewer
has no password of), no security of RDP's own. RDP has a word for that.
"""

import struct
from typing import Final

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp.framing import HEADER, tpkt
from porthole_desktop.gate.rdp.reader import Reader

DATA: Final = b"\x02\xf0\x80"
"""X.224's head of everything that is no request and no confirmation."""
TLS: Final = 1
"""PROTOCOL_SSL; what is asked for is a set of bits."""
TLS_REQUIRED: Final = 1
"""SSL_REQUIRED_BY_SERVER, the code of a refusal."""
_REQUEST, _CONFIRM = 0xE0, 0xD0
_NEGOTIATE, _ANSWER, _REFUSAL = 1, 2, 3
_CORRELATION: Final = 6
_EXTENDED_DATA: Final = 1
_NEGOTIATION: Final = struct.Struct("<BBHI")


def read_request(pdu: bytes) -> int:
    """Return the bits of the protocols that a Connection Request asks for.

    Its cookie, or routing token, is not for us: where a stream goes is decided by its grant.

    Raises:
        ViewerFault: it is none.
    """
    reader = _variable(pdu, _REQUEST, Reader(pdu[HEADER:], ViewerFault, "A Connection Request"))
    rest = reader.rest()
    if rest and rest[0] != _NEGOTIATE:
        _, found, rest = rest.partition(b"\r\n")
        if not found:
            raise ViewerFault("The cookie of a Connection Request does not end.")
    if not rest:
        return 0
    reader = Reader(rest, ViewerFault, "A Connection Request")
    kind, _, length, protocols = _NEGOTIATION.unpack(reader.take(_NEGOTIATION.size))
    if kind != _NEGOTIATE or length != _NEGOTIATION.size:
        raise ViewerFault("A Connection Request does not negotiate as it has to.")
    if reader.left:
        reader.expect(struct.pack("<BBH", _CORRELATION, 0, 36))
        reader.take(32)
    reader.end()
    return int(protocols)


def request() -> bytes:
    """Return the gate's own Connection Request, which asks for TLS."""
    return _pdu(_REQUEST, _NEGOTIATION.pack(_NEGOTIATE, 0, _NEGOTIATION.size, TLS))


def read_confirm(pdu: bytes) -> None:
    """Check that a Connection Confirm agrees to TLS.

    Raises:
        DesktopFault: it does not.
    """
    reader = Reader(pdu[HEADER:], DesktopFault, "A Connection Confirm")
    reader = _variable(pdu, _CONFIRM, reader)
    kind, _, length, value = _NEGOTIATION.unpack(reader.take(_NEGOTIATION.size))
    reader.end()
    if kind == _REFUSAL:
        raise DesktopFault(f"The desktop refuses TLS (code {value}).")
    if kind != _ANSWER or length != _NEGOTIATION.size or value != TLS:
        raise DesktopFault("The desktop does not agree to TLS.")


def confirm() -> bytes:
    """Return the Connection Confirm that agrees to TLS."""
    return _pdu(_CONFIRM, _NEGOTIATION.pack(_ANSWER, _EXTENDED_DATA, _NEGOTIATION.size, TLS))


def refusal() -> bytes:
    """Return the Connection Confirm that says: TLS, or nothing."""
    return _pdu(_CONFIRM, _NEGOTIATION.pack(_REFUSAL, 0, _NEGOTIATION.size, TLS_REQUIRED))


def _pdu(kind: int, negotiation: bytes) -> bytes:
    head = struct.pack(">BBHHB", 6 + len(negotiation), kind, 0, 0, 0)
    return tpkt(head + negotiation)


def _variable(pdu: bytes, kind: int, reader: Reader) -> Reader:
    """Return a reader of what follows X.224's fixed part."""
    if reader.u8() != len(pdu) - HEADER - 1 or reader.u8() & 0xF0 != kind:
        raise reader.fault(f"{reader.name} was expected.")
    reader.take(5)
    return reader
