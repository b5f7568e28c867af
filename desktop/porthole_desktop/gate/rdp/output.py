"""What a desktop shows by fast-path: updates, sized and never decoded."""

from typing import Final

from porthole_desktop.gate.faults import DesktopFault
from porthole_desktop.gate.rdp.framing import head_of_fast
from porthole_desktop.gate.rdp.reader import Reader

_UPDATES: Final = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12})
"""Orders, bitmaps, palettes, surfaces, and pointers of all kinds."""
_HAS_FLAGS: Final = 0x80
_COMPRESSED: Final = 0x20


def check(pdu: bytes) -> None:
    """Check that a fast-path PDU is made of whole updates.

    Raises:
        DesktopFault: it is not.
    """
    reader = Reader(pdu[head_of_fast(pdu) :], DesktopFault, "A fast-path PDU of the desktop")
    while reader.left:
        head = reader.u8()
        if head & 0x0F not in _UPDATES:
            raise DesktopFault(f"There is no update of the kind {head & 0x0F} by fast-path.")
        if head & 0x40:
            raise DesktopFault("An update is compressed in a way that there is not.")
        if head & _HAS_FLAGS and reader.u8() & _COMPRESSED:
            raise DesktopFault("An update is compressed, which was not agreed on.")
        reader.take(reader.u16())
