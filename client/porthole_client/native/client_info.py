"""What an RDP program says first: X.224's request, and Client Info with the password. Pure.

Everything is refused that is not plainly one of the few PDUs that come before Client Info.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from porthole_contract.errors import RemoteProtocolError

HEADER: Final = 4
"""Bytes of a TPKT header."""
LONGEST: Final = 8192
"""Bytes of a PDU that may come before Client Info."""
REFUSE: Final = bytes.fromhex("030000130ed000000000000300080001000000")
"""X.224's answer to a program that does not offer TLS: it is required."""

_TLS: Final = 1
_SEND_DATA: Final = 0x64
_INFO: Final = 0x40
_UNICODE: Final = 0x10
_TEXTS: Final = 5
_LONG: Final = 0x80
_DATA: Final = b"\x02\xf0\x80"


@dataclass(frozen=True, slots=True)
class Info:
    """A Client Info: what it says, and the same without the password."""

    user: str
    password: str = field(repr=False)
    blanked: bytes = field(repr=False)


def length(header: bytes) -> int:
    """Return how long the PDU of a TPKT header is, header and all.

    Raises:
        RemoteProtocolError: it is none, or too long.
    """
    found = int.from_bytes(header[2:4], "big")
    if header[0] != 3 or not HEADER < found <= LONGEST:  # noqa: PLR2004 - TPKT's version
        raise RemoteProtocolError("The program does not speak RDP.")
    return found


def wants_tls(pdu: bytes) -> bool:
    """Whether an X.224 request offers TLS.

    Raises:
        RemoteProtocolError: it is no such request.
    """
    if len(pdu) < HEADER + 7 or pdu[5] != 0xE0:  # noqa: PLR2004 - the code of a request
        raise RemoteProtocolError("The program does not begin as RDP does.")
    # A cookie may stand before what is offered.
    offer = pdu[HEADER + 7 :]
    if offer[:7].lower() == b"cookie:":
        offer = offer.partition(b"\r\n")[2]
    if len(offer) < 8 or offer[0] != 1:  # noqa: PLR2004 - RDP_NEG_REQ
        return False
    return bool(struct.unpack_from("<I", offer, 4)[0] & _TLS)


def read(pdu: bytes) -> Info | None:
    """Return the Client Info that a PDU is; None if it is one of those before.

    Raises:
        RemoteProtocolError: it is a broken one.
    """
    if pdu[HEADER : HEADER + 4] != _DATA + bytes((_SEND_DATA,)):
        return None
    try:
        at = HEADER + 9  # initiator, channel, priority
        at += 2 if pdu[at] & _LONG else 1
        flags, _, _, options, *sizes = struct.unpack_from("<HHII5H", pdu, at)
    except (IndexError, struct.error):
        raise _broken() from None
    if not flags & _INFO or not options & _UNICODE:
        raise _broken()
    at += struct.calcsize("<HHII5H")
    spans = []
    for size in sizes:
        spans.append((at, at + size))
        at += size + 2
    if len(spans) != _TEXTS or at > len(pdu):
        raise _broken()
    (_, user, password, _, _) = spans
    blanked = bytearray(pdu)
    blanked[slice(*password)] = "x".encode("utf-16-le") * ((password[1] - password[0]) // 2)
    if len(blanked) != len(pdu):
        raise _broken()
    return Info(_text(pdu, user), _text(pdu, password), bytes(blanked))


def _text(pdu: bytes, span: tuple[int, int]) -> str:
    return pdu[slice(*span)].decode("utf-16-le", errors="replace")


def _broken() -> RemoteProtocolError:
    return RemoteProtocolError("The program says who it is in a way that cannot be read.")
