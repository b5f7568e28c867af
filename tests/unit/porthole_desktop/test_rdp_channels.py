"""The channels inside a conversation in RDP: the clipboard, and the size of the screen."""

import struct

import pytest

from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.clipboard import Clipboard, Judged
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.rdp.dynamic import DISPLAY, Dynamic
from porthole_desktop.gate.rdp.virtual import chunk
from porthole_desktop.gate.ways import Ways

READY, FORMATS, SEEN, ASK, GIVE, FOLDER, CAN, CONTENTS = 1, 2, 3, 4, 5, 6, 7, 8
NOTHING = Judged()


def message(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("<HHI", kind, flags, len(body)) + body


def answer(kind: int, flags: int) -> bytes:
    return chunk(message(kind, flags=flags))


def in_chunks(whole: bytes, size: int = 1600) -> list[bytes]:
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    flags = [(n == 0) | (n == len(parts) - 1) << 1 | 0x10 for n in range(len(parts))]
    return [
        struct.pack("<II", len(whole), flag) + part for flag, part in zip(flags, parts, strict=True)
    ]


def clipboard(*, may_use: bool = True, most: int = 5000, **ways: bool) -> Clipboard:
    return Clipboard(Agreed(1, may_use=may_use), Ways(most=most, **ways))


@pytest.mark.parametrize("to_desktop", [True, False])
@pytest.mark.parametrize("kind", [FORMATS, SEEN, ASK, GIVE])
def test_text_passes_to_who_may_use_the_desktop(kind: int, *, to_desktop: bool) -> None:
    body = chunk(message(kind, b"text" * 2))
    assert clipboard().judge(body, to_desktop=to_desktop) == Judged(on=body)


@pytest.mark.parametrize("to_desktop", [True, False])
def test_who_only_looks_gets_no_text_and_nobody_waits_for_it(*, to_desktop: bool) -> None:
    judge = clipboard(may_use=False).judge
    seen = judge(chunk(message(FORMATS, b"text")), to_desktop=to_desktop)
    assert seen == Judged(back=answer(SEEN, 1))
    asked = judge(chunk(message(ASK, b"\r\0\0\0")), to_desktop=to_desktop)
    assert asked == Judged(back=answer(GIVE, 2))
    given = judge(chunk(message(GIVE, b"secret", 1)), to_desktop=to_desktop)
    assert given == Judged(on=answer(GIVE, 2))
    ready = chunk(message(READY))
    assert judge(ready, to_desktop=to_desktop) == Judged(on=ready)


@pytest.mark.parametrize("kept_in", [True, False])
def test_what_a_template_forbids_goes_one_way_only(*, kept_in: bool) -> None:
    ways = {"download": False} if kept_in else {"upload": False}
    judge = clipboard(**ways).judge
    formats, give = chunk(message(FORMATS, b"text")), chunk(message(GIVE, b"secret", 1))
    ask = chunk(message(ASK, b"\r\0\0\0"))
    closed = not kept_in  # the way that is closed, as `to_desktop`
    assert judge(formats, to_desktop=closed) == Judged(back=answer(SEEN, 1))
    assert judge(give, to_desktop=closed) == Judged(on=answer(GIVE, 2))
    assert judge(ask, to_desktop=not closed) == Judged(back=answer(GIVE, 2))
    assert judge(formats, to_desktop=not closed).on == formats
    assert judge(give, to_desktop=not closed).on == give
    assert judge(ask, to_desktop=closed).on == ask


def test_a_hundred_megabytes_are_said_to_be_none_and_the_stream_goes_on() -> None:
    subject, part = clipboard(), bytes(2**20)
    head = message(GIVE)[:4] + struct.pack("<I", 100 * 2**20)
    total = len(head) + 100 * 2**20
    assert subject.judge(struct.pack("<II", total, 1) + head, to_desktop=True) == NOTHING
    for flags in [0] * 99 + [2]:
        said = subject.judge(struct.pack("<II", total, flags) + part, to_desktop=True)
    assert said == Judged(on=answer(GIVE, 2))
    ready = chunk(message(READY))
    assert subject.judge(ready, to_desktop=True).on == ready


def ask(format_id: int) -> bytes:
    return chunk(message(ASK, struct.pack("<I", format_id)))


@pytest.mark.parametrize("size", [1600, 17, 9])
def test_a_text_for_the_desktop_has_replacements_for_what_would_leave_it_without_an_answer(
    size: int,
) -> None:
    judge = clipboard().judge
    judge(ask(13), to_desktop=False)
    given = "a\U0001f600 ü世\ud83d\ude00\udfff.".encode("utf-16-le", "surrogatepass")
    passed = [judge(part, to_desktop=True).on for part in in_chunks(message(GIVE, given, 1), size)]
    whole = b"".join(part[8:] for part in passed if part is not None)
    text = whole[8:].decode("utf-16-le")
    assert text[0] + text[3:6] + text[-1] == "a ü世."
    assert len(text) == len(given) // 2
    if size % 2 == 0:
        assert text == "a\ufffd\ufffd ü世\ufffd\ufffd\ufffd."


def test_what_is_no_text_or_goes_to_the_viewer_stays_as_it_is() -> None:
    half = chunk(message(GIVE, b"\x3d\xd8\0\xde", 1))
    judge = clipboard().judge
    judge(ask(8), to_desktop=False)  # a picture
    assert judge(half, to_desktop=True) == Judged(on=half)
    judge(ask(13), to_desktop=True)
    assert judge(half, to_desktop=False) == Judged(on=half)
    assert judge(half, to_desktop=True) == Judged(on=half)


@pytest.mark.parametrize("kind", [FOLDER, CONTENTS, 9, 10, 11])
def test_files_do_not_pass_this_way(kind: int) -> None:
    judged = clipboard().judge(chunk(message(kind, b"C:\\")), to_desktop=True)
    assert judged == NOTHING


def test_both_sides_hear_that_the_other_cannot_do_files() -> None:
    can = message(CAN, struct.pack("<HHHHII", 1, 0, 1, 12, 2, 0x3E))
    judged = clipboard().judge(chunk(can), to_desktop=False)
    assert judged.on == chunk(message(CAN, struct.pack("<HHHHII", 1, 0, 1, 12, 2, 0x02)))


def test_a_text_that_is_too_long_is_said_to_be_none() -> None:
    subject = clipboard(most=5000)
    for length in (5000, 5001):
        parts = in_chunks(message(GIVE, b"x" * length, 1))
        judged = [subject.judge(part, to_desktop=True) for part in parts]
        if length <= 5000:
            assert [one.on for one in judged] == parts
        else:
            assert judged == [NOTHING] * (len(parts) - 1) + [Judged(on=answer(GIVE, 2))]


def test_a_text_that_is_under_way_comes_to_its_end() -> None:
    agreed = Agreed(1, may_use=True)
    subject = Clipboard(agreed, Ways(most=5000))
    parts = in_chunks(message(GIVE, b"x" * 4000, 1))
    subject.judge(parts[0], to_desktop=True)
    agreed.may_use = False
    assert subject.under_way
    assert [subject.judge(part, to_desktop=True).on for part in parts[1:]] == parts[1:]
    assert not subject.under_way
    assert subject.judge(parts[0], to_desktop=True) == NOTHING


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(7),
        chunk(b"short"),
        chunk(message(99)),
        chunk(message(GIVE)[:4] + b"\xff\xff\0\0"),
        chunk(message(GIVE, b"x" * 20)[:-9]),
        chunk(message(CAN, b"")),
        chunk(message(CAN, struct.pack("<HHHHII", 2, 0, 1, 12, 2, 2))),
        struct.pack("<II", 8, 2) + message(READY),  # not the first
        struct.pack("<II", 2**29, 1) + message(GIVE),
        struct.pack("<II", 9, 3) + message(READY),
        struct.pack("<II", 7, 3) + message(READY),
        struct.pack("<II", 8, 0x200003) + message(READY),  # compressed
    ],
    ids=lambda body: body[:16].hex(),
)
@pytest.mark.parametrize("to_desktop", [True, False])
def test_what_is_no_message_ends_the_stream(body: bytes, *, to_desktop: bool) -> None:
    with pytest.raises(ViewerFault if to_desktop else DesktopFault):
        clipboard().judge(body, to_desktop=to_desktop)


