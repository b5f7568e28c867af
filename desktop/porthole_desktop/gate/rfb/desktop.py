"""What a desktop may say to a viewer, and how long each of it is.

Rectangles are sized, never decoded. What may not pass to somebody who only looks is the
clipboard.
"""

import struct
from collections.abc import Callable
from typing import Final

from porthole_desktop.gate.faults import DesktopFault
from porthole_desktop.gate.rfb.clipboard import SERVER_CUT_TEXT, cut_text
from porthole_desktop.gate.rfb.encodings import Encoding
from porthole_desktop.gate.rfb.flow import OVER, Flow, Grammar, Piece
from porthole_desktop.gate.rfb.handshake import LONGEST_NAME
from porthole_desktop.gate.rfb.screen import LARGEST_SIDE, Screen
from porthole_desktop.gate.ways import Ways

_UPDATE, _COLOURS, _BELL = 0, 1, 2
_END_OF_CONTINUOUS_UPDATES, _FENCE = 150, 248
_UNTIL_LAST: Final = 0xFFFF
_LONGEST_FENCE: Final = 64
_MOST_SCREENS: Final = 16
_LARGEST_CURSOR: Final = 512
"""Pixels a side."""
_TIGHT_FILL, _TIGHT_JPEG, _TIGHT_FILTER = 8, 9, 4
_TIGHT_COPY, _TIGHT_PALETTE, _TIGHT_GRADIENT = 0, 1, 2
_TIGHT_SMALL: Final = 12
"""Below this many bytes Tight does not compress, and writes no length."""

_RECTANGLE: Final = struct.Struct(">HHHHi")
Rectangle = tuple[int, int, int, int]


