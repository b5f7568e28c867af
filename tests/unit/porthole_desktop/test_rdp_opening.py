"""How a conversation in RDP begins: X.224, RDCleanPath, and TLS inside the stream."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.pinning import pinned_tls
from porthole_desktop.gate.faults import DesktopFault, ViewerFault
from porthole_desktop.gate.rdp import ber, cleanpath, x224
from porthole_desktop.gate.rdp.framing import LONGEST, Cutter, tpkt
from porthole_desktop.gate.rdp.opening import Browser, DesktopOpening, ForeignDesktop, Native
from porthole_desktop.gate.rdp.tls import Tls, native_tls
from tests.support.gate_setup import GateIdentity
from tests.support.rdp_recorded import recorded

REQUEST, CONFIRM = (pdu for _, pdu in recorded()[:2])
REFUSED = bytes.fromhex("030000130ed000001234000300080002000000")


def asking(bits: int, before: bytes = b"") -> bytes:
    negotiation = struct.pack("<BBHI", 1, 0, 8, bits)
    return tpkt(bytes((6 + len(before) + 8, 0xE0, 0, 0, 0, 0, 0)) + before + negotiation)


def fields(*pairs: tuple[int, bytes]) -> bytes:
    return ber.write(ber.SEQUENCE, b"".join(ber.write(ber.context(n), v) for n, v in pairs))


VERSION = (0, ber.integer(3390))
TO = (2, ber.write(ber.TEXT, b"192.0.2.1:22"))
BY_BROWSER = fields(VERSION, TO, (6, ber.write(ber.OCTETS, asking(1))))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> GateIdentity:
    return GateIdentity.make(tmp_path_factory.mktemp("gate"))


def native(identity: GateIdentity) -> Native:
    return Native(native_tls(identity.folder / "cert.pem", identity.folder / "key.pem"))


def fast(body: bytes) -> bytes:
    if len(body) <= 100:
        return bytes((4, len(body) + 2)) + body
    return b"\0" + struct.pack(">H", 0x8000 | len(body) + 3) + body


@given(st.lists(st.binary(min_size=1, max_size=400)), st.integers(1, 50))
def test_pdus_are_cut_wherever_they_are_cut_apart(bodies: list[bytes], size: int) -> None:
    pdus = [pdu for body in bodies for pdu in (fast(body), tpkt(x224.DATA + body))]
    data, cutter = b"".join(pdus), Cutter(ViewerFault)
    seen = [pdu for at in range(0, len(data), size) for pdu in cutter.feed(data[at : at + size])]
    assert seen == pdus
    assert cutter.between


def test_what_waits_for_its_end_is_bounded() -> None:
    cutter = Cutter(ViewerFault)
    for _ in range(100):
        assert list(cutter.feed(b"\x03\0\xff\xff"[: 4 if cutter.between else 0])) == []
        assert list(cutter.feed(bytes(600))) == []
    assert len(cutter.rest()) <= LONGEST


RUBBISH = ("01", "02", "8005", "4005", "0002", "008003", "0301", "03000006")


@pytest.mark.parametrize("data", [bytes.fromhex(text) for text in RUBBISH])
def test_bytes_that_begin_no_pdu_are_a_fault(data: bytes) -> None:
    with pytest.raises(ViewerFault):
        list(Cutter(ViewerFault).feed(data))


def test_what_freerdp_asks_for_is_tls() -> None:
    assert x224.read_request(REQUEST) == 1
    x224.read_confirm(CONFIRM)
    x224.read_confirm(x224.confirm())
    assert x224.read_request(x224.request()) == 1


@pytest.mark.parametrize(
    ("pdu", "bits"),
    [
        (asking(3), 3),
        (asking(2), 2),
        (asking(1, b"Cookie: mstshash=somebody\r\n"), 1),
        (asking(1, b"tsv://elsewhere\r\n"), 1),
        (tpkt(bytes((6, 0xE0, 0, 0, 0, 0, 0))), 0),
    ],
)
def test_requests_are_read_and_cookies_are_not(pdu: bytes, bits: int) -> None:
    assert x224.read_request(pdu) == bits


@pytest.mark.parametrize(
    "pdu",
    [
        asking(1)[:-1] + b"",
        tpkt(bytes((5, 0xE0, 0, 0, 0, 0, 0))),
        CONFIRM,
        asking(1, b"Cookie: that does not end"),
        tpkt(b"\x02\xf0\x80\x04"),
        tpkt(asking(1)[4:] + b"\0"),
    ],
)
def test_requests_that_cannot_be_are_a_fault(pdu: bytes) -> None:
    with pytest.raises(ViewerFault):
        x224.read_request(pdu)


@pytest.mark.parametrize("pdu", [REFUSED, CONFIRM[:-4] + b"\x02\0\0\0", asking(1), CONFIRM[:-1]])
def test_a_desktop_that_does_not_agree_to_tls_is_a_fault(pdu: bytes) -> None:
    with pytest.raises(DesktopFault):
        x224.read_confirm(pdu)


@given(st.integers(1, 60))
def test_a_browsers_request_is_read_in_any_pieces(size: int) -> None:
    opening = Browser(b"certificate")
    for at in range(0, len(BY_BROWSER), size):
        assert opening.feed(BY_BROWSER[at : at + size]) == b""
    assert opening.asked == 1
    answer = opening.agree()
    assert opening.done
    assert b"certificate" in answer
    assert x224.confirm() in answer
    assert b"192.0.2.1" not in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x31\x03\x02\x01\x00",
        b"GET / HTTP/1.1",
        b"\x30\x83\x01\x00\x00",
        b"\x30\x82\xff\xff",
        b"\x30\x80\x00\x00",
        fields(VERSION, TO),
        fields(TO, (6, ber.write(ber.OCTETS, asking(1)))),
        fields(VERSION, VERSION, (6, ber.write(ber.OCTETS, asking(1)))),
        fields((0, ber.integer(3389)), (6, ber.write(ber.OCTETS, asking(1)))),
        fields(VERSION, (6, ber.write(ber.OCTETS, asking(1) * 2))),
        fields(VERSION, (6, ber.write(ber.OCTETS, asking(1)[:-2]))),
        fields(VERSION, (6, ber.write(ber.OCTETS, asking(2)))),
        fields(VERSION, (6, ber.write(ber.OCTETS, asking(0)))),
        fields(VERSION, (6, ber.write(ber.TEXT, asking(1)))),
        fields(VERSION, (9, ber.write(ber.TEXT, b"me")), (6, ber.write(ber.OCTETS, asking(1)))),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_a_browsers_request_that_cannot_be_is_refused_in_its_words(data: bytes) -> None:
    opening = Browser(b"certificate")
    with pytest.raises(ViewerFault):
        opening.feed(data)
    assert opening.refuse(CloseReason.VIEWER_PROTOCOL) == cleanpath.failure(400)


def test_a_native_client_is_led_through_tls(identity: GateIdentity) -> None:
    opening = native(identity)
    assert opening.feed(asking(1)[:7]) == b""
    assert opening.feed(asking(1)[7:]) == b""
    assert opening.agree() == x224.confirm()
    client = Tls(pinned_tls(), serves=False, fault=DesktopFault)
    client.feed(b"")
    while not opening.done:
        client.feed(opening.feed(client.said()))
    assert opening.read(client.wrap([b"to the gate"])) == b"to the gate"
    assert client.feed(opening.write([b"to the ", b"client"])) == b"to the client"


@pytest.mark.parametrize("bits", [0, 2, 8, 0x80000000])
def test_a_native_client_without_tls_is_refused_in_its_words(
    identity: GateIdentity, bits: int
) -> None:
    opening = native(identity)
    with pytest.raises(ViewerFault):
        opening.feed(asking(bits))
    assert opening.refuse(CloseReason.VIEWER_PROTOCOL) == x224.refusal()


def test_an_older_tls_is_refused_in_its_words(identity: GateIdentity) -> None:
    opening = native(identity)
    opening.feed(asking(1))
    opening.agree()
    # A ClientHello of TLS 1.1, which the libraries of today do not make any more.
    hello = b"\x03\x02" + bytes(32) + b"\0" + b"\0\x02\xc0\x14" + b"\x01\0"
    handshake = b"\x01" + len(hello).to_bytes(3, "big") + hello
    with pytest.raises(ViewerFault, match="TLS inside the stream"):
        opening.feed(b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake)
    alert = opening.refuse(CloseReason.VIEWER_PROTOCOL)
    assert (alert[0], alert[-1]) == (21, 70)  # an alert: protocol_version


def test_who_speaks_before_the_answer_is_not_heard(identity: GateIdentity) -> None:
    with pytest.raises(ViewerFault):
        native(identity).feed(asking(1) + b"\x16")
    opening = Browser(b"")
    opening.feed(BY_BROWSER)
    with pytest.raises(ViewerFault):
        opening.feed(b"\x03")


def server(folder: Path) -> Tls:
    return Tls(native_tls(folder / "cert.pem", folder / "key.pem"), serves=True, fault=ViewerFault)


def meet(desktop: Tls, opening: DesktopOpening) -> None:
    assert opening.hello == x224.request()
    assert opening.feed(CONFIRM[:5]) == b""
    said = opening.feed(CONFIRM[5:])
    while not opening.done:
        desktop.feed(said)
        said = opening.feed(desktop.said())
    desktop.feed(said)


def test_the_desktop_is_known_by_its_certificate(identity: GateIdentity, tmp_path: Path) -> None:
    desktop = server(identity.folder)
    opening = DesktopOpening(pinned_tls(), identity.fingerprint)
    meet(desktop, opening)
    assert desktop.feed(opening.write([b"hello"])) == b"hello"
    assert opening.read(desktop.wrap([b"and back"])) == b"and back"
    other = GateIdentity.make(tmp_path / "other")
    with pytest.raises(ForeignDesktop) as foreign:
        meet(server(other.folder), DesktopOpening(pinned_tls(), identity.fingerprint))
    assert CloseReason(foreign.value.code) is CloseReason.DESKTOP_UNREACHABLE


def test_rubbish_instead_of_tls_is_the_fault_of_who_says_it(identity: GateIdentity) -> None:
    opening = DesktopOpening(pinned_tls(), identity.fingerprint)
    opening.feed(CONFIRM)
    with pytest.raises(DesktopFault):
        opening.feed(b"\x03\x00\x00\x0b\x06\xd0" * 20)
