"""What RDP and VNC programs are asked at a door, and what a gate is asked in their name."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_client.native import challenge, cleanpath, client_info
from porthole_client.native.file import rdp_file
from porthole_client.native.password import LENGTH, OneTime
from porthole_contract.errors import RemoteProtocolError

CONFIRMED = bytes.fromhex("030000130ed000000000000201080001000000")


def said(password: str, *, user: str = "ann", flags: int = 0x40, options: int = 0x10) -> bytes:
    """Return a Client Info as a program sends it."""
    texts = [text.encode("utf-16-le") for text in ("", user, password, "", "")]
    body = struct.pack("<HHII", flags, 0, 0, options)
    body += b"".join(struct.pack("<H", len(text)) for text in texts)
    body += b"".join(text + b"\0\0" for text in texts) + b"more"
    length = struct.pack(">H", 0x8000 | len(body))
    data = b"\x02\xf0\x80\x64\x00\x03\x03\xeb\x70" + length + body
    return struct.pack(">BBH", 3, 0, len(data) + 4) + data


def answered(*fields: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes((0xA0 | number, len(value))) + value for number, value in fields)
    return bytes((0x30, len(body))) + body


def test_the_answer_to_a_challenge_is_vncs() -> None:
    # The file that VNC programs keep "password" in, which is known to everybody.
    key = bytes((23, 82, 107, 6, 35, 78, 88, 7)).decode("latin-1")
    assert challenge.answer(b"password", key).hex() == "dbd83cfd727a1458"
    asked = bytes(range(challenge.LENGTH))
    assert challenge.answer(asked, "abcdefgh") == challenge.answer(asked, "abcdefghijk")
    assert challenge.answer(asked, "abcdefgh") != challenge.answer(asked, "abcdefgi")


def test_a_password_is_good_once() -> None:
    shown: list[str] = []
    password = OneTime(shown.append)
    first = password.now
    assert len(first) == LENGTH
    assert not password.use(lambda right: right == "something else")
    assert (password.now, shown) == (first, [])
    assert password.use(lambda right: right == first)
    assert not password.use(lambda right: right == first)
    assert shown == [password.now]


def test_who_wants_tls() -> None:
    assert client_info.wants_tls(cleanpath.ASK_FOR_TLS)
    cookie = b"Cookie: mstshash=ann\r\n"
    offer = bytes.fromhex("0100080003000000")
    data = bytes((6 + len(cookie) + len(offer), 0xE0, 0, 0, 0, 0, 0)) + cookie + offer
    pdu = struct.pack(">BBH", 3, 0, len(data) + 4) + data
    assert client_info.wants_tls(pdu)
    assert not client_info.wants_tls(pdu.replace(offer, bytes.fromhex("0100080000000000")))
    assert not client_info.wants_tls(pdu[: -len(offer)])
    with pytest.raises(RemoteProtocolError):
        client_info.wants_tls(CONFIRMED)


@pytest.mark.parametrize("password", ["secret", "", "pässwörd ☃ 🙂", "x" * 200])
def test_a_client_info_is_read_and_its_password_taken_out(password: str) -> None:
    pdu = said(password)
    found = client_info.read(pdu)
    assert found is not None
    assert (found.user, found.password) == ("ann", password)
    assert len(found.blanked) == len(pdu)
    blanked = client_info.read(found.blanked)
    assert blanked is not None
    assert set(blanked.password) <= {"x"}
    assert "secret" not in repr(found)


def test_what_comes_before_a_client_info_is_none() -> None:
    assert client_info.read(bytes.fromhex("0300000802f08028")) is None
    assert client_info.read(bytes.fromhex("0300000c02f08038000403ec")) is None


@pytest.mark.parametrize("pdu", [said("x", flags=0x80), said("x", options=0), said("x")[:30]])
def test_a_broken_client_info_is_refused(pdu: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        client_info.read(pdu)


@given(st.binary(max_size=200))
def test_no_bytes_of_a_program_do_harm(data: bytes) -> None:
    for pdu in (data, said("")[:8] + data, cleanpath.ASK_FOR_TLS[:6] + data):
        for read in (client_info.read, client_info.wants_tls):
            with contextlib.suppress(RemoteProtocolError):
                read(pdu)


@pytest.mark.parametrize("header", ["04000010", "03000004", "03000003", "0300ffff"])
def test_a_header_that_is_none(header: str) -> None:
    with pytest.raises(RemoteProtocolError, match="does not speak RDP"):
        client_info.length(bytes.fromhex(header))


def test_a_gates_answer_is_read_in_any_pieces() -> None:
    octets = bytes((4, len(CONFIRMED))) + CONFIRMED
    whole = answered((0, b"\x02\x02\x0d\x3e"), (6, octets), (9, b"\x0c\x01d"))
    for end in range(len(whole)):
        assert cleanpath.read_answer(whole[:end]) is None
    assert cleanpath.read_answer(whole + b"rest") == (CONFIRMED, b"rest")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answered((1, b"\x30\x0b\xa0\x03\x02\x01\x01\xa1\x04\x02\x02\x01\xf8")), "status 504"),
        (answered((0, b"\x02\x02\x0d\x3e")), "cannot be read"),
        (b"HTTP/1.1 400", "not answer as a gate"),
        (b"\x30\x84\xff\xff\xff\xff", "too long"),
    ],
)
def test_a_gate_that_says_no(answer: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        cleanpath.read_answer(answer)


@given(st.binary(max_size=100))
def test_no_bytes_of_a_gate_do_harm(data: bytes) -> None:
    for answer in (data, answered((6, data)), answered((1, data))):
        with contextlib.suppress(RemoteProtocolError):
            cleanpath.read_answer(answer)


def test_an_rdp_file_leads_there_and_has_no_password() -> None:
    text = rdp_file("127.0.0.1:4000")
    assert "full address:s:127.0.0.1:4000\r\n" in text
    assert "password" not in text.lower()
    assert "enablecredsspsupport:i:0\r\n" in text
