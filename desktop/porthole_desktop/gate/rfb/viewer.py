"""What a viewer may say to a desktop, and how long each of it is.

Keys, pointer, clipboard and resizing pass only while the viewer may use the desktop.
Which keys and buttons it holds down is known here, so that they can be let go when it may
not any more.
"""

import struct
from collections.abc import Callable
from typing import Final

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.people import Input
from porthole_desktop.gate.rfb.clipboard import CLIENT_CUT_TEXT, cut_text
from porthole_desktop.gate.rfb.encodings import RECTANGLES, admitted
from porthole_desktop.gate.rfb.flow import OVER, Flow, Grammar, Piece
from porthole_desktop.gate.rfb.pixels import LENGTH, PixelFormat
from porthole_desktop.gate.rfb.screen import Screen
from porthole_desktop.gate.ways import Ways

_SET_PIXEL_FORMAT, _SET_ENCODINGS, _REQUEST = 0, 2, 3
_KEY, _POINTER = 4, 5
_ENABLE_CONTINUOUS_UPDATES, _FENCE, _SET_DESKTOP_SIZE, _QEMU = 150, 248, 251, 255
_QEMU_KEY: Final = 0
_LONGEST_FENCE: Final = 64
_MOST_ENCODINGS: Final = 1024
_MOST_SCREENS: Final = 16
_MOST_KEYS: Final = 64
"""Keys that one viewer may hold down and that are remembered."""


