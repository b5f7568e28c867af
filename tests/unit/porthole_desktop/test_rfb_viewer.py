"""What a viewer may say: each message, in both modes, whole and in pieces."""

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rfb.encodings import Encoding
from porthole_desktop.gate.rfb.pixels import PixelFormat
from porthole_desktop.gate.rfb.screen import Screen
from porthole_desktop.gate.rfb.viewer import ViewerParser
from porthole_desktop.gate.ways import Ways

PIXELS = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
PIXELS_BGR = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
PIXELS_16 = struct.pack(">BBBBHHHBBB3x", 16, 16, 0, 1, 31, 63, 31, 11, 5, 0)

SHORT = Ways(most=100)


class People:
    def __init__(self) -> None:
        self.events = 0
        self.uses = 0

    def event(self) -> None:
        self.events += 1

    def used(self) -> None:
        self.uses += 1


def parser(
    *, may_use: bool = True, people: People | None = None, ways: Ways = SHORT
) -> ViewerParser:
    return ViewerParser(
        Screen(800, 600, PixelFormat(4, 3)),
        ways=ways,
        largest_screen=(1920, 1080),
        may_use=may_use,
        people=people or People(),
    )


def passed(subject: ViewerParser, data: bytes | memoryview) -> bytes:
    return b"".join(map(bytes, subject.feed(data)))


def set_encodings(*numbers: int) -> bytes:
    return struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers)


def cut_text(data: bytes) -> bytes:
    return struct.pack(">B3xi", 6, len(data)) + data


def extended(flags: int, data: bytes = b"") -> bytes:
    return struct.pack(">B3xiI", 6, -4 - len(data), flags) + data


def resize(width: int, height: int, screens: int = 1) -> bytes:
    return struct.pack(">BxHHBx", 251, width, height, screens) + bytes(16 * screens)


def key(sym: int, *, down: bool = True) -> bytes:
    return struct.pack(">BB2xI", 4, down, sym)


def qemu_key(sym: int, code: int, *, down: bool = True) -> bytes:
    return struct.pack(">BBHII", 255, 0, down, sym, code)


def pointer(x: int, y: int, mask: int = 0) -> bytes:
    return struct.pack(">BBHH", 5, mask, x, y)


PACKED = zlib.compress(struct.pack(">I", 5) + b"data\0")
REQUEST = struct.pack(">BBHHHH", 3, 1, 0, 0, 800, 600)
FENCE = struct.pack(">B3xIB", 248, 1, 3) + b"abc"
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 800, 600)
CAPS = extended(1 << 24 | 1, b"\0\0\0\0")

LOOKING = [b"\0\0\0\0" + PIXELS, REQUEST, FENCE, CONTINUOUS, set_encodings(0, 1, 7), CAPS]
USING = [
    key(97),
    qemu_key(97, 30),
    pointer(1, 2, 1),
    cut_text(b"hello"),
    cut_text(b""),
    extended(1 << 28 | 1, PACKED),
    resize(1024, 768),
]


@pytest.mark.parametrize("message", [*LOOKING, *USING])
def test_somebody_who_may_use_the_desktop_may_say_all_of_it(message: bytes) -> None:
    assert passed(parser(), message) == message


@pytest.mark.parametrize("message", LOOKING)
def test_somebody_who_only_looks_may_say_what_looking_takes(message: bytes) -> None:
    assert passed(parser(may_use=False), message) == message


@pytest.mark.parametrize("message", USING)
def test_somebody_who_only_looks_does_nothing(message: bytes) -> None:
    people = People()
    subject = parser(may_use=False, people=people)
    assert passed(subject, message + FENCE) == FENCE
    assert people.uses == 0


MESSAGES = st.lists(
    st.sampled_from([*LOOKING, *USING, cut_text(b"x" * 101), set_encodings(5, -99)])
)


@given(MESSAGES, st.lists(st.integers(1, 12)), st.booleans())
def test_any_chunking_lets_the_same_pass(
    messages: list[bytes], sizes: list[int], may_use: bool
) -> None:
    data = b"".join(messages)
    whole = passed(parser(may_use=may_use), data)
    subject, at, out = parser(may_use=may_use), 0, b""
    for size in [*sizes, len(data)]:
        out += passed(subject, data[at : at + size])
        at += size
    assert out == whole


def test_encodings_are_rewritten_to_those_that_can_be_sized() -> None:
    wanted = (7, 5, 16, -260, 0, 50, 7, -223, -26, -250, -316, Encoding.EXTENDED_CLIPBOARD)
    kept = (7, 16, 0, -223, -26, -250, Encoding.EXTENDED_CLIPBOARD)
    subject = parser()
    assert passed(subject, set_encodings(*wanted)) == set_encodings(*kept)
    assert passed(subject, set_encodings()) == set_encodings()
    assert passed(subject, set_encodings(5)) == set_encodings()


def test_the_size_of_a_pixel_may_change_only_before_updates_are_asked_for() -> None:
    subject = parser()
    assert passed(subject, b"\0\0\0\0" + PIXELS_16)
    assert passed(subject, b"\0\0\0\0" + PIXELS)
    passed(subject, REQUEST)
    assert passed(subject, b"\0\0\0\0" + PIXELS_BGR)  # another order, the same size
    with pytest.raises(ViewerFault, match="size of a pixel"):
        subject.feed(b"\0\0\0\0" + PIXELS_16)


def test_a_text_that_is_too_long_is_swallowed_and_the_stream_goes_on() -> None:
    assert passed(parser(), cut_text(b"x" * 101) + FENCE) == FENCE
    assert passed(parser(), extended(1 << 28, b"x" * 101) + FENCE) == FENCE


