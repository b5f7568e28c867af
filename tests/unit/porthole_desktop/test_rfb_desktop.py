"""What a desktop may say: every rectangle sized, everything else refused."""

import contextlib
import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.faults import DesktopFault
from porthole_desktop.gate.rfb.desktop import DesktopParser
from porthole_desktop.gate.rfb.encodings import RECTANGLES, Encoding
from porthole_desktop.gate.rfb.pixels import PixelFormat
from porthole_desktop.gate.rfb.screen import Screen
from porthole_desktop.gate.ways import Ways

FULL = PixelFormat(4, 3)
BELL = b"\x02"
SHORT = Ways(most=100)
PACKED = zlib.compress(struct.pack(">I", 7) + b"secret\0")


def parser(
    *,
    may_use: bool = True,
    pixels: PixelFormat = FULL,
    encodings: Iterable[int] = RECTANGLES,
    ways: Ways = SHORT,
) -> DesktopParser:
    screen = Screen(640, 480, pixels, encodings={0, *map(int, encodings)})
    return DesktopParser(screen, ways=ways, may_use=may_use)


def passed(subject: DesktopParser, data: bytes) -> bytes:
    return b"".join(map(bytes, subject.feed(data)))


def update(*rectangles: bytes, count: int | None = None) -> bytes:
    head = struct.pack(">BxH", 0, len(rectangles) if count is None else count)
    return head + b"".join(rectangles)


def rect(  # noqa: PLR0917 - in the order of the wire
    encoding: int, payload: bytes = b"", x: int = 0, y: int = 0, w: int = 8, h: int = 4
) -> bytes:
    return struct.pack(">HHHHi", x, y, w, h, encoding) + payload


def compact(data: bytes) -> bytes:
    size = len(data)
    if size < 1 << 7:
        return bytes((size,)) + data
    if size < 1 << 14:
        return bytes((size & 0x7F | 0x80, size >> 7)) + data
    return bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14)) + data


def cut_text(data: bytes) -> bytes:
    return struct.pack(">B3xi", 3, len(data)) + data


def extended(flags: int, data: bytes = b"") -> bytes:
    return struct.pack(">B3xiI", 3, -4 - len(data), flags) + data


CAPS = extended(1 << 24 | 1, b"\0\0\0\0")
RECTS = {
    "raw": rect(0, bytes(8 * 4 * 4)),
    "nothing": rect(0, w=0, h=0),
    "copy": rect(1, b"\0\1\0\2"),
    "zrle": rect(16, struct.pack(">I", 5) + b"12345"),
    "tight fill": rect(7, b"\x80rgb"),
    "tight jpeg": rect(7, b"\x90" + compact(b"j" * 200)),
    "tight long jpeg": rect(7, b"\x90" + compact(b"j" * 20000)),
    "tight copy": rect(7, b"\x00" + compact(b"z" * 50)),
    "tight copy, reset": rect(7, b"\x0f" + compact(b"z" * 50)),
    "tight small": rect(7, b"\x10" + b"abcabc", w=2, h=1),
    "tight explicit copy": rect(7, b"\x40\x00" + compact(b"z" * 50)),
    "tight gradient": rect(7, b"\x50\x02" + compact(b"z" * 50)),
    "tight two colours, small": rect(7, b"\x60\x01\x01" + b"rgbRGB" + b"1234"),
    "tight two colours": rect(7, b"\x60\x01\x01" + b"rgbRGB" + compact(b"z" * 9), w=64, h=64),
    "tight palette": rect(7, b"\x70\x01\x02" + b"rgbRGBxyz" + compact(b"z" * 9)),
    "cursor": rect(-239, bytes(9 * 3 * 4 + 2 * 3), x=1, y=1, w=9, h=3),
    "no cursor": rect(-239, w=0, h=0),
    "vmware cursor": rect(0x574D5664, b"\x01\0" + bytes(8 * 4 * 4)),
    "vmware masks": rect(0x574D5664, b"\x00\0" + bytes(8 * 4 * 8)),
    "size": rect(-223, w=800, h=600),
    "extended size": rect(-308, b"\x02\0\0\0" + bytes(32), w=640, h=480),
    "refused size": rect(-308, b"\x01\0\0\0" + bytes(16), x=1, y=3, w=9999, h=0),
    "qemu keys": rect(-258),
    "leds": rect(-261, b"\x07"),
    "vmware leds": rect(0x574D5668, b"\0\0\0\7"),
    "name": rect(-307, struct.pack(">I", 4) + b"desk"),
}
MESSAGES = [
    *(update(r) for r in RECTS.values() if len(r) < 2000),
    update(),
    update(*(RECTS[n] for n in ("raw", "copy", "cursor", "tight palette"))),
    update(RECTS["raw"], rect(-224), count=0xFFFF),
    struct.pack(">BxHH", 1, 0, 2) + bytes(12),
    BELL,
    b"\x96",
    struct.pack(">B3xIB", 248, 0x80000001, 4) + b"abcd",
    CAPS,
]
CLIPBOARD = [cut_text(b"secret"), cut_text(b""), extended(1 << 28 | 1, PACKED)]


@pytest.mark.parametrize("name", RECTS)
def test_each_rectangle_is_sized_to_the_byte(name: str) -> None:
    data = update(RECTS[name]) + BELL
    assert passed(parser(), data) == data


@given(st.lists(st.sampled_from([*MESSAGES, *CLIPBOARD])), st.lists(st.integers(1, 30)))
def test_any_chunking_lets_the_same_pass(messages: list[bytes], sizes: list[int]) -> None:
    data = b"".join(messages)
    subject, at, out = parser(), 0, b""
    for size in [*sizes, len(data)]:
        out += passed(subject, data[at : at + size])
        at += size
    assert out == data


