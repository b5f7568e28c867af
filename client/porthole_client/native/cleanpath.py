"""RDCleanPath: how a gate is asked for a desktop in RDP whose TLS ends here. Pure.

DER: SEQUENCE of explicit tags. Asked: [0] version, [2] destination, [3] authorisation, [6] the
X.224 request. Answered: [0] version, [6] the X.224 confirmation, [7] certificates, [9] a name; or
[1] an error.
"""

from typing import Final

from porthole_contract.errors import RemoteProtocolError

VERSION: Final = 3390
LONGEST: Final = 16384
"""Bytes of an answer."""
_SEQUENCE, _INTEGER, _OCTETS, _TEXT, _FIELD = 0x30, 0x02, 0x04, 0x0C, 0xA0
_X224: Final = 6
_ERROR: Final = 1
_STATUS: Final = 1
_LONG: Final = 0x80
_MOST_LENGTH: Final = 2

ASK_FOR_TLS: Final = bytes.fromhex("030000130ee000000000000100080001000000")
"""The X.224 request of a client that wants TLS and says nothing else of itself."""


def request() -> bytes:
    """Return the request. A gate knows where its desktop is, and who asks has shown why."""
    return _value(
        _SEQUENCE,
        _value(_FIELD, _value(_INTEGER, VERSION.to_bytes(2, "big")))
        + _value(_FIELD | 2, _value(_TEXT, b"desktop"))
        + _value(_FIELD | 3, _value(_TEXT, b"in-the-ticket"))
        + _value(_FIELD | _X224, _value(_OCTETS, ASK_FOR_TLS)),
    )


def read_answer(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the X.224 confirmation and what came after the answer; None: it is not whole.

    Raises:
        RemoteProtocolError: it is no answer, or says no.
    """
    if data[:1] not in {b"", bytes((_SEQUENCE,))}:
        raise RemoteProtocolError("The gate does not answer as a gate does.")
    try:
        _, body, rest = _read(data)
    except IndexError:
        if len(data) > LONGEST:
            raise RemoteProtocolError("The gate's answer is too long.") from None
        return None
    try:
        fields = {}
        while body:
            tag, value, body = _read(body)
            fields[tag & 0x1F] = value
        if _ERROR in fields:
            raise RemoteProtocolError(_refused(fields[_ERROR]))
        _, confirmation, _ = _read(fields[_X224])
    except (IndexError, KeyError):
        raise RemoteProtocolError("The gate's answer cannot be read.") from None
    return confirmation, rest


def _refused(error: bytes) -> str:
    _, fields, _ = _read(error)
    while fields:
        tag, value, fields = _read(fields)
        if tag & 0x1F == _STATUS:
            status = int.from_bytes(_read(value)[1], "big")
            return f"The gate does not open the desktop (status {status})."
    return "The gate does not open the desktop."


def _value(tag: int, body: bytes) -> bytes:
    if len(body) < _LONG:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(length))) + length + body


def _read(data: bytes) -> tuple[int, bytes, bytes]:
    """Return a tag, its body and what follows.

    Raises:
        IndexError: there is less than it says.
    """
    tag, length, at = data[0], data[1], 2
    if length & _LONG:
        count = length & ~_LONG
        if count > _MOST_LENGTH:
            raise RemoteProtocolError("The gate's answer is too long.")
        at += count
        if len(data) < at:
            raise IndexError
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        raise IndexError
    return tag, data[at : at + length], data[at + length :]