HAS, ASKS, WHETHER = (extended(1 << bit | 1) for bit in (27, 25, 26))
GIVES = [cut_text(b"hello"), extended(1 << 28 | 1, PACKED), HAS]


def test_what_a_template_keeps_out_is_neither_given_nor_told_of() -> None:
    kept = parser(ways=Ways(upload=False, most=100))
    assert passed(kept, b"".join([*GIVES, ASKS, WHETHER, CAPS])) == ASKS + WHETHER + CAPS
    kept = parser(ways=Ways(download=False, most=100))
    assert passed(kept, b"".join([*GIVES, ASKS, WHETHER, CAPS])) == b"".join([*GIVES, CAPS])


@pytest.mark.parametrize("flags", [0, 1, 1 << 25 | 1, 3 << 27, 9 << 25, 1 << 29 | 1, 1 << 31])
def test_who_may_only_ask_gives_nothing_under_another_name(flags: int) -> None:
    subject = parser(ways=Ways(upload=False, most=100))
    assert passed(subject, extended(flags, PACKED) + FENCE) == FENCE


def test_a_short_message_that_unpacks_to_a_long_text_is_swallowed() -> None:
    bomb = zlib.compress(struct.pack(">I", 10**8) + b"x" * 10**6, 9)
    subject = parser(ways=Ways(most=2000))
    assert len(bomb) < 2000
    assert passed(subject, extended(1 << 28 | 1, bomb) + FENCE) == FENCE
    assert passed(subject, extended(1 << 28 | 1, b"no zlib") + FENCE) == FENCE


def test_a_clipboard_of_a_hundred_megabytes_goes_by_and_the_stream_goes_on() -> None:
    subject, part = parser(), memoryview(bytes(2**20))
    assert passed(subject, struct.pack(">B3xi", 6, 100 * 2**20)) == b""
    assert [passed(subject, part) for _ in range(100)] == [b""] * 100
    assert passed(subject, FENCE) == FENCE


@pytest.mark.parametrize(
    "said",
    [
        b"\x07",
        b"\xfa\0\1\2",  # xvp
        b"\xff\x01\0\0" + bytes(8),  # QEMU audio
        b"\0\0\0\0" + bytes(16),
        struct.pack(">BxH", 2, 2000),
        struct.pack(">B3xIB", 248, 0, 65),
        struct.pack(">B3xi", 6, 2**31 - 1),
        struct.pack(">B3xi", 6, -(2**31)),
        struct.pack(">B3xi", 6, -3),
        resize(800, 600, 0),
        struct.pack(">BxHHBx", 251, 800, 600, 17),
    ],
)
def test_anything_else_ends_the_stream(said: bytes) -> None:
    with pytest.raises(ViewerFault):
        parser().feed(said)


def test_a_screen_that_is_too_large_is_not_asked_for() -> None:
    assert passed(parser(), resize(1921, 1080) + resize(0, 5) + FENCE) == FENCE
    assert passed(parser(), resize(1920, 1080)) == resize(1920, 1080)


def test_use_is_keys_and_a_pointer_that_changes() -> None:
    people = People()
    subject = parser(people=people)
    passed(subject, key(97) + pointer(5, 5))
    assert people.uses == 2
    passed(subject, pointer(5, 5) * 3 + REQUEST + cut_text(b"x"))
    assert (people.uses, people.events) == (2, 5)
    passed(subject, pointer(5, 5, 1))
    assert people.uses == 3


def test_who_may_not_use_it_any_more_lets_go_of_everything() -> None:
    subject = parser()
    passed(subject, key(0xFFE1) + key(97) + key(97, down=False) + qemu_key(98, 48))
    passed(subject, pointer(7, 8, 1))
    out = subject.allow(may_use=False)
    assert out == key(0xFFE1, down=False) + qemu_key(98, 48, down=False) + pointer(7, 8, 0)
    assert subject.settled
    assert passed(subject, key(99) + FENCE) == FENCE
    assert subject.allow(may_use=True) == b""
    assert passed(subject, key(99)) == key(99)
    assert subject.allow(may_use=True) == b""


def test_in_the_middle_of_a_message_that_waits_until_it_is_over() -> None:
    subject = parser()
    passed(subject, key(97))
    assert passed(subject, cut_text(b"hello")[:10])
    assert subject.allow(may_use=False) == b""
    assert not subject.settled
    assert passed(subject, b"llo" + FENCE) == b"llo" + key(97, down=False) + FENCE
    assert subject.settled


def test_a_key_that_is_cut_by_the_change_is_let_go_too() -> None:
    subject = parser()
    assert passed(subject, key(97)[:3]) == key(97)[:1]
    subject.allow(may_use=False)
    assert passed(subject, key(97)[3:]) == key(97)[1:] + key(97, down=False)


@given(st.binary(max_size=300), st.booleans())
def test_rubbish_only_ever_raises_the_typed_error(data: bytes, may_use: bool) -> None:
    with contextlib.suppress(ViewerFault):
        parser(may_use=may_use).feed(data)


@given(st.lists(st.sampled_from([*LOOKING, *USING])), st.data())
def test_whatever_passes_is_made_of_whole_admitted_messages(
    messages: list[bytes], data: st.DataObject
) -> None:
    """A second parser reads what the first let pass: it finds nothing to object to or change."""
    stream = bytearray(b"".join(messages))
    for _ in range(data.draw(st.integers(0, 3))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    first, out = parser(), b""
    try:
        for byte in stream:
            out += passed(first, bytes((byte,)))
    except ViewerFault:
        pass
    assert out.startswith(passed(parser(), out))