@given(st.lists(st.sampled_from([*MESSAGES, *CLIPBOARD])), st.integers(1, 30))
def test_somebody_who_only_looks_never_sees_the_clipboard(messages: list[bytes], size: int) -> None:
    data = b"".join(messages)
    subject, out = parser(may_use=False), b""
    for at in range(0, len(data), size):
        out += passed(subject, data[at : at + size])
    assert out == b"".join(m for m in messages if m not in CLIPBOARD)


HAS, ASKS = extended(1 << 27 | 1), extended(1 << 25 | 1)


def test_what_a_template_keeps_in_is_neither_given_nor_told_of() -> None:
    kept = parser(ways=Ways(download=False, most=100))
    assert passed(kept, b"".join([*CLIPBOARD, HAS, ASKS, CAPS]) + BELL) == ASKS + CAPS + BELL
    open_ = parser(ways=Ways(upload=False, most=100))
    assert passed(open_, b"".join([*CLIPBOARD, HAS, ASKS, CAPS])) == b"".join(
        [*CLIPBOARD, HAS, CAPS]
    )


def test_an_announcement_cannot_carry_a_text() -> None:
    assert passed(parser(may_use=False), extended(1 << 24, b"s" * 65) + BELL) == BELL


def test_sizes_follow_the_pixel_format() -> None:
    small = PixelFormat(2, 2)
    data = update(rect(0, bytes(8 * 4 * 2)), rect(7, b"\x80rg"), rect(-239, bytes(8 * 4 * 2 + 4)))
    assert passed(parser(pixels=small), data + BELL) == data + BELL


def test_a_new_size_holds_from_the_next_rectangle_on() -> None:
    far = rect(1, b"\0\0\0\0", x=700, y=500)
    with pytest.raises(DesktopFault, match="outside"):
        parser().feed(update(far))
    for grown in (RECTS["size"], rect(-308, b"\x01\0\0\0" + bytes(16), w=800, h=600)):
        data = update(grown, far)
        assert passed(parser(), data) == data
    shrunk = update(rect(-223, w=100, h=100), RECTS["raw"], rect(1, b"\0\0\0\0", x=93))
    with pytest.raises(DesktopFault, match="outside"):
        parser().feed(shrunk)


def test_a_long_text_is_swallowed() -> None:
    assert passed(parser(), cut_text(b"x" * 101) + BELL) == BELL


def test_bytes_pass_before_their_message_is_whole() -> None:
    subject = parser()
    data = update(rect(0, bytes(640 * 480 * 4), w=640, h=480))
    assert passed(subject, data[:1000]) == data[:1000]
    assert passed(subject, data[1000:]) == data[1000:]


def test_a_change_of_mode_holds_from_the_next_message_on() -> None:
    subject = parser()
    text = cut_text(b"secret")
    assert passed(subject, text[:10]) == text[:10]
    subject.may_use = False
    assert passed(subject, text[10:] + text + BELL) == text[10:] + BELL


@pytest.mark.parametrize(
    "said",
    [
        b"\x04",
        b"\xfe",
        update(rect(5, bytes(4))),
        update(rect(-260, b"\xa0")),
        update(rect(-1063131698)),
        update(rect(0, x=639, w=8)),
        update(rect(0, y=470, h=11)),
        update(rect(1, struct.pack(">HH", 636, 0))),
        update(rect(16, struct.pack(">I", 2**31))),
        update(rect(7, b"\xa0")),
        update(rect(7, b"\xf0")),
        update(rect(7, b"\x40\x03")),
        update(rect(-223, w=0, h=600)),
        update(rect(-223, w=20000, h=600)),
        update(rect(-308, b"\x01\0\0\0" + bytes(16), w=65535, h=65535)),
        update(rect(-308, b"\xff\0\0\0")),
        update(rect(-239, w=513, h=1)),
        update(rect(0x574D5664, b"\x02\0")),
        update(rect(-307, struct.pack(">I", 5000))),
        struct.pack(">B3xIB", 248, 0, 65),
        struct.pack(">B3xi", 3, 2**31 - 1),
        struct.pack(">B3xi", 3, -(2**31)),
        struct.pack(">B3xi", 3, -1),
    ],
)
def test_anything_else_ends_the_stream(said: bytes) -> None:
    with pytest.raises(DesktopFault):
        parser().feed(said)


def test_only_what_the_viewer_asked_for_may_come() -> None:
    subject = parser(encodings=[Encoding.ZRLE])
    assert passed(subject, update(RECTS["zrle"], RECTS["raw"]))
    with pytest.raises(DesktopFault, match="not asked for"):
        subject.feed(update(RECTS["tight fill"]))


@given(st.binary(max_size=500), st.booleans())
def test_rubbish_only_ever_raises_the_typed_error(data: bytes, may_use: bool) -> None:
    with contextlib.suppress(DesktopFault):
        parser(may_use=may_use).feed(data)


@given(st.lists(st.sampled_from(MESSAGES), min_size=1), st.data())
def test_a_broken_stream_raises_the_typed_error_or_passes_unchanged(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(messages))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    subject, out = parser(), b""
    with contextlib.suppress(DesktopFault):
        for at in range(0, len(stream), 7):
            out += passed(subject, bytes(stream[at : at + 7]))
    if b"\x03" not in stream:  # no clipboard, so nothing may be left out
        assert stream.startswith(out)
