"""Reads fields off the front of bytes, and says whose fault it is when there are too few."""

import struct
from typing import Final

from porthole_contract.errors import RemoteProtocolError

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_U16_BE: Final = struct.Struct(">H")


class Reader:
    """A place in `data`; every read is within its bounds, or a fault.

    Args:
        data: what is read; whole, for nothing more will come.
        fault: what to raise.
        name: what this is, as a sentence begins: `A Client Info`.
    """

    __slots__ = ("_at", "_data", "fault", "name")

    def __init__(
        self, data: bytes | memoryview, fault: type[RemoteProtocolError], name: str
    ) -> None:
        self._data = memoryview(data)
        self._at = 0
        self.fault = fault
        self.name = name

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > self.left:
            raise self.fault(f"{self.name} ends in the middle.")
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.left)

    def part(self, count: int, name: str | None = None) -> "Reader":
        """Return a reader of the next `count` bytes alone."""
        return Reader(self.take(count), self.fault, name or self.name)

    def u8(self) -> int:
        """Return a byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Return two bytes, little-endian, as most of RDP is."""
        return int(_U16.unpack(self.take(2))[0])

    def u32(self) -> int:
        """Return four bytes, little-endian."""
        return int(_U32.unpack(self.take(4))[0])

    def u16_be(self) -> int:
        """Return two bytes, big-endian, as MCS and X.224 are."""
        return int(_U16_BE.unpack(self.take(2))[0])

    def expect(self, wanted: bytes) -> None:
        """Read exactly these bytes."""
        if self.take(len(wanted)) != wanted:
            raise self.fault(f"{self.name} is not as it has to be.")

    def end(self) -> None:
        """Say that nothing may be left."""
        if self.left:
            raise self.fault(f"{self.name} has {self.left} bytes too many.")
