"""The channel `drdynvc`, in which channels are opened by name; one name is known.

That is the control of the display, by which a viewer asks for another size of the screen. A
desktop that opens another channel hears from the gate that nobody listens.
"""

import struct
from dataclasses import dataclass
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.virtual import Chunks, chunk

DISPLAY: Final = b"Microsoft::Windows::RDS::DisplayControl"
_CREATE, _DATA_FIRST, _DATA, _CLOSE, _CAPABILITIES = 1, 2, 3, 4, 5
_LONGEST_NAME: Final = 256
_MOST_CHANNELS: Final = 16
_NOBODY: Final = 0xC0000001
_LAYOUT: Final = 2
_MONITOR: Final = 40


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a message: it goes on or not, and `back` to who sent it."""

    passes: bool
    back: bytes | None = None


class Dynamic:
    """One conversation's dynamic channels, both ways.

    Args:
        agreed: says whether the viewer may use the desktop.
        most: the largest screen that a viewer may ask for.
    """

    def __init__(self, agreed: Agreed, most: Size) -> None:
        self._agreed = agreed
        self._most = most
        self._open: set[int] = set()
        self._from = {True: Chunks(ViewerFault), False: Chunks(DesktopFault)}

    def judge(self, body: bytes, *, to_desktop: bool) -> Judged:
        """Judge the next message of one way.

        Raises:
            RemoteProtocolError: it is none that may come.
        """
        chunks = self._from[to_desktop]
        part = chunks.read(body)
        if not (part.first and part.last):
            raise chunks.fault("A message of a dynamic channel comes in parts.")
        reader = Reader(part.data, chunks.fault, "A message of a dynamic channel")
        head = reader.u8()
        kind = head >> 4
        if kind == _CAPABILITIES:
            return Judged(passes=True)
        channel = _channel(reader, head)
        if kind == _CREATE and not to_desktop:
            return self._create(reader, head, channel)
        if channel not in self._open:
            raise reader.fault(f"There is no dynamic channel {channel}.")
        if kind == _CLOSE:
            self._open.discard(channel)
        elif kind == _DATA and to_desktop:
            return Judged(passes=self._resizes(reader))
        elif kind not in {_CREATE, _DATA, _DATA_FIRST} or (kind == _DATA_FIRST and to_desktop):
            raise reader.fault(f"There is no message {kind} of a dynamic channel.")
        return Judged(passes=True)

    def _create(self, reader: Reader, head: int, channel: int) -> Judged:
        name = reader.rest().split(b"\0", 1)[0]
        if len(name) > _LONGEST_NAME or len(self._open) >= _MOST_CHANNELS:
            raise DesktopFault("The desktop opens more channels than there can be.")
        if name == DISPLAY:
            self._open.add(channel)
            return Judged(passes=True)
        self._open.discard(channel)
        size = _size(head, DesktopFault)
        answer = bytes((_CREATE << 4 | head & 3,)) + channel.to_bytes(size, "little")
        return Judged(passes=False, back=chunk(answer + struct.pack("<I", _NOBODY)))

    def _resizes(self, reader: Reader) -> bool:
        """Whether a layout of monitors may pass: one monitor, of a size that can be."""
        kind, length = reader.u32(), reader.u32()
        if kind != _LAYOUT or length != reader.left + 8:
            raise reader.fault("The control of a display is told of its monitors alone.")
        size, count = reader.u32(), reader.u32()
        if size != _MONITOR or reader.left != size * count:
            raise reader.fault("A layout of monitors is not as long as it says.")
        if count != 1 or not self._agreed.may_use:
            return False
        reader.take(12)
        width, height = reader.u32(), reader.u32()
        return 1 <= width <= self._most.width and 1 <= height <= self._most.height


def _size(head: int, fault: type[RemoteProtocolError]) -> int:
    """Return how many bytes the number of a channel has."""
    if head & 3 == 3:  # noqa: PLR2004 - the one value that means nothing
        raise fault("The number of a dynamic channel has no size.")
    return 1 << (head & 3)


def _channel(reader: Reader, head: int) -> int:
    return int.from_bytes(reader.take(_size(head, reader.fault)), "little")
