"""The connection test's viewer, before the gate's own parsers and a desktop that is made up."""

import struct

import pytest

from porthole_control.rdp_servers.probe import Probe, Refused
from porthole_desktop.gate.rdp import ber, cleanpath, mcs
from porthole_desktop.gate.rdp.framing import tpkt
from porthole_desktop.gate.rdp.opening import Browser
from porthole_desktop.gate.rdp.x224 import DATA
from tests.support.rdp_recorded import Conversation, recorded

IO, USER = 1003, 1006


def _block(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body)) + body


def connect_response() -> bytes:
    """What a desktop answers of which no channel was asked."""
    blocks = (
        _block(0x0C01, struct.pack("<II", 0x80004, 1))
        + _block(0x0C02, bytes(8))
        + _block(0x0C03, struct.pack("<HH", IO, 0))
    )
    conference = b"\x00\x05\x00\x14\x7c\x00\x01\x2a\x14\x76\x0a\x01\x01\x00\x01\xc0\x00McDn"
    conference += (len(blocks) | 0x8000).to_bytes(2, "big") + blocks
    answer = (
        ber.write(b"\x0a", b"\0")
        + ber.integer(0)
        + ber.write(ber.SEQUENCE, b"\x02\x01\x22")
        + ber.write(ber.OCTETS, conference)
    )
    return tpkt(DATA + ber.write(b"\x7f\x66", answer))


def tile(x: int, y: int, data: bytes) -> bytes:
    body = struct.pack("<BBBHHHHH", 0, 0, 0, x, y, len(data), 0, 0) + data
    return struct.pack("<HI", 0xCAC3, 6 + len(body)) + body


def picture(rectangles: list[tuple[int, int, int, int]], tiles: list[bytes]) -> list[bytes]:
    """An update in RemoteFX, in two fragments, and the end of its frame."""
    region = struct.pack("<BBBH", 1, 0, 1, len(rectangles))
    region += b"".join(struct.pack("<HHHH", *one) for one in rectangles) + bytes(4)
    data = struct.pack("<HI", 0xCCC6, 6 + len(region)) + region
    pieces = b"".join(tiles)
    head = struct.pack("<BBHHHBBHI", 1, 0, 0xCAC2, 0, 0, 1, 64, len(tiles), len(pieces)) + bytes(5)
    data += struct.pack("<HI", 0xCCC7, 6 + len(head) + len(pieces)) + head + pieces
    command = struct.pack("<HHHHH", 6, 0, 0, 800, 600)
    command += struct.pack("<BBBBHHI", 32, 0, 0, 3, 800, 600, len(data)) + data
    half = len(command) // 2
    marker = struct.pack("<HHI", 4, 1, 7)
    return [
        fast(0x24, command[:half]),
        fast(0x14, command[half:]),
        fast(0x04, marker),
    ]


def fast(head: int, part: bytes) -> bytes:
    size = 6 + len(part)
    return struct.pack(">BH", 0, size | 0x8000) + struct.pack("<BH", head, len(part)) + part


class Way:
    """A probe, the gate, and what a desktop heard."""

    def __init__(self) -> None:
        self.probe = Probe(800, 600)
        browser = Browser(b"certificate" * 30)
        browser.feed(self.probe.hello())
        assert browser.asked
        self.gate = Conversation(may_use=False)
        answer = browser.agree()
        said = self.probe.feed(answer[:5]) + self.probe.feed(answer[5:])
        self.gate.say(">", said)

    def desktop(self, *pdus: bytes) -> None:
        """Let the desktop say something, and the probe answer."""
        for pdu in pdus:
            passed = len(self.gate.to_viewer)
            self.gate.say("<", pdu)
            for part in self.gate.to_viewer[passed:]:
                answer = self.probe.feed(part[:3]) + self.probe.feed(part[3:])
                if answer:
                    self.gate.say(">", answer)

    def opened(self) -> "Way":
        """Come to where pictures are sent."""
        joined = [
            tpkt(DATA + struct.pack(">BBHHH", 0x3E, 0, 5, number, number)) for number in (USER, IO)
        ]
        self.desktop(connect_response(), tpkt(DATA + b"\x2e\x00\x00\x05"), *joined)
        # A licence is wanted, then is not, and the desktop says what it can do.
        said = (pdu for way, pdu in recorded("ironrdp-0.7.0") if way == "<")
        self.desktop(*[pdu for pdu in said if pdu[7:8] == bytes((mcs.SENT,))][:3])
        return self


def test_the_gate_admits_it_and_the_screen_is_seen():
    way = Way().opened()
    assert way.probe.answered
    assert way.probe.size is not None
    width, height = way.probe.size
    assert not way.probe.drawn
    heard = len(way.gate.to_desktop)
    top = (0, 0, width, height // 2)
    way.desktop(*picture([top], [tile(0, 0, b"a" * 40), tile(1, 0, b"b" * 40)]))
    assert 45 < way.probe.drawn_percent < 55
    assert not way.probe.drawn
    # The frame's end was acknowledged, through the gate.
    assert any(b"\x38\0" in pdu for pdu in way.gate.to_desktop[heard:])
    rest = (0, height // 2, width, height - height // 2)
    way.desktop(*picture([rest], [tile(0, 5, b"a" * 40)]))
    assert way.probe.drawn
    assert way.probe.tiles == 3


def test_a_screen_of_one_colour_is_not_drawn():
    way = Way().opened()
    assert way.probe.size is not None
    way.desktop(*picture([(0, 0, *way.probe.size)], [tile(x, 0, b"same") for x in range(4)]))
    assert way.probe.drawn_percent == 100
    assert not way.probe.drawn


@pytest.mark.parametrize(
    "answer",
    [
        cleanpath.failure(502),
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_a_no_is_a_no(answer: bytes):
    with pytest.raises(Refused):
        Probe(800, 600).feed(answer)


def test_an_end_and_nonsense_are_no_pictures():
    way = Way()
    way.desktop(connect_response())
    with pytest.raises(Refused, match="ended"):
        way.probe.feed(mcs.disconnect())
    with pytest.raises(Refused):
        Way().probe.feed(b"\x03\x00\x00\x02")


def drawn(probe: Probe, rectangles: list[tuple[int, int, int, int]], times: int) -> None:
    for _ in range(times):
        for part in picture(rectangles, []):
            probe.feed(part)


def test_who_draws_without_end_holds_nobody_up():
    probe = Way().opened().probe
    assert probe.size is not None
    width, height = probe.size
    half = [(0, 0, width // 2, height)] * 2000
    with pytest.raises(Refused, match="more than it takes"):
        drawn(probe, half, 100)


def test_the_whole_screen_may_come_again_and_again():
    probe = Way().opened().probe
    drawn(probe, [(0, 0, 65535, 65535)], 200)
    assert probe.drawn_percent == 100


def test_an_answer_without_end_is_none():
    with pytest.raises(Refused):
        Probe(800, 600).feed(b"\x30\x84\x7f\xff\xff\xff")
