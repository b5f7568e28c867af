"""Golden bytes, any chunking, and every way in which a preface can be wrong."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import LocalProtocolError, RemoteProtocolError, TooOld
from porthole_contract.stream import preface
from porthole_contract.stream.preface import Admitted, Decoder, Denied, Fault, Request

GOLDEN = Path(__file__).parents[2] / "compat" / "stream"
MESSAGES: dict[str, Request | Admitted | Denied] = {
    "preface-request": Request(
        stream=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        channel="vnc",
        protocol="rfb",
        mode="control",
        grant="header.claims.signature",
    ),
    "preface-request-1.1": Request(
        stream=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        channel="vnc",
        protocol="rfb",
        mode="control",
        grant="header.claims.signature",
        replaces=UUID("01890a5d-ac96-774b-bcce-b302099a8056"),
    ),
    "preface-admitted": Admitted(),
    "preface-admitted-1.1": Admitted(),
    "preface-denied": Denied(error=Fault(code="grant_used", message="The grant has been used.")),
    "preface-denied-1.1": Denied(
        error=Fault(code="grant_used", message="The grant has been used.")
    ),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.bin").read_bytes()


@pytest.mark.parametrize("name", [name for name in MESSAGES if name.endswith("-1.1")])
def test_the_bytes_are_those_that_were_promised(name: str) -> None:
    assert preface.encode(MESSAGES[name]) == golden(name)


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_bytes_are_read_as_what_they_were(name: str) -> None:
    value, rest = read(golden(name))
    understood = preface.read_request if "request" in name else preface.read_answer
    assert (understood(value), rest) == (MESSAGES[name], b"")


def test_who_knows_only_the_first_minor_hears_all_that_it_knows() -> None:
    older, newer = (read(golden(f"preface-request{minor}"))[0] for minor in ("", "-1.1"))
    assert older.items() <= newer.items()


def read(data: bytes) -> tuple[dict[str, object], bytes]:
    whole = Decoder().feed(data)
    assert whole is not None
    return whole


def frame(text: bytes, *, magic: bytes = b"PORTHOLE", major: int = 1, minor: int = 0) -> bytes:
    return magic + bytes((major, minor)) + len(text).to_bytes(2, "big") + text


@given(st.lists(st.integers(1, 7)), st.binary(max_size=50))
def test_any_chunking_gives_the_same_and_keeps_what_follows(sizes: list[int], after: bytes) -> None:
    data = preface.encode(MESSAGES["preface-request"]) + after
    decoder, at, found = Decoder(), 0, None
    for size in [*sizes, len(data)]:
        part, at = data[at : at + size], at + size
        found = decoder.feed(part)
        if found is not None:
            break
    assert found is not None
    value, rest = found
    assert preface.read_request(value) == MESSAGES["preface-request"]
    assert rest + data[at:] == after


def test_a_newer_minor_version_with_unknown_fields_is_understood() -> None:
    text = json.dumps({"ok": True, "colour": "blue"}).encode()
    value, _ = read(frame(text, minor=7))
    assert preface.read_answer(value) == Admitted()


def test_another_major_version_is_refused_in_words() -> None:
    with pytest.raises(TooOld, match="version 2"):
        Decoder().feed(frame(b"{}", major=2))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"RFB 003.008\n",
        b"P0",
        frame(b""),
        frame(b"x" * (preface.LARGEST + 1)),
        frame(b"[]"),
        frame(b"nonsense"),
        frame(b"\xff\xff"),
        frame(b"[" * 8000),
    ],
)
def test_what_is_no_preface_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Decoder().feed(data)


def test_the_first_wrong_byte_is_enough() -> None:
    decoder = Decoder()
    assert decoder.feed(b"PORT") is None
    with pytest.raises(RemoteProtocolError, match="does not begin"):
        decoder.feed(b"S")


def test_a_length_that_cannot_be_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(RemoteProtocolError, match="not between"):
        Decoder().feed(b"PORTHOLE\x01\x00\xff\xff")


def test_a_grant_is_never_repeated_in_an_error_or_a_representation() -> None:
    secret = "very-secret-grant"
    value = {"stream": "no uuid", "channel": "vnc", "protocol": "rfb", "mode": "x", "grant": secret}
    with pytest.raises(RemoteProtocolError, match="stream") as caught:
        preface.read_request(value)
    assert secret not in str(caught.value)
    good = MESSAGES["preface-request"]
    assert "header.claims.signature" not in repr(good)


def test_we_do_not_say_too_much_ourselves() -> None:
    too_much = Fault.model_construct(code="x", message="y" * (preface.LARGEST + 1))
    with pytest.raises(LocalProtocolError):
        preface.encode(Denied(error=too_much))


@given(st.binary(max_size=200))
def test_rubbish_only_ever_raises_the_typed_error(data: bytes) -> None:
    try:
        Decoder().feed(data)
        Decoder().feed(frame(data))
    except RemoteProtocolError:
        pass
