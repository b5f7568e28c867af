"""A sealed text opens for one key, about one thing, unchanged; otherwise it does not."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import Invalid
from porthole_contract.stream.sealed import KEY, public_half, seal, unseal

READER = bytes(range(KEY))
SEALED = seal("the grant", public_half(READER), about="ticket 1", randomness=b"r" * KEY)


@given(text=st.text(st.characters(codec="utf-8")), randomness=st.binary(min_size=KEY, max_size=KEY))
def test_what_was_sealed_can_be_read_with_the_key(text: str, randomness: bytes) -> None:
    sealed = seal(text, public_half(READER), about="x", randomness=randomness)
    assert unseal(sealed, READER, about="x") == text
    assert sealed.isascii()


def test_nobody_else_can_read_it() -> None:
    with pytest.raises(Invalid):
        unseal(SEALED, b"e" * KEY, about="ticket 1")


def test_it_opens_for_nothing_else() -> None:
    with pytest.raises(Invalid):
        unseal(SEALED, READER, about="ticket 2")


@pytest.mark.parametrize("place", [0, KEY - 1, KEY, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    raw = bytearray(base64.b64decode(SEALED))
    raw[place] ^= 1
    with pytest.raises(Invalid):
        unseal(base64.b64encode(raw).decode(), READER, about="ticket 1")


@pytest.mark.parametrize("sealed", ["", "AAAA", "not base64!", "A" * 44, "ü"])
def test_what_is_no_sealed_text_is_refused_in_words(sealed: str) -> None:
    with pytest.raises(Invalid, match="grant: "):
        unseal(sealed, READER, about="ticket 1")


@pytest.mark.parametrize(
    "reader",
    [
        "",
        "AAAA",
        "not base64!",
        base64.b64encode(bytes(KEY)).decode(),  # of small order: everybody could read it
        base64.b64encode(bytes(KEY + 1)).decode(),
    ],
)
def test_a_key_that_is_none_is_refused_in_words(reader: str) -> None:
    with pytest.raises(Invalid, match="public_key: "):
        seal("x", reader, about="x", randomness=b"r" * KEY)


def test_two_sealings_of_one_text_have_nothing_in_common() -> None:
    again = seal("the grant", public_half(READER), about="ticket 1", randomness=b"s" * KEY)
    assert again[:43] != SEALED[:43]
    assert again[-16:] != SEALED[-16:]


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(Invalid, match="randomness"):
        seal("x", public_half(READER), about="x", randomness=b"r")
