"""What may be thrown at the parsers of RDP: each takes bytes, and may raise whose
fault they are.

A target's seeds are what was recorded, cut so that the target understands it.
"""

import contextlib
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping

from porthole_contract.stream.pinning import pinned_tls
from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp import ber, cleanpath, info, mcs, x224
from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.connect import rewrite_initial, rewrite_response
from porthole_desktop.gate.rdp.dynamic import DISPLAY
from porthole_desktop.gate.rdp.framing import LONGEST, Cutter
from porthole_desktop.gate.rdp.opening import Browser, DesktopOpening, Native
from porthole_desktop.gate.rdp.virtual import chunk
from tests.support.rdp_recorded import MOST, Conversation, Way, begun, recorded
from tests.support.rdp_typist import fast, tapped, written

Target = Callable[[bytes], object]
_IO, _CLIPBOARD, _DYNAMIC = 1003, 1006, 1007
_DATA_HEAD = 15
"""Bytes before the body of a Send Data PDU whose length is written in two."""


def _browser(data: bytes) -> None:
    opening = Browser(b"certificate")
    for at in range(0, len(data), 7):
        opening.feed(data[at : at + 7])


def _native(data: bytes) -> None:
    opening = Native(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    for at in range(0, len(data), 19):
        opening.feed(data[at : at + 19])
        if at == 0 and opening.asked is not None:
            opening.agree()


def _desktop_opening(data: bytes) -> None:
    opening = DesktopOpening(pinned_tls(), "ab" * 32)
    for at in range(0, len(data), 19):
        opening.feed(data[at : at + 19])


def _x224(data: bytes) -> None:
    x224.read_request(data)


def _confirm(data: bytes) -> None:
    x224.read_confirm(data)


def _initial(data: bytes) -> None:
    rewrite_initial(data, Agreed(1), MOST, None)


def _response(data: bytes) -> None:
    agreed = Agreed(1)
    rewrite_initial(recorded()[2][1], agreed, MOST, None)
    rewrite_response(data, agreed)


def _info(data: bytes) -> None:
    info.write(info.read(data), begun().viewer._terms.credentials)


def _cutter(data: bytes) -> None:
    cutter = Cutter(ViewerFault)
    for at in range(0, len(data), 3):
        for pdu in cutter.feed(data[at : at + 3]):
            assert pdu
    assert len(cutter.rest()) <= LONGEST


def _speaks(way: Way, *, may_use: bool) -> Target:
    def target(data: bytes) -> None:
        begun(may_use=may_use).say(way, data)

    return target


def _on_channel(way: Way, channel: int) -> Target:
    kind, user = (mcs.SEND, 1008) if way == ">" else (mcs.SENT, 1002)

    def target(data: bytes) -> None:
        made = begun()
        if channel == _DYNAMIC:
            made.say("<", mcs.data(mcs.SENT, 1002, channel, chunk(b"\x10\x01" + DISPLAY + b"\0")))
        for at in range(0, len(data), 300):
            made.say(way, mcs.data(kind, user, channel, data[at : at + 300]))

    return target


def _in_turns(data: bytes) -> None:
    """Let both speak: a byte says who, another how much."""
    made, rest = Conversation(), memoryview(data)
    while len(rest) > 2:
        way: Way = ">" if rest[0] & 1 else "<"
        size = rest[0] >> 1 << 8 | rest[1]
        made.say(way, bytes(rest[2 : 2 + size]))
        rest = rest[2 + size :]


TARGETS: Mapping[str, Target] = {
    "browser": _browser,
    "native": _native,
    "front": _desktop_opening,
    "x224": _x224,
    "confirm": _confirm,
    "initial": _initial,
    "response": _response,
    "info": _info,
    "cutter": _cutter,
    "viewer": _speaks(">", may_use=True),
    "looking": _speaks(">", may_use=False),
    "desktop": _speaks("<", may_use=True),
    "viewer-share": _on_channel(">", _IO),
    "viewer-clipboard": _on_channel(">", _CLIPBOARD),
    "viewer-dynamic": _on_channel(">", _DYNAMIC),
    "desktop-share": _on_channel("<", _IO),
    "desktop-clipboard": _on_channel("<", _CLIPBOARD),
    "desktop-dynamic": _on_channel("<", _DYNAMIC),
    "turns": _in_turns,
}
_NAMES = tuple(TARGETS)
_EVENT = struct.Struct("<IHHHH")
_INPUT = struct.pack("<HHHIBBHBBHHH", 46, 0x17, 1008, 66538, 0, 1, 28, 28, 0, 0, 2, 0)
_LAYOUT = struct.pack("<IIII3i2I5I", 2, 56, 40, 1, 1, 0, 0, 1280, 720, 0, 0, 0, 100, 100)
_MADE = {
    "viewer": [fast([*tapped(0x1E), *written("é日😀"), *tapped(0x1C)])],
    "viewer-share": [
        _INPUT + _EVENT.pack(0, 4, 0, 30, 0) + _EVENT.pack(0, 0x8001, 0x9000, 5, 6),
        _INPUT + _EVENT.pack(0, 5, 0, 0xD83D, 0) + _EVENT.pack(0, 5, 0, 0xDE00, 0),
    ],
    "viewer-dynamic": [struct.pack("<II", 58, 3) + b"\x30\x01" + _LAYOUT],
}
"""What was not recorded and is worth to begin with."""


def throw(data: bytes) -> None:
    """Throw `data` at the target that its first byte names; a fault of the peer is an answer."""
    if not data:
        return
    with contextlib.suppress(ViewerFault, DesktopFault):
        TARGETS[_NAMES[data[0] % len(_NAMES)]](data[1:])


def seeds() -> Iterator[bytes]:
    """Yield inputs for `throw`: what was recorded, for whoever it may mean something to."""
    pdus = recorded()
    known = {
        "browser": [_request(pdus[0][1])],
        "native": [x224.request() + b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"],
        "front": [pdus[1][1] + b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03"],
        "x224": [pdus[0][1]],
        "confirm": [pdus[1][1]],
        "initial": [pdus[2][1]],
        "response": [pdus[3][1]],
        "info": [p[_DATA_HEAD:] for way, p in pdus if way == ">" and p[13:17] == b"\x81\x42\x40\0"],
        "cutter": [pdu for _, pdu in pdus],
        "turns": [
            b"".join(
                bytes(((len(p) >> 8) << 1 | (way == ">"), len(p) & 255)) + p for way, p in pdus[2:]
            )
        ],
    }
    for number, name in enumerate(_NAMES):
        way = "<" if name.startswith("desktop") else ">"
        for data in known.get(name) or (*_of(pdus, way, name), *_MADE.get(name, ())):
            yield bytes((number,)) + data


def _request(x224_request: bytes) -> bytes:
    fields = (
        (0, ber.integer(cleanpath.VERSION)),
        (2, ber.write(ber.TEXT, b"192.0.2.1:3389")),
        (6, ber.write(ber.OCTETS, x224_request)),
    )
    body = b"".join(ber.write(ber.context(number), value) for number, value in fields)
    return ber.write(ber.SEQUENCE, body)


def _of(pdus: list[tuple[Way, bytes]], way: str, name: str) -> Iterator[bytes]:
    """Yield the PDUs of one side, or what they hold for one channel."""
    channel = {"share": _IO, "clipboard": _CLIPBOARD, "dynamic": _DYNAMIC}.get(
        name.partition("-")[2]
    )
    for speaker, pdu in pdus[2:]:
        if speaker != way:
            continue
        if channel is None:
            yield pdu
        elif pdu[7:8] in {b"\x64", b"\x68"} and pdu[10:12] == channel.to_bytes(2, "big"):
            yield pdu[14 if pdu[13] < 0x80 else _DATA_HEAD :]
