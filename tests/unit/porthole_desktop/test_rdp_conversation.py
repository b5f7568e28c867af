"""A recorded conversation between FreeRDP and xrdp, as it passes a gate."""

import hashlib
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import RemoteProtocolError
from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp import info, mcs, share
from porthole_desktop.gate.rdp.agreed import Stage
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.rdp.reader import Reader
from porthole_desktop.gate.rdp.viewer import Terms, WrongPassword
from tests.support.rdp_recorded import MOST, Conversation, Way, begun, recorded

PDUS = recorded()[2:]
WHOLE = Conversation().play(PDUS)
INITIAL, RESPONSE = PDUS[0][1], PDUS[1][1]
(INFO,) = (n for n, (way, pdu) in enumerate(PDUS) if way == ">" and pdu[13:17] == b"\x81\x42\x40\0")
KEY = bytes.fromhex("048005001e")
UP = bytes.fromhex("048005011e")


def client_data(body: bytes, channel: int = 1003, user: int = 1008) -> bytes:
    return mcs.data(mcs.SEND, user, channel, body)


def desktop_data(body: bytes, channel: int = 1003) -> bytes:
    return mcs.data(mcs.SENT, 1002, channel, body)


def test_all_of_it_passes_to_who_may_use_the_desktop() -> None:
    assert WHOLE.agreed.stage is Stage.ACTIVE
    assert (WHOLE.agreed.width, WHOLE.agreed.height) == (1027, 705)
    assert len(WHOLE.to_desktop) == sum(1 for way, _ in PDUS if way == ">")
    assert len(WHOLE.to_viewer) == sum(1 for way, _ in PDUS if way == "<")
    assert WHOLE.people.events == 21
    assert WHOLE.people.uses == 14
    assert WHOLE.sizes == [len(pdu) for way, pdu in PDUS if way == ">"]


@pytest.mark.parametrize("may_use", [True, False])
def test_what_ironrdp_says_passes_as_well(*, may_use: bool) -> None:
    pdus = recorded("ironrdp-0.7.0")
    made = Conversation(may_use=may_use).play(pdus)
    assert made.agreed.stage is Stage.ACTIVE
    assert (made.agreed.width, made.agreed.height) == (1021, 701)
    assert any(pdu[0] != 3 for pdu in made.to_desktop) is may_use
    assert [p for p in made.to_viewer if p[0] == 0] == [
        pdu for way, pdu in pdus if way == "<" and pdu[0] == 0
    ]


def test_pictures_pass_as_they_are() -> None:
    pictures = [pdu for way, pdu in PDUS if way == "<" and pdu[0] == 0]
    assert pictures
    assert [pdu for pdu in WHOLE.to_viewer if pdu[0] == 0] == pictures