class ViewerParser:
    """Viewer to desktop.

    Args:
        screen: shared with the other direction.
        ways: which way the clipboard may go, and how much of it.
        largest_screen: width and height; a larger one is not asked for.
        people: told of keys and pointer.
        message: told the size of each message that is over.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        ways: Ways,
        largest_screen: tuple[int, int],
        may_use: bool,
        people: Input,
        message: Callable[[int], None] | None = None,
    ) -> None:
        self._screen = screen
        self._ways = ways
        self._largest_screen = largest_screen
        self._people = people
        self._may_use = may_use
        self._let_go = False
        self._keys: dict[int, int] = {}
        self._pointer = bytes(5)
        self._flow = Flow(self._grammar, message)

    @property
    def settled(self) -> bool:
        """Whether the last change of what the viewer may do has taken effect."""
        return not self._let_go

    def feed(self, data: bytes | bytearray | memoryview) -> list[Piece]:
        """Take what the viewer says; return what passes to the desktop.

        Raises:
            ViewerFault: it is not admitted.
        """
        return self._flow.feed(data)

    def allow(self, *, may_use: bool) -> bytes:
        """Change what the viewer may do, from its next message on.

        Returns what is to be sent to the desktop now: what lets go of all keys and buttons
        that it holds, if it may not use the desktop any more. In the middle of a message
        that goes out by itself, as soon as the message is over.
        """
        lost = self._may_use and not may_use
        self._may_use = may_use
        if not lost:
            return b""
        if self._flow.between:
            return self._release()
        self._let_go = True
        return b""

    def _grammar(self, flow: Flow) -> Grammar:
        messages: dict[int, Callable[[Flow], Grammar]] = {
            _SET_PIXEL_FORMAT: self._set_pixel_format,
            _SET_ENCODINGS: self._set_encodings,
            _REQUEST: self._request,
            _KEY: self._key,
            _POINTER: self._move,
            _ENABLE_CONTINUOUS_UPDATES: self._continuous,
            _FENCE: self._fence,
            _SET_DESKTOP_SIZE: self._set_desktop_size,
            _QEMU: self._qemu,
        }
        while True:
            kind = (yield 1)[0]
            if kind == CLIENT_CUT_TEXT:
                yield from cut_text(
                    flow,
                    kind,
                    may_give=self._may_use and self._ways.gives(to_desktop=True),
                    may_ask=self._may_use and self._ways.asks(to_desktop=True),
                    most=self._ways.most,
                    fault=ViewerFault,
                )
            elif kind in messages:
                yield from messages[kind](flow)
            else:
                raise ViewerFault(f"A viewer has no message of the type {kind}.")
            yield OVER
            if self._let_go:
                self._let_go = False
                flow.insert = self._release()

    def _set_pixel_format(self, flow: Flow) -> Grammar:
        del flow
        raw = (yield 3 + LENGTH)[3:]
        try:
            pixels = PixelFormat.read(raw)
        except ValueError as error:
            raise ViewerFault(str(error)) from None
        if self._screen.requested and pixels != self._screen.pixels:
            # Updates in the old format may be under way, and nothing would say which.
            raise ViewerFault("The size of a pixel may not change once updates are asked for.")
        self._screen.pixels = pixels

    def _set_encodings(self, flow: Flow) -> Grammar:
        flow.keep = False
        (count,) = struct.unpack(">xH", (yield 3))
        if count > _MOST_ENCODINGS:
            raise ViewerFault(f"A viewer names at most {_MOST_ENCODINGS} encodings.")
        numbers = admitted(struct.unpack(f">{count}i", (yield 4 * count) if count else b""))
        self._screen.encodings.update(RECTANGLES.intersection(numbers))
        flow.insert = struct.pack(f">BxH{len(numbers)}i", _SET_ENCODINGS, len(numbers), *numbers)

    def _request(self, flow: Flow) -> Grammar:
        del flow
        yield 9
        self._screen.requested = True

    def _continuous(self, flow: Flow) -> Grammar:
        del flow
        yield 9
        self._screen.requested = True

    def _key(self, flow: Flow) -> Grammar:
        may_use = flow.keep = self._may_use
        down, key = struct.unpack(">B2xI", (yield 7))
        self._press(key, 0, down=bool(down), may_use=may_use)

    def _qemu(self, flow: Flow) -> Grammar:
        may_use = flow.keep = self._may_use
        kind, down, key, code = struct.unpack(">BHII", (yield 11))
        if kind != _QEMU_KEY:
            raise ViewerFault(f"Of QEMU's messages only keys are known, not {kind}.")
        self._press(key, code, down=bool(down), may_use=may_use)

    def _press(self, key: int, code: int, *, down: bool, may_use: bool) -> None:
        self._people.event()
        if not may_use:
            return
        self._people.used()
        if not down:
            self._keys.pop(key or code, None)
        elif len(self._keys) < _MOST_KEYS:
            self._keys[key or code] = code

    def _move(self, flow: Flow) -> Grammar:
        may_use = flow.keep = self._may_use
        pointer = yield 5
        self._people.event()
        if may_use and pointer != self._pointer:
            self._pointer = pointer
            self._people.used()

    def _fence(self, flow: Flow) -> Grammar:
        del flow
        length = (yield 8)[7]
        if length > _LONGEST_FENCE:
            raise ViewerFault(f"A fence holds at most {_LONGEST_FENCE} bytes.")
        if length:
            yield length

    def _set_desktop_size(self, flow: Flow) -> Grammar:
        flow.keep = False
        head = yield 7
        width, height, count = struct.unpack(">xHHBx", head)
        if not 1 <= count <= _MOST_SCREENS:
            raise ViewerFault(f"A desktop has between 1 and {_MOST_SCREENS} screens.")
        screens = yield 16 * count
        most = self._largest_screen
        if self._may_use and 1 <= width <= most[0] and 1 <= height <= most[1]:
            flow.insert = bytes((_SET_DESKTOP_SIZE,)) + head + screens

    def _release(self) -> bytes:
        out = []
        for name, code in self._keys.items():
            if code:
                key = name if name != code else 0
                out.append(struct.pack(">BBHII", _QEMU, _QEMU_KEY, 0, key, code))
            else:
                out.append(struct.pack(">BB2xI", _KEY, 0, name))
        self._keys.clear()
        if self._pointer[0]:
            self._pointer = b"\0" + self._pointer[1:]
            out.append(bytes((_POINTER,)) + self._pointer)
        return b"".join(out)