class DesktopParser:
    """Desktop to viewer.

    Args:
        screen: shared with the other direction.
        ways: which way the clipboard may go, and how much of it.
        message: told the size of each message that is over.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        ways: Ways,
        may_use: bool,
        message: Callable[[int], None] | None = None,
    ) -> None:
        self.may_use = may_use
        """Whether the viewer may get the clipboard."""
        self._screen = screen
        self._ways = ways
        self._sizers: dict[int, Callable[[Rectangle], Grammar]] = {
            Encoding.RAW: self._raw,
            Encoding.COPY_RECT: self._copy,
            Encoding.TIGHT: self._tight,
            Encoding.ZRLE: self._zrle,
            Encoding.DESKTOP_SIZE: self._desktop_size,
            Encoding.EXTENDED_DESKTOP_SIZE: self._extended_desktop_size,
            Encoding.LAST_RECT: self._empty,
            Encoding.QEMU_KEYS: self._empty,
            Encoding.QEMU_LEDS: self._qemu_leds,
            Encoding.VMWARE_LEDS: self._vmware_leds,
            Encoding.CURSOR: self._cursor,
            Encoding.VMWARE_CURSOR: self._vmware_cursor,
            Encoding.DESKTOP_NAME: self._name,
        }
        self._flow = Flow(self._grammar, message)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Piece]:
        """Take what the desktop says; return what passes to the viewer.

        Raises:
            DesktopFault: it is not admitted.
        """
        return self._flow.feed(data)

    def _grammar(self, flow: Flow) -> Grammar:
        while True:
            kind = (yield 1)[0]
            if kind == _UPDATE:
                yield from self._update()
            elif kind == SERVER_CUT_TEXT:
                yield from cut_text(
                    flow,
                    kind,
                    may_give=self.may_use and self._ways.gives(to_desktop=False),
                    may_ask=self.may_use and self._ways.asks(to_desktop=False),
                    most=self._ways.most,
                    fault=DesktopFault,
                )
            elif kind == _FENCE:
                length = (yield 8)[7]
                if length > _LONGEST_FENCE:
                    raise DesktopFault(f"A fence holds at most {_LONGEST_FENCE} bytes.")
                yield -length
            elif kind == _COLOURS:
                (count,) = struct.unpack(">3xH", (yield 5))
                yield -6 * count
            elif kind not in {_BELL, _END_OF_CONTINUOUS_UPDATES}:
                raise DesktopFault(f"A desktop has no message of the type {kind}.")
            yield OVER

    def _update(self) -> Grammar:
        (count,) = struct.unpack(">xH", (yield 3))
        left = count
        while left or count == _UNTIL_LAST:
            left -= 1
            x, y, width, height, encoding = _RECTANGLE.unpack((yield _RECTANGLE.size))
            if encoding not in self._screen.encodings:
                raise DesktopFault(f"The encoding {encoding} was not asked for.")
            yield from self._sizers[encoding]((x, y, width, height))
            if encoding == Encoding.LAST_RECT:
                return

    def _inside(self, rectangle: Rectangle) -> None:
        x, y, width, height = rectangle
        if x + width > self._screen.width or y + height > self._screen.height:
            raise DesktopFault("A rectangle lies outside the screen.")

    def _raw(self, rectangle: Rectangle) -> Grammar:
        self._inside(rectangle)
        yield -rectangle[2] * rectangle[3] * self._screen.pixels.size

    def _copy(self, rectangle: Rectangle) -> Grammar:
        self._inside(rectangle)
        x, y = struct.unpack(">HH", (yield 4))
        self._inside((x, y, rectangle[2], rectangle[3]))

    def _zrle(self, rectangle: Rectangle) -> Grammar:
        self._inside(rectangle)
        (length,) = struct.unpack(">I", (yield 4))
        # A screen full of noise, what zlib adds to it, and a good margin.
        most = 2 * rectangle[2] * rectangle[3] * self._screen.pixels.size + 65536
        if length > most:
            raise DesktopFault(f"{length} bytes are too many for a rectangle in ZRLE.")
        yield -length

    def _tight(self, rectangle: Rectangle) -> Grammar:
        self._inside(rectangle)
        width, height = rectangle[2:]
        pixel = self._screen.pixels.tight_size
        method = (yield 1)[0] >> 4
        if method == _TIGHT_FILL:
            yield -pixel
            return
        if method == _TIGHT_JPEG:
            yield from _compact()
            return
        if method > _TIGHT_JPEG:
            raise DesktopFault(f"There is no method {method} in Tight.")
        row = width * pixel
        if method & _TIGHT_FILTER:
            kind = (yield 1)[0]
            if kind == _TIGHT_PALETTE:
                colours = (yield 1)[0] + 1
                yield -colours * pixel
                row = (width + 7) // 8 if colours <= 2 else width  # noqa: PLR2004 - one bit each
            elif kind not in {_TIGHT_COPY, _TIGHT_GRADIENT}:
                raise DesktopFault(f"There is no filter {kind} in Tight.")
        size = row * height
        if size < _TIGHT_SMALL:
            yield -size
        else:
            yield from _compact()

    def _desktop_size(self, rectangle: Rectangle) -> Grammar:
        self._resize(rectangle[2], rectangle[3])
        yield from ()

    def _extended_desktop_size(self, rectangle: Rectangle) -> Grammar:
        count = (yield 4)[0]
        if count > _MOST_SCREENS:
            raise DesktopFault(f"A desktop has at most {_MOST_SCREENS} screens.")
        yield -16 * count
        status = rectangle[1]
        if status == 0:  # anything else: the size that was asked for was refused
            self._resize(rectangle[2], rectangle[3])

    def _resize(self, width: int, height: int) -> None:
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise DesktopFault(f"A screen of {width}x{height} pixels cannot be.")
        self._screen.width, self._screen.height = width, height

    def _cursor(self, rectangle: Rectangle) -> Grammar:
        width, height = _cursor_size(rectangle)
        yield -(width * height * self._screen.pixels.size + (width + 7) // 8 * height)

    def _vmware_cursor(self, rectangle: Rectangle) -> Grammar:
        width, height = _cursor_size(rectangle)
        kind = (yield 2)[0]
        if kind not in {0, 1}:
            raise DesktopFault(f"There is no cursor of the kind {kind}.")
        yield -width * height * (4 if kind else 2 * self._screen.pixels.size)

    def _name(self, rectangle: Rectangle) -> Grammar:
        del rectangle
        (length,) = struct.unpack(">I", (yield 4))
        if length > LONGEST_NAME:
            raise DesktopFault(f"The desktop's name is longer than {LONGEST_NAME} bytes.")
        yield -length

    @staticmethod
    def _qemu_leds(rectangle: Rectangle) -> Grammar:
        del rectangle
        yield -1

    @staticmethod
    def _vmware_leds(rectangle: Rectangle) -> Grammar:
        del rectangle
        yield -4

    @staticmethod
    def _empty(rectangle: Rectangle) -> Grammar:
        del rectangle
        yield from ()


def _compact() -> Grammar:
    """Tight's length: seven bits a byte, then as many bytes."""
    first = (yield 1)[0]
    length = first & 0x7F
    if first & 0x80:
        second = (yield 1)[0]
        length |= (second & 0x7F) << 7
        if second & 0x80:
            length |= (yield 1)[0] << 14
    yield -length


def _cursor_size(rectangle: Rectangle) -> tuple[int, int]:
    width, height = rectangle[2:]
    if width > _LARGEST_CURSOR or height > _LARGEST_CURSOR:
        raise DesktopFault(f"A cursor of {width}x{height} pixels cannot be.")
    return width, height
