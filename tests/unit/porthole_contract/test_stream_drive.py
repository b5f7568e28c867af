"""The channel `drive`: what passes, how it is cut out of bytes, what keys are called."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import Invalid, RemoteProtocolError
from porthole_contract.stream import drive, keys

REQUESTS: list[drive.Request] = [
    drive.TakePicture(id=1, width=320),
    drive.TakePicture(id=2),
    drive.ReadClipboard(id=3),
    drive.WriteClipboard(id=4, bytes=5),
    drive.ReadImage(id=5),
    drive.WriteImage(id=6, bytes=5),
    drive.Act(
        id=5,
        actions=(
            drive.TypeText(text="a\tb\nÄ日\U0001f600"),
            drive.PressKeys(do="tap", keys=(0xFFE3, 0x61)),
            drive.MovePointer(x=1, y=2),
            drive.PressButton(button=1, down=True),
            drive.Pause(seconds=0.5),
            drive.AwaitStill(),
            drive.SetScale(percent=150),
            drive.AwaitWindow(title="Zürich - Chromium"),
        ),
    ),
]
ANSWERS: list[drive.Answer] = [
    drive.Picture(id=1, width=3, height=4, bytes=5),
    drive.Clipboard(id=2, bytes=0),
    drive.Done(id=3, still=True),
    drive.Failed(id=4, code="too_fast", message="Slower.", at=3),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_are_read_as_they_were_written(request_: drive.Request):
    assert drive.read_request(drive.encode(request_).rstrip(b"\n")) == request_


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_are_read_as_they_were_written(answer: drive.Answer):
    assert drive.read_answer(drive.encode(answer).rstrip(b"\n")) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"act","id":1,"actions":[]}',
        b'{"type":"act","id":1,"actions":[{"do":"shutdown"}]}',
        b'{"type":"act","id":1,"actions":[{"do":"text","text":"\\u0007"}]}',
        b'{"type":"act","id":1,"actions":[{"do":"text","text":"\\ud800"}]}',
        b'{"type":"act","id":1,"actions":[{"do":"tap","keys":[0]}]}',
        b'{"type":"act","id":1,"actions":[{"do":"tap","keys":[536870912]}]}',
        b'{"type":"act","id":1,"actions":[{"do":"move","x":-1,"y":0}]}',
        b'{"type":"act","id":1,"actions":[{"do":"pause","seconds":61}]}',
        b'{"type":"screenshot","id":-1}',
        b'{"type":"screenshot","id":1,"width":0}',
        b'{"type":"write_clipboard","id":1,"bytes":1048577}',
        b'{"type":"state","id":1}',
    ],
)
def test_what_is_no_request_is_refused(line: bytes):
    with pytest.raises(RemoteProtocolError, match="drive"):
        drive.read_request(line)


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(1, 50)))
def test_lines_and_raw_bytes_are_cut_whatever_the_chunks(
    raw: bytes, second: bytes, sizes: list[int]
):
    first = drive.encode(drive.WriteClipboard(id=1, bytes=len(raw)))
    last = drive.encode(drive.WriteClipboard(id=2, bytes=len(second)))
    data = first + raw + last + second
    pieces, seen = drive.Pieces(), []
    at = 0
    for size in [*sizes, len(data)]:
        pieces.feed(data[at : at + size])
        at += size
        while (piece := pieces.next()) is not None:
            is_line, part = piece
            if is_line:
                request = drive.read_request(part)
                assert isinstance(request, drive.WriteClipboard)
                pieces.expect(request.bytes)
                seen.append(b"")
            else:
                seen[-1] += part
    assert seen == [raw, second]


@given(st.binary(max_size=2000))
def test_rubbish_is_refused_in_words_or_waited_for(data: bytes):
    pieces = drive.Pieces()
    pieces.feed(data)
    while (piece := pieces.next()) is not None:
        for read in (drive.read_request, drive.read_answer):
            with contextlib.suppress(RemoteProtocolError):
                read(piece[1])


def test_a_line_without_end_is_refused():
    pieces = drive.Pieces()
    pieces.feed(b"x" * drive.LONGEST_LINE)
    with pytest.raises(RemoteProtocolError, match="too long"):
        pieces.next()


def test_the_longest_text_fits_into_a_line():
    text = "\U0001f600" * drive.MOST_TEXT
    drive.encode(drive.Act(id=1, actions=(drive.TypeText(text=text),)))


def test_waits_and_events_are_counted():
    act = REQUESTS[-1]
    assert isinstance(act, drive.Act)
    assert drive.waits(act.actions) == 40.5
    assert drive.events(act.actions) == 2 * 7 + 4 + 1 + 1


@pytest.mark.parametrize(
    ("chord", "keysyms"),
    [
        ("a", (0x61,)),
        ("A", (0x41,)),
        ("é", (0xE9,)),
        ("€", (0x10020AC,)),
        ("Return", (0xFF0D,)),
        ("enter", (0xFF0D,)),
        ("+", (0x2B,)),
        ("ctrl++", (0xFFE3, 0x2B)),
        ("Ctrl+Shift+T", (0xFFE3, 0xFFE1, 0x54)),
        ("alt+F4", (0xFFE9, 0xFFC1)),
        ("ctrl+alt+ArrowLeft", (0xFFE3, 0xFFE9, 0xFF51)),
    ],
)
def test_keys_are_known_by_their_names(chord: str, keysyms: tuple[int, ...]):
    assert keys.of_chord(chord) == keysyms


@pytest.mark.parametrize("chord", ["", "++", "+a", "ctrl+", "hyper", "F36", "a b", "ctrl+\x07"])
def test_a_key_that_does_not_exist_is_refused_in_words(chord: str):
    with pytest.raises(Invalid, match="there is no key named"):
        keys.of_chord(chord)


@given(st.text(max_size=200))
def test_no_name_of_a_key_breaks_it(chord: str):
    with contextlib.suppress(Invalid):
        assert all(0 < keysym <= 0x1FFFFFFF for keysym in keys.of_chord(chord))
