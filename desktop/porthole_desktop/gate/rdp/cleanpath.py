"""RDCleanPath: what a browser's RDP client asks of whoever carries it, and the answers.

A request is DER: SEQUENCE of explicit tags, [0] version, [2] destination, [3] authorisation,
[5] a blob, [6] the X.224 request. Only the last is read: a stream goes where its grant says,
and the grant has been shown already.
"""

from dataclasses import dataclass
from typing import Final

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rdp import ber
from porthole_desktop.gate.rdp.reader import Reader

VERSION: Final = 3390
LONGEST: Final = 8192
"""Bytes of a request."""
_VERSION, _ERROR, _X224, _CHAIN, _SERVER = 0, 1, 6, 7, 9
_KNOWN: Final = frozenset({0, 2, 3, 4, 5, 6})
_GENERAL: Final = 1
_LONG: Final = 0x80
_HEAD: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the X.224 request in it, and what came after it."""

    x224: bytes
    rest: bytes


def read_request(data: bytes) -> Asked | None:
    """Return the request at the beginning of `data`; None while it is not whole.

    Raises:
        ViewerFault: it is none.
    """
    length = _whole(data)
    if length is None or len(data) < length:
        return None
    fields = _fields(Reader(data[:length], ViewerFault, "An RDCleanPath request"))
    version, x224 = fields.get(_VERSION), fields.get(_X224)
    if version is None or x224 is None:
        raise ViewerFault("An RDCleanPath request has a version and an X.224 request.")
    if int.from_bytes(ber.expect(version, ber.INTEGER).rest(), "big") != VERSION:
        raise ViewerFault(f"The gate speaks RDCleanPath in version {VERSION} alone.")
    return Asked(ber.expect(x224, ber.OCTETS).rest(), data[length:])


def response(x224: bytes, certificate: bytes, server: str) -> bytes:
    """Return the answer to a request: the conversation may begin.

    Args:
        x224: the Connection Confirm.
        certificate: DER, of whom the viewer talks to.
        server: its name; nobody looks it up.
    """
    return ber.write(
        ber.SEQUENCE,
        _field(_VERSION, ber.integer(VERSION))
        + _field(_X224, ber.write(ber.OCTETS, x224))
        + _field(_CHAIN, ber.write(ber.SEQUENCE, ber.write(ber.OCTETS, certificate)))
        + _field(_SERVER, ber.write(ber.TEXT, server.encode())),
    )


def failure(status: int) -> bytes:
    """Return the answer that says no, as a status of HTTP: 400, 502, 504."""
    error = _field(0, ber.integer(_GENERAL)) + _field(1, ber.integer(status))
    return ber.write(
        ber.SEQUENCE,
        _field(_VERSION, ber.integer(VERSION)) + _field(_ERROR, ber.write(ber.SEQUENCE, error)),
    )


def _field(number: int, value: bytes) -> bytes:
    return ber.write(ber.context(number), value)


def _fields(reader: Reader) -> dict[int, Reader]:
    fields: dict[int, Reader] = {}
    inside = ber.expect(reader, ber.SEQUENCE)
    while inside.left:
        tag, value = ber.read(inside)
        number = tag[0] & 0x1F
        if tag != ber.context(number) or number not in _KNOWN or number in fields:
            raise ViewerFault(f"An RDCleanPath request has no field {tag.hex()}, or has it once.")
        fields[number] = value
    return fields


def _whole(data: bytes) -> int | None:
    """Return how long the request is, head and all; None if that cannot be told yet."""
    if data[:1] not in {b"", ber.SEQUENCE}:
        raise ViewerFault("The viewer does not begin with an RDCleanPath request.")
    if len(data) < _HEAD:
        return None
    count = data[1] & 0x7F if data[1] & _LONG else 0
    if count > 2 or data[1] == _LONG:  # noqa: PLR2004 - two bytes say more than is admitted
        raise ViewerFault("An RDCleanPath request is too long, or does not say how long.")
    body = int.from_bytes(data[2 : 2 + count], "big") if count else data[1]
    if body > LONGEST:
        raise ViewerFault(f"An RDCleanPath request has at most {LONGEST} bytes.")
    return 2 + count + body