def test_who_only_looks_gets_the_pictures_and_says_nothing() -> None:
    looking = Conversation(may_use=False).play(PDUS)
    assert [pdu for pdu in looking.to_desktop if pdu[0] != 3] == []
    assert [p for p in looking.to_viewer if p[0] == 0] == [
        pdu for way, pdu in PDUS if way == "<" and pdu[0] == 0
    ]
    assert looking.people.events == 21
    assert looking.people.uses == 0
    formats = b"\x02\0\0\0\x74\0\0\0"  # what the viewer has in its clipboard
    assert any(formats in pdu for _, pdu in PDUS)
    assert not any(formats in pdu for pdu in looking.to_desktop)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_any_chunking_lets_the_same_pass(sizes: list[int]) -> None:
    made = Conversation()
    for (way, pdu), size in zip(_turns(), sizes * (len(PDUS) // len(sizes) + 1), strict=False):
        for at in range(0, len(pdu), size):
            made.say(way, pdu[at : at + size])
    assert made.to_desktop == WHOLE.to_desktop
    assert made.to_viewer == WHOLE.to_viewer


def _turns() -> list[tuple[Way, bytes]]:
    """Return what was said, with what one side has said at once in one piece."""
    turns = [PDUS[0]]
    for (before, _), (way, pdu) in pairwise(PDUS):
        if way == before:
            turns[-1] = way, turns[-1][1] + pdu
        else:
            turns.append((way, pdu))
    return turns


def test_the_viewer_is_made_to_ask_for_32_bits() -> None:
    sent = WHOLE.to_desktop[0]
    core = sent[sent.index(b"Duca") + 6 :]
    high, depths, early = struct.unpack_from("<HHH", core, 4 + 132 + 4)
    assert (high, depths, early & 2) == (24, 15, 2)
    assert b"rdpdr" in INITIAL
    assert b"rdpdr" not in sent
    assert b"cliprdr" in sent


def test_who_may_use_the_desktop_says_how_large_it_is_and_who_only_looks_does_not() -> None:
    asked, there = struct.pack("<HH", 1027, 705), struct.pack("<HH", 1001, 703)
    for may_use in (True, False):
        made = Conversation(may_use=may_use, terms=Terms(MOST, Size(1001, 703)))
        made.say(">", INITIAL)
        assert (asked in made.to_desktop[0], there in made.to_desktop[0]) == (may_use, not may_use)
    small = Terms(Size(1024, 768), Size(1280, 800))
    with pytest.raises(ViewerFault, match="1027x705"):
        Conversation(terms=small).say(">", INITIAL)
    Conversation(may_use=False, terms=small).say(">", INITIAL)


def test_whose_right_is_taken_back_before_they_have_asked_changes_no_size() -> None:
    made = Conversation(terms=Terms(MOST, Size(1001, 703)))
    made.viewer.allow(may_use=False)
    made.say(">", INITIAL)
    assert struct.pack("<HH", 1001, 703) in made.to_desktop[0]


def test_the_desktop_hears_another_name_and_no_program_of_the_viewers() -> None:
    (sent,) = (p for p in WHOLE.to_desktop if b"u\0s\0e\0r\0" in p)
    said = info.read(sent[15:])
    assert (said.user, said.password, said.domain) == ("user", "-", "")
    assert "someone".encode("utf-16-le") in PDUS[INFO][1]
    assert "someone".encode("utf-16-le") not in sent
    assert said.flags & 0x8  # is to log on by itself
    assert not said.flags & 0x80  # compresses nothing


@pytest.mark.parametrize("text", ["pw", "ä\N{SAILBOAT}'\"\\\x01 %s", "", "x" * 255])
def test_a_password_is_compared_whatever_is_in_it(text: str) -> None:
    body = client_info("someone", text)
    right = Conversation(
        terms=Terms(MOST, MOST, password=hashlib.sha256(text.encode()).hexdigest())
    )
    right.play(PDUS[:INFO]).say(">", client_data(body))
    assert right.agreed.stage is Stage.LICENCE
    wrong = Conversation(terms=Terms(MOST, MOST, password=hashlib.sha256(b"other").hexdigest()))
    with pytest.raises(WrongPassword):
        wrong.play(PDUS[:INFO]).say(">", client_data(body))


def client_info(user: str, password: str, shell: str = "", flags: int = 0x13) -> bytes:
    texts = [text.encode("utf-16-le") for text in ("", user, password, shell, "")]
    sizes = b"".join(struct.pack("<H", len(text)) for text in texts)
    return struct.pack("<HHII", 0x40, 0, 0, flags) + sizes + b"".join(t + b"\0\0" for t in texts)


def test_a_program_that_a_viewer_asks_for_is_not_told_of() -> None:
    made = Conversation().play(PDUS[:INFO])
    made.say(">", client_data(client_info("a", "b", shell="rm -rf ~")))
    assert "rm -rf".encode("utf-16-le") not in made.to_desktop[-1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        client_info("a", "b", flags=0x3),  # no Unicode
        client_info("a" * 300, "b"),
        client_info("a", "b")[:-5],
        struct.pack("<HHII5H", 0x40, 0, 0, 0x13, 65535, 0, 0, 0, 0),
        struct.pack("<HHII5H", 0x80, 0, 0, 0x13, 0, 0, 0, 0, 0),
    ],
)
def test_a_client_info_that_cannot_be_ends_the_stream(body: bytes) -> None:
    made = Conversation().play(PDUS[:INFO])
    with pytest.raises(ViewerFault):
        made.say(">", client_data(body))


def _share(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HHH", 6 + len(body), 0x10 | kind, 1002) + body


def _data(kind: int, body: bytes = b"", compressed: int = 0) -> bytes:
    head = struct.pack("<IBBHBBH", 0x103EA, 0, 1, len(body), kind, compressed, 0)
    return _share(7, head + body)


FROM_DESKTOP = [
    desktop_data(_share(10)),  # redirection: go elsewhere
    desktop_data(_data(99)),
    desktop_data(_data(2, b"x", compressed=0x21)),
    desktop_data(struct.pack("<HHH", 5, 0x17, 0)),
    desktop_data(struct.pack("<HHH", 900, 0x17, 0)),
    desktop_data(b"x" * 9, channel=1999),
    mcs.data(mcs.SEND, 1002, 1003, _data(2)),
    b"\x00\x05\x07\x00\x00",  # an update that there is not
    b"\x00\x06\x01\xff\xff\x00",  # an update that does not end
    b"\x00\x07\x81\x20\x00\x00\x00",  # an update that is compressed
    b"\x03\x00\x00\x05\x00",
    b"\x40\x05\x00\x00\x00",
    RESPONSE,
    b"HTTP/1.1",
]


@pytest.mark.parametrize("pdu", FROM_DESKTOP, ids=lambda pdu: pdu[:16].hex())
def test_what_a_desktop_may_not_say_ends_the_stream(pdu: bytes) -> None:
    with pytest.raises(DesktopFault):
        begun().say("<", pdu)


FROM_VIEWER = [
    client_data(_share(1)),
    client_data(_data(2)),
    client_data(_data(28, b"\x01\x00\x00\x00" + bytes(11))),
    client_data(_data(28, b"\x01\x00\x00\x00" + struct.pack("<IHHHH", 0, 77, 0, 0, 0))),
    client_data(_data(31, b"x", compressed=0x20)),
    client_data(b"x" * 9, channel=1999),
    client_data(_data(31), user=1009),
    b"\x04\x03\x1e",  # a key that is cut off
    b"\x04\x05\xe0\x00\x00",  # a kind that there is not
    b"\x04\x05\x00\x1e\x00",  # one byte too many
    b"\x44\x05\x00\x1e\x00",
    INITIAL,
    b"GET / HTTP/1.1",
    bytes.fromhex("0300000c02f0803800070400"),  # another channel is joined now
]


@pytest.mark.parametrize("pdu", FROM_VIEWER, ids=lambda pdu: pdu[:16].hex())
def test_what_a_viewer_may_not_say_ends_the_stream(pdu: bytes) -> None:
    with pytest.raises(ViewerFault):
        begun().say(">", pdu)


@pytest.mark.parametrize("at", range(1, 40))
def test_nobody_may_speak_out_of_turn(at: int) -> None:
    """Each PDU of the beginning comes where it has to, or not at all."""
    way, pdu = PDUS[at]
    with pytest.raises(RemoteProtocolError):
        Conversation().say(way, pdu)


def test_who_the_desktop_says_has_logged_on_is_not_passed_on() -> None:
    made = begun()
    before = len(made.to_viewer)
    made.say("<", desktop_data(_data(38, bytes(100))))
    assert len(made.to_viewer) == before


def test_what_was_held_down_is_let_go_of_when_the_right_is_taken() -> None:
    made = begun()
    made.say(">", KEY)
    made.say(">", bytes.fromhex("0480") + b"\x0a\x20" + struct.pack("<HHH", 0x9000, 5, 6))
    let_go = made.viewer.allow(may_use=False)
    _, reader = mcs.open_data(let_go, Reader(let_go, ViewerFault, "It"))
    (pdu,) = share.read(mcs.read_data(reader).body, Reader(b"", ViewerFault, "It"))
    assert share.read_data(pdu.body) == 28
    assert pdu.body.rest() == struct.pack("<HH", 2, 0) + struct.pack(
        "<IHHHH", 0, 4, 0x8000, 0x1E, 0
    ) + struct.pack("<IHHHH", 0, 0x8001, 0x1000, 5, 6)
    assert made.viewer.allow(may_use=True) == b""
    assert made.viewer.allow(may_use=False) == b""


def test_keys_that_nobody_has_pressed_are_no_use_of_the_desktop() -> None:
    made = begun()
    uses = made.people.uses
    made.say(">", UP)
    assert made.people.uses == uses
    made.say(">", KEY)
    made.say(">", UP)
    assert made.people.uses == uses + 2
    made.say(">", b"\x04\x03\x60")  # which keys lock
    assert made.people.uses == uses + 2


def test_slow_keys_pass_to_who_may_use_the_desktop_alone() -> None:
    key = client_data(_data(28, b"\x01\0\0\0" + struct.pack("<IHHHH", 0, 4, 0, 0x1E, 0)))
    for may_use in (True, False):
        made = begun(may_use=may_use)
        before = len(made.to_desktop)
        made.say(">", key)
        assert len(made.to_desktop) - before == may_use


def test_a_word_of_goodbye_is_a_code_and_the_end() -> None:
    made = begun()
    words = share.goodbye(made.agreed, 5)
    assert words.endswith(mcs.disconnect())
    assert share.goodbye(Conversation().agreed, 5) == b""
    made.say("<", words)  # it is such as a desktop may say
