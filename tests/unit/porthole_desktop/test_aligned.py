"""The pictures that xrdp is sent: the same, in rectangles of whole fours."""

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.supervisor.aligned import GRAIN, Between, Picture, aligned, owner_of

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   2: 0000000000000000FFFF00000100007F:B2C6 0000000000000000FFFF00000100007F:0CEA 01 0:0 0:0 0 7 0 3
   1: 0100007F:B2C4 0100007F:0CEA 01 00000000:00000000 00:00000000 00000000  1000        0 2
"""


@st.composite
def rectangles(draw: st.DrawFn, width: int, height: int) -> tuple[int, int, int, int]:
    x = draw(st.integers(0, width - 1))
    y = draw(st.integers(0, height - 1))
    return x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y))


@given(st.integers(1, 9), st.data())
def test_a_rectangle_becomes_whole_fours_and_stays_inside(fours: int, data: st.DataObject) -> None:
    screen = fours * GRAIN
    x, _, width, _ = data.draw(rectangles(screen, 1))
    left, wide = aligned(x, width, screen)
    assert (left % GRAIN, wide % GRAIN) == (0, 0)
    assert 0 <= left <= x
    assert x + width <= left + wide <= screen


class Sink:
    """The writing half of a connection, kept."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None: ...


def carried(said: bytes, *, back: bool) -> bytes:
    """Return what the other side is told when one side says something and leaves."""

    async def carry() -> bytes:
        reader, sink = asyncio.StreamReader(), Sink()
        reader.feed_data(said)
        reader.feed_eof()
        pair = (reader, sink)
        between = Between(pair, pair)  # type: ignore[arg-type]  # writes are all that it does
        with pytest.raises(asyncio.IncompleteReadError) as ended:
            await (between._back() if back else between._out())
        assert not ended.value.partial
        return sink.data

    return asyncio.run(carry())


def greeting(width: int, height: int) -> bytes:
    start = struct.pack(">HH16xI", width, height, 4) + b"name"
    return b"RFB 003.008\n" + struct.pack(">I", 1) + start


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_the_picture_is_the_same(fours: int, height: int, data: st.DataObject) -> None:
    width = fours * GRAIN
    wanted = Picture(width, height, 4)
    said = greeting(width, height)
    for number in range(data.draw(st.integers(1, 4))):
        x, y, w, h = data.draw(rectangles(width, height))
        pixels = bytes([number + 1]) * (w * h * 4)
        wanted.paint(x, y, w, h, pixels)
        said += struct.pack(">BxHHHHHi", 0, 1, x, y, w, h, 0) + pixels
    told = carried(said, back=True)
    assert told.startswith(greeting(width, height))
    seen, at = Picture(width, height, 4), len(greeting(width, height))
    while at < len(told):
        kind, count, x, y, w, h, encoding = struct.unpack_from(">BxHHHHHi", told, at)
        assert (kind, count) == (0, 1)
        at += 16
        assert (x % GRAIN, w % GRAIN, encoding) == (0, 0, 0)
        seen.paint(x, y, w, h, told[at : at + w * h * 4])
        at += w * h * 4
    assert seen.cut(0, 0, width, height) == wanted.cut(0, 0, width, height)


def test_a_new_size_a_cursor_and_a_text_pass() -> None:
    said = greeting(8, 4)
    said += struct.pack(">BxH", 0, 3)
    said += struct.pack(">HHHHi", 0, 0, 16, 8, -308) + struct.pack(
        ">B3xIHHHHI", 1, 1, 0, 0, 16, 8, 0
    )
    said += struct.pack(">HHHHi", 1, 1, 3, 2, -239) + bytes(3 * 2 * 4 + 2)
    said += struct.pack(">HHHHi", 8, 4, 8, 4, 0) + b"p" * (8 * 4 * 4)
    said += b"\x02" + struct.pack(">B3xI", 3, 5) + b"hello"
    assert carried(said, back=True) == said


def test_xrdp_is_told_of_no_copies() -> None:
    said = b"RFB 003.003\n\x01"
    said += struct.pack(">B3x16B", 0, 32, 24, 0, 1, *bytes(12))
    wish = struct.pack(">BxH4i", 2, 4, 0, 1, -239, -308)
    rest = struct.pack(">BBHHHH", 3, 1, 0, 0, 8, 4) + struct.pack(">BBxxI", 4, 1, 65)
    rest += struct.pack(">BBHH", 5, 0, 1, 2) + struct.pack(">B3xI", 6, 2) + b"hi"
    rest += struct.pack(">BxHHBxIHHHHI", 251, 16, 8, 1, 1, 0, 0, 16, 8, 0)
    kept = struct.pack(">BxH3i", 2, 3, 0, -239, -308)
    assert carried(said + wish + rest, back=False) == said + kept + rest


def test_whose_a_connection_is() -> None:
    assert owner_of(("127.0.0.1", 0xB2C4), TABLE) == 1000
    assert owner_of(("127.0.0.1", 0x0CEA), TABLE) == 0
    assert owner_of(("127.0.0.1", 0xB2C6), TABLE) == 7
    assert owner_of(("127.0.0.1", 1), TABLE) is None
