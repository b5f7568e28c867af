"""The greeting of RFB 3.8, both ends of it.

The gate is a server without a password to the viewer, who has shown a grant already, and
an ordinary client to the desktop. Both are made to say that the desktop is shared.
"""

import struct
from typing import Final

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rfb.pixels import LENGTH, PixelFormat
from porthole_desktop.gate.rfb.screen import LARGEST_SIDE, Screen

VERSION: Final = b"RFB 003.008\n"
NONE: Final = 1
LONGEST_NAME: Final = 1024
_SERVER_INIT: Final = 4 + LENGTH + 4


class ViewerGreeting:
    """The server's part, towards a viewer."""

    hello: Final = VERSION
    """What is said first."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stage = 0
        self.done = False

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take what the viewer says; return what to answer.

        When `done`, `rest` is what came after the greeting.

        Raises:
            ViewerFault: it is no RFB 3.8, or wants another security type.
        """
        self._buffer += data
        answer = b""
        if self._stage == 0 and (version := self._take(len(VERSION))) is not None:
            if version != VERSION:
                raise ViewerFault("The viewer does not speak RFB 3.8.")
            answer += bytes((1, NONE))
            self._stage = 1
        if self._stage == 1 and (kind := self._take(1)) is not None:
            if kind[0] != NONE:
                raise ViewerFault("The viewer chose a security type that was not offered.")
            answer += bytes(4)
            self._stage = 2
        if self._stage == 2 and self._take(1) is not None:  # noqa: PLR2004 - the last of three
            self._stage = 3
            self.done = True
        return answer

    @property
    def rest(self) -> bytes:
        """What came after the greeting."""
        return bytes(self._buffer)

    def _take(self, count: int) -> bytes | None:
        if len(self._buffer) < count:
            return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


class DesktopGreeting:
    """The client's part, towards the desktop; in the end it knows the `screen`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stage = 0
        self.screen: Screen | None = None
        self.server_init = b""
        """The desktop's ServerInit, as it is to be handed to the viewer."""

    @property
    def rest(self) -> bytes:
        """What came after the greeting."""
        return bytes(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take what the desktop says; return what to answer.

        Raises:
            DesktopFault: it is no RFB 3.8 without a password, or its screen cannot be.
        """
        self._buffer += data
        answer = b""
        before = -1
        while before != self._stage:
            before = self._stage
            answer += (self._version, self._security, self._result, self._init, _nothing)[before]()
        return answer

    def _version(self) -> bytes:
        if len(self._buffer) < len(VERSION):
            return b""
        if self._take(len(VERSION)) != VERSION:
            raise DesktopFault("The desktop does not speak RFB 3.8.")
        self._stage = 1
        return VERSION

    def _security(self) -> bytes:
        if not self._buffer or len(self._buffer) < 1 + self._buffer[0]:
            return b""
        kinds = self._take(1 + self._buffer[0])[1:]
        if NONE not in kinds:
            raise DesktopFault("The desktop does not let the gate in.")
        self._stage = 2
        return bytes((NONE,))

    def _result(self) -> bytes:
        if len(self._buffer) < 4:  # noqa: PLR2004 - a u32
            return b""
        if self._take(4) != bytes(4):
            raise DesktopFault("The desktop refused the gate.")
        self._stage = 3
        return bytes((1,))  # shared: another viewer must not be thrown out

    def _init(self) -> bytes:
        if len(self._buffer) < _SERVER_INIT:
            return b""
        width, height, pixels, name = struct.unpack_from(f">HH{LENGTH}sI", self._buffer)
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise DesktopFault(f"A screen of {width}x{height} pixels cannot be.")
        if name > LONGEST_NAME:
            raise DesktopFault(f"The desktop's name is longer than {LONGEST_NAME} bytes.")
        if len(self._buffer) < _SERVER_INIT + name:
            return b""
        try:
            self.screen = Screen(width, height, PixelFormat.read(pixels))
        except ValueError as error:
            raise DesktopFault(str(error)) from None
        self.server_init = self._take(_SERVER_INIT + name)
        self._stage = 4
        return b""

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _nothing() -> bytes:
    return b""
