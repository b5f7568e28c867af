"""Text in what a viewer says: put together, taken out of what goes to the desktop, in its order."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.stream import drive
from porthole_desktop.gate.faults import ViewerFault
from porthole_desktop.gate.rdp import input as keys
from porthole_desktop.gate.rdp import mcs, share
from porthole_desktop.gate.rdp.framing import Cutter, is_fast
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.writing import Characters, Keys, Text, actions
from tests.support.rdp_recorded import Conversation, begun
from tests.support.rdp_typist import fast, key, slow, tapped, written

A, B = 0x1E, 0x30
TYPED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


def slow_pdu(made: Conversation, payload: bytes) -> bytes:
    return share.data(made.agreed, keys.INPUT, payload, to_desktop=True)


def events_of(pdus: bytes) -> list[keys.Event]:
    """Return the events of PDUs, of both ways."""
    found = []
    for pdu in Cutter(ViewerFault).feed(pdus):
        if is_fast(pdu):
            assert pdu[0] >> 2  # xrdp 0.9 does not read a count of its own
            found += keys.read_fast(pdu)
        else:
            _, reader = mcs.open_data(pdu, Reader(pdu, ViewerFault, "It"))
            body = mcs.read_data(reader).body
            for one in share.read(body, Reader(b"", ViewerFault, "It")):
                assert share.read_data(one.body) == keys.INPUT
                found += keys.read_slow(one.body)
    return found


@given(TYPED)
def test_any_text_is_put_together_from_either_way(text: str) -> None:
    for slowly in (False, True):
        made = begun()
        before = len(made.to_desktop)
        made.say(">", slow_pdu(made, slow(text)) if slowly else fast(written(text)))
        assert "".join(made.texts) == text
        assert made.to_desktop[before:] == []


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ((0xD83D, 0xDE00), "😀"),
        ((0xD83D, 0x61, 0xDE00), "a"),
        ((0xDE00, 0xD83D), ""),
        ((0xD83D, 0xD83D, 0xDE00), "😀"),
        ((0x0D, 0x0A, 0x09), "\n\n\t"),
        ((0x00, 0x03, 0x1F, 0x80, 0x9F), ""),
        ((0x08, 0x1B, 0x7F), "\b\x1b\x7f"),
        ((0xFFFF, 0xFFFE), "\uffff\ufffe"),
    ],
)
def test_halves_alone_and_controls_are_dropped(said: tuple[int, ...], text: str) -> None:
    characters = Characters()
    assert "".join(map(characters.take, said)) == text


@given(st.lists(st.integers(0, 0xFFFF), max_size=60))
def test_whatever_is_put_together_can_be_asked_for(said: list[int]) -> None:
    characters = Characters()
    text = "".join(map(characters.take, said))
    if text:
        drive.read_request(drive.encode(drive.Act(id=1, actions=actions(text))).rstrip(b"\n"))


def test_keys_that_are_told_as_controls_are_pressed() -> None:
    tapped = drive.PressKeys(do="tap", keys=(0xFF08,))
    assert actions("ab\b\bc\n") == (
        drive.TypeText(text="ab"),
        tapped,
        tapped,
        drive.TypeText(text="c\n"),
    )


def test_text_and_keys_stay_in_their_order() -> None:
    made = begun()
    said = made.viewer.feed(fast([*tapped(A), *written("い"), *written("い"), *tapped(B)]))
    before, text, after = said.on
    assert text == Text("いい")
    assert isinstance(before, Keys)
    assert isinstance(after, Keys)
    assert [event.x for event in events_of(before)] == [A, A]
    assert [event.x for event in events_of(after)] == [B, B]


UNIT = st.integers(0, 0xFFFF)
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda code, down: key(code, down=down), st.integers(0, 255), st.booleans()),
        st.builds(lambda *at: struct.pack("<BHHH", 1 << 5, *at), UNIT, UNIT, UNIT),
        st.builds(lambda up, unit: struct.pack("<BH", 4 << 5 | up, unit), st.booleans(), UNIT),
        st.just(b"\x60"),
    ),
    max_size=50,
)


@given(EVENTS)
def test_nothing_but_text_is_taken_out(said: list[bytes]) -> None:
    made = begun()
    passed = made.viewer.feed(fast(said)).on
    desktop = events_of(b"".join(one for one in passed if isinstance(one, bytes)))
    assert [event.said for event in desktop] == [one for one in said if one[0] >> 5 != 4]
    assert made.people.events >= len(said)


def test_what_has_no_text_passes_as_it_is() -> None:
    made = begun()
    for pdu in (
        bytes.fromhex("048005001e"),
        fast(tapped(A, B)),
        slow_pdu(made, struct.pack("<HHIHHHH", 1, 0, 0, 4, 0, A, 0)),
    ):
        assert made.viewer.feed(pdu).on == [pdu]


def test_the_other_pdus_beside_slow_text_pass() -> None:
    made = begun()
    body, other = b"", (31, b"\x01\0\xea\x03")
    for kind, payload in (other, (keys.INPUT, slow("文")), other):
        pdu = share.data(made.agreed, kind, payload, to_desktop=True)
        body += pdu[pdu.index(b"\x17\0") - 2 :]
    said = made.viewer.feed(mcs.data(mcs.SEND, made.agreed.user, made.agreed.io_channel, body)).on
    assert said[0] == Text("文")
    assert isinstance(said[1], bytes)
    assert said[1].count(other[1]) == 2
    assert not isinstance(said[1], Keys)


def test_who_only_looks_writes_nothing() -> None:
    made = begun(may_use=False)
    uses = made.people.uses
    made.say(">", fast(written("見る")))
    made.say(">", slow_pdu(made, slow("見る")))
    assert made.texts == []
    assert made.people.uses == uses
    made.viewer.allow(may_use=True)
    made.say(">", fast(written("使う")))
    assert made.texts == ["使う"]
    assert made.people.uses > uses
    made.viewer.allow(may_use=False)
    made.say(">", fast(written("見る")))
    assert made.texts == ["使う"]


def test_text_is_in_no_description() -> None:
    assert "密" not in repr(Text("密"))
    with pytest.raises(ViewerFault) as fault:
        begun().viewer.feed(fast(written("密"))[:-1] + b"\xff\xff")
    assert "密" not in str(fault.value)