def test_chunks_of_two_messages_are_not_mixed() -> None:
    subject = clipboard()
    first, *_ = in_chunks(message(GIVE, b"x" * 3000))
    subject.judge(first, to_desktop=True)
    with pytest.raises(ViewerFault):
        subject.judge(first, to_desktop=True)


def create(name: bytes, channel: int = 3) -> bytes:
    return chunk(bytes((0x10, channel)) + name + b"\0")


def layout(width: int, height: int, count: int = 1) -> bytes:
    monitor = struct.pack("<IiiIIIIIII", 1, 0, 0, width, height, 0, 0, 0, 100, 100)
    body = struct.pack("<II", 40, count) + monitor * count
    return chunk(b"\x30\x03" + struct.pack("<II", 2, 8 + len(body)) + body)


def display(*, may_use: bool = True) -> Dynamic:
    made = Dynamic(Agreed(1, may_use=may_use), Size(1920, 1080))
    assert made.judge(create(DISPLAY), to_desktop=False).passes
    assert made.judge(chunk(b"\x10\x03\0\0\0\0"), to_desktop=True).passes
    return made


def test_only_the_control_of_the_display_is_opened() -> None:
    subject = Dynamic(Agreed(1, may_use=True), Size(1920, 1080))
    assert subject.judge(chunk(b"\x50\0\2\0" + bytes(8)), to_desktop=False).passes
    for name in (b"AUDIO_PLAYBACK_DVC", b"Microsoft::Windows::RDS::Graphics", b""):
        judged = subject.judge(create(name), to_desktop=False)
        assert not judged.passes
        assert judged.back == chunk(b"\x10\x03\x01\0\0\xc0")
    with pytest.raises(ViewerFault):
        subject.judge(chunk(b"\x30\x03data"), to_desktop=True)


