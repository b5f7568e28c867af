"""Client Info: who a viewer says it is, and what the desktop is told instead.

The desktop logs on by itself, with its own user and password. No program, no folder, no address
and no cookie of the viewer's reaches it, and nothing is compressed: what cannot be read cannot
be judged.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rdp.agreed import Credentials
from porthole_desktop.gate.rdp.reader import Reader

INFO: Final = 0x0040
"""SEC_INFO_PKT, among the flags of a security header."""
_MOUSE, _NO_ATTENTION, _AUTOLOGON, _UNICODE, _MAXIMIZE = 0x1, 0x2, 0x8, 0x10, 0x20
_WINDOWS_KEY, _ERRORS, _WHEEL, _SILENT = 0x100, 0x10000, 0x20000, 0x80000
_KEPT: Final = _MOUSE | _NO_ATTENTION | _MAXIMIZE | _WINDOWS_KEY | _ERRORS | _WHEEL
_LONGEST_TEXT: Final = 512
"""Bytes of a name, a password or a path, without the end."""
_LONGEST_ADDRESS: Final = 1024
_ZONE: Final = 172
_IPV4: Final = 2


@dataclass(frozen=True, slots=True)
class Said:
    """What a viewer has said: who it is, and how it wants to be shown the desktop."""

    flags: int
    domain: str
    user: str
    password: str = field(repr=False)
    zone: bytes
    performance: int


def read(body: bytes) -> Said:
    """Read a Client Info, its security header included.

    Raises:
        ViewerFault: it is none.
    """
    reader = Reader(body, ViewerFault, "A Client Info")
    flags = reader.u16()
    reader.u16()
    if flags & ~0x0800 != INFO:  # SEC_IGNORE_SEQNO says nothing
        raise ViewerFault("A Client Info was expected.")
    reader.u32()  # the code page, of those who have no Unicode
    flags = reader.u32()
    if not flags & _UNICODE:
        raise ViewerFault("The viewer is too old: it does not speak Unicode.")
    sizes = [reader.u16() for _ in range(5)]
    domain, user, password, _, _ = (_text(reader, size) for size in sizes)
    zone, performance = bytes(_ZONE), 0
    if reader.left:
        reader.u16()
        _skip(reader)  # its address
        _skip(reader)  # where its program is
    if reader.left >= _ZONE:
        zone = reader.take(_ZONE)
    if reader.left:
        reader.u32()
        performance = reader.u32()
    return Said(flags, domain, user, password, zone, performance)


def write(said: Said, credentials: Credentials) -> bytes:
    """Return the Client Info that the desktop gets, its security header included."""
    texts = [_encoded(text) for text in ("", credentials.user, credentials.password, "", "")]
    flags = said.flags & _KEPT | _UNICODE | _AUTOLOGON | _SILENT
    return (
        struct.pack("<HHII", INFO, 0, 0, flags)
        + b"".join(struct.pack("<H", len(text)) for text in texts)
        + b"".join(text + b"\0\0" for text in texts)
        + struct.pack("<HHHHH", _IPV4, 2, 0, 2, 0)
        + said.zone
        + struct.pack("<IIH", 0, said.performance, 0)
    )


def _text(reader: Reader, size: int) -> str:
    if size > _LONGEST_TEXT or size % 2:
        raise ViewerFault(f"A Client Info has a text of {size} bytes.")
    text = reader.take(size)
    reader.expect(b"\0\0")
    return text.decode("utf-16-le", errors="replace").rstrip("\0")


def _skip(reader: Reader) -> None:
    size = reader.u16()
    if size > _LONGEST_ADDRESS:
        raise ViewerFault(f"A Client Info has an address of {size} bytes.")
    reader.take(size)


def _encoded(text: str) -> bytes:
    return text.encode("utf-16-le", errors="surrogatepass")
