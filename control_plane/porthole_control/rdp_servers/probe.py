"""The viewer's half of a conversation in RDP, up to the first picture. Sans-I/O.

It speaks as browsers do at the gate: RDCleanPath, then RDP without TLS. It decodes nothing of a
picture; it counts which parts of the screen came, and whether they differ from each other.
"""

import struct
from collections.abc import Iterator
from typing import Final

from porthole_control.rdp_servers.words import (
    ATTACH,
    ERECT,
    RESPONSE,
    clean_path,
    client_info,
    confirm_active,
    connect_initial,
    data_pdu,
    join,
    licence,
    send_data,
)

GRID: Final = 16
"""Pixels; what was drawn is counted in squares of this size."""
_ENOUGH: Final = 99.0
"""Percent of the screen that has to come."""
_FIRST_USER: Final = 1001
_ATTACHED, _JOINED, _SENT = 0x2E, 0x3E, 0x68
_TPKT: Final = 3
_LONGEST: Final = 16 * 2**20
"""Bytes of one update, its parts together."""
_LONGEST_HELLO: Final = 2**16
"""Bytes of the gate's first answer."""
_MOST_SQUARES: Final = (7680 // GRID) * (4320 // GRID)
"""Those of the largest screen that there is."""
_MOST_STEPS: Final = 16 * _MOST_SQUARES
"""What is done for one test, in squares, tiles and frames. Programs of the desktop's user, or
somebody on the way, may say what they like, and while we count nobody else is served."""
_SYNCHRONIZE, _CONTROL, _FONTS, _FRAME_ACKNOWLEDGE = 31, 20, 39, 56
_DEMAND, _DATA = 1, 7
_SURFACE_UPDATE: Final = 4
_FIRST, _LAST = 2, 1
_SET_SURFACE, _FRAME_MARKER, _STREAM_SURFACE = 1, 4, 6
_SIZES: Final = struct.Struct("<HI")
_REGION, _TILES, _TILE = 0xCCC6, 0xCCC7, 0xCAC3
_LICENSING: Final = 0x80
_WANTS_LICENCE, _NO_LICENCE = 0x01, 0xFF


class Refused(Exception):
    """The other side says no, or what it says is no RDP."""


class Probe:
    """A viewer that waits for the first picture of a screen.

    Attributes:
        answered: RDP was answered on the way.
        size: width and height of the screen, once they are known.
        tiles: how many pieces of pictures came.
    """

    def __init__(self, width: int, height: int) -> None:
        self.answered = False
        self.size: tuple[int, int] | None = None
        self.tiles = 0
        self._asked = (width, height)
        self._held = bytearray()
        self._update = bytearray()
        self._user = self._io = self._share = self._joined = 0
        self._licensed = False
        self._missing: set[tuple[int, int]] = set()
        self._squares = self._steps = 0
        self._looks: set[bytes] = set()

    @property
    def drawn_percent(self) -> float:
        """How much of the screen has come."""
        if not self._squares:
            return 0.0
        return round(100 * (1 - len(self._missing) / self._squares), 1)

    @property
    def drawn(self) -> bool:
        """Whether the screen has come, and is not the same all over."""
        return self.drawn_percent >= _ENOUGH and len(self._looks) > 1

    def hello(self) -> bytes:
        """Return what is said first."""
        return clean_path()

    def feed(self, data: bytes) -> bytes:
        """Take what the other side says; return the answer.

        Raises:
            Refused: it says no, or something that is no RDP.
        """
        self._held += data
        try:
            return b"".join(self._answers())
        except (struct.error, IndexError) as error:
            raise Refused("What was answered is no RDP.") from error

    def _answers(self) -> Iterator[bytes]:
        if not self.answered:
            length = _length_of_der(self._held)
            if (length or 0) > _LONGEST_HELLO:
                raise Refused("The gate does not answer as gates do.")
            if length is None or len(self._held) < length:
                return
            if self._held[8:9] == b"\xa1":
                raise Refused("The gate refuses the viewer.")
            del self._held[:length]
            self.answered = True
            yield connect_initial(*self._asked)
        while (pdu := self._next()) is not None:
            yield from self._take(pdu)

    def _next(self) -> bytes | None:
        held = self._held
        if len(held) < 4:  # noqa: PLR2004 - the head of a TPKT; a shorter PDU says nothing
            return None
        if held[0] == _TPKT:
            length = int.from_bytes(held[2:4], "big")
        else:
            length = (held[1] & 0x7F) << 8 | held[2] if held[1] & 0x80 else held[1]
        if length < 3:  # noqa: PLR2004 - a head
            raise Refused("What was answered is no RDP.")
        if len(held) < length:
            return None
        pdu = bytes(held[:length])
        del held[:length]
        return pdu

    # The opening, one PDU after another -----------------------------------------------

    def _take(self, pdu: bytes) -> Iterator[bytes]:
        if pdu[0] != _TPKT:
            yield from self._fast(pdu)
            return
        kind = pdu[7]
        if self._io == 0 and pdu[7:9] == RESPONSE:
            # No channel was asked for, so its last block has the desktop's own and no other.
            self._io = struct.unpack_from("<H", pdu, len(pdu) - 4)[0]
            yield ERECT + ATTACH
        elif kind == _ATTACHED and pdu[8] == 0:
            self._user = _FIRST_USER + int.from_bytes(pdu[9:11], "big")
            yield join(self._user, self._user) + join(self._user, self._io)
        elif kind == _JOINED and pdu[8] == 0:
            self._joined += 1
            if self._joined == 2:  # noqa: PLR2004 - the user's own, and the desktop's
                yield send_data(self._user, self._io, client_info())
        elif kind == _SENT:
            yield from self._told(pdu[15:] if pdu[13] & 0x80 else pdu[14:])
        else:
            raise Refused("The desktop has ended the conversation.")

    def _told(self, body: bytes) -> list[bytes]:
        """Take what is said on the desktop's own channel; return the answers."""
        if not self._licensed:
            flags = struct.unpack_from("<H", body)[0]
            if not flags & _LICENSING:
                raise Refused("The desktop does not say whether it wants a licence.")
            self._licensed = body[4] == _NO_LICENCE
            wants = body[4] == _WANTS_LICENCE
            return [send_data(self._user, self._io, licence())] if wants else []
        _, kind, _ = struct.unpack_from("<HHH", body)
        return self._activated(body) if kind & 0xF == _DEMAND else []

    def _activated(self, body: bytes) -> list[bytes]:
        self._share, source, _ = struct.unpack_from("<IHH", body, 6)
        at = 14 + source
        count = struct.unpack_from("<H", body, at)[0]
        at += 4
        for _ in range(count):
            kind, length = struct.unpack_from("<HH", body, at)
            if kind == 2:  # noqa: PLR2004 - the capability that says how large the screen is
                self._begin(*struct.unpack_from("<HH", body, at + 12))
            at += max(4, length)
        said = (
            confirm_active(self._share, self._user, self.size or self._asked),
            data_pdu(self._share, self._user, _SYNCHRONIZE, struct.pack("<HH", 1, 1002)),
            data_pdu(self._share, self._user, _CONTROL, struct.pack("<HHI", 4, 0, 0)),
            data_pdu(self._share, self._user, _CONTROL, struct.pack("<HHI", 1, 0, 0)),
            data_pdu(self._share, self._user, _FONTS, struct.pack("<HHHH", 0, 0, 3, 4)),
        )
        return [send_data(self._user, self._io, one) for one in said]

    # Pictures -------------------------------------------------------------------------

    def _begin(self, width: int, height: int) -> None:
        squares = -(-width // GRID) * -(-height // GRID)
        if squares > _MOST_SQUARES:
            raise Refused(f"A screen of {width}x{height} pixels cannot be.")
        self._do(squares)
        self.size = (width, height)
        self._missing = {(x, y) for x in range(0, width, GRID) for y in range(0, height, GRID)}
        self._squares = len(self._missing)
        self._looks.clear()

    def _do(self, steps: int) -> None:
        """Count what is done."""
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise Refused("The desktop draws more than it takes to show a screen.")

    def _fast(self, pdu: bytes) -> Iterator[bytes]:
        at = 3 if pdu[1] & 0x80 else 2
        while at < len(pdu):
            head, size = struct.unpack_from("<BH", pdu, at)
            part = pdu[at + 3 : at + 3 + size]
            at += 3 + size
            if head & 0xF != _SURFACE_UPDATE:
                continue
            fragment = head >> 4 & 3
            if fragment in {0, _FIRST}:
                self._update.clear()
            self._update += part
            if len(self._update) > _LONGEST:
                raise Refused("A picture is larger than any screen.")
            if fragment in {0, _LAST}:
                yield from self._surface(bytes(self._update))

    def _surface(self, update: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(update):
            kind = struct.unpack_from("<H", update, at)[0]
            if kind == _FRAME_MARKER:
                action, frame = struct.unpack_from("<HI", update, at + 2)
                at += 8
                self._do(1)
                if action:
                    ack = data_pdu(
                        self._share, self._user, _FRAME_ACKNOWLEDGE, struct.pack("<I", frame)
                    )
                    yield send_data(self._user, self._io, ack)
            elif kind in {_SET_SURFACE, _STREAM_SURFACE}:
                left, top = struct.unpack_from("<HH", update, at + 2)
                extended = update[at + 11] & 1
                size = struct.unpack_from("<I", update, at + 18)[0]
                begin = at + 22 + 24 * extended
                self._picture(left, top, update[begin : begin + size])
                at = begin + size
            else:
                raise Refused(f"A picture has a part {kind:#06x} that is not known.")

    def _picture(self, left: int, top: int, data: bytes) -> None:
        """Count a picture in RemoteFX."""
        at = 0
        while at + _SIZES.size <= len(data):
            kind, length = _SIZES.unpack_from(data, at)
            if length < _SIZES.size:
                raise Refused("A picture has a part without a length.")
            if kind == _REGION:
                for number in range(struct.unpack_from("<H", data, at + 9)[0]):
                    rectangle = struct.unpack_from("<HHHH", data, at + 11 + 8 * number)
                    self._came(left + rectangle[0], top + rectangle[1], *rectangle[2:])
            elif kind == _TILES:
                self._tiles(data[at : at + length])
            at += length

    def _came(self, x: int, y: int, width: int, height: int) -> None:
        columns = range(-(-x // GRID) * GRID, x + width, GRID)
        rows = range(-(-y // GRID) * GRID, y + height, GRID)
        named, missing = len(columns) * len(rows), len(self._missing)
        self._do(1 + min(named, missing))
        if named <= missing:
            self._missing.difference_update((column, row) for column in columns for row in rows)
        else:
            self._missing = {
                (column, row)
                for column, row in self._missing
                if column not in columns or row not in rows
            }

    def _tiles(self, block: bytes) -> None:
        at = 22 + 5 * block[14]
        while at + _SIZES.size <= len(block):
            kind, length = _SIZES.unpack_from(block, at)
            if kind != _TILE or length < _SIZES.size:
                raise Refused("A picture has a tile that is none.")
            self._do(1)
            self.tiles += 1
            # Without its place: two tiles of one colour are the same.
            if len(self._looks) < 2:  # noqa: PLR2004 - more are not asked for
                self._looks.add(block[at + 13 : at + length])
            at += length


def _length_of_der(data: bytes | bytearray) -> int | None:
    """Return how long the DER value at the beginning is; None if that cannot be told yet."""
    if len(data) < 4:  # noqa: PLR2004 - as much as its head can have
        return None
    if data[0] != 0x30:  # noqa: PLR2004 - SEQUENCE
        raise Refused("The gate does not answer as gates do.")
    if not data[1] & 0x80:
        return 2 + data[1]
    count = data[1] & 0x7F
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")