@pytest.mark.parametrize(
    ("width", "height", "count", "may_use", "passes"),
    [
        (1280, 720, 1, True, True),
        (1280, 720, 1, False, False),
        (1921, 720, 1, True, False),
        (1280, 0, 1, True, False),
        (640, 480, 2, True, False),
    ],
)
def test_another_size_is_asked_for_within_bounds_by_who_may(
    width: int, height: int, count: int, *, may_use: bool, passes: bool
) -> None:
    subject = display(may_use=may_use)
    assert subject.judge(layout(width, height, count), to_desktop=True).passes is passes


@pytest.mark.parametrize(
    "body",
    [
        chunk(b""),
        chunk(b"\x13\x03"),
        chunk(b"\x30\x03"),
        chunk(b"\x30\x04data"),
        chunk(b"\x60\x03"),
        chunk(b"\x30\x03" + struct.pack("<IIII", 2, 16, 40, 9)),
        chunk(b"\x30\x03" + struct.pack("<II", 5, 8)),
        *in_chunks(b"\x30\x03" + bytes(3000))[:1],
    ],
    ids=lambda body: body[:16].hex(),
)
def test_what_is_no_message_of_a_dynamic_channel_ends_the_stream(body: bytes) -> None:
    with pytest.raises(ViewerFault):
        display().judge(body, to_desktop=True)


def test_a_channel_that_was_closed_is_none() -> None:
    subject = display()
    assert subject.judge(chunk(b"\x40\x03"), to_desktop=False).passes
    with pytest.raises(ViewerFault):
        subject.judge(layout(640, 480), to_desktop=True)
