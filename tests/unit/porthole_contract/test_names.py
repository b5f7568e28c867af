"""Names keep their guarantees, whatever people call things."""

import string
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from porthole_contract.errors import Invalid
from porthole_contract.names import (
    LONGEST_SESSION_NAME,
    check_name,
    check_owner,
    home_object,
    revision_object,
    session_name,
    slug,
)
from porthole_contract.testing.builders import an_id

NASTY = [
    "",
    "-",
    "-a",
    "a-",
    "A",
    "a b",
    "a.b",
    "a_b",
    "a/b",
    "../../etc/passwd",
    "a\x00",
    "a\n",
    "\na",
    "a\r\nb",
    "é",
    "日本語",
    "a\u202eb",
    "\u2024",
    "😀",
    "\uff41",
    "a\ud800",
    "İ",
    "ß",
    "x" * 53,
    "'; DROP TABLE sessions; --",
    "$(reboot)",
    "`id`",
    "${HOME}",
    "%00",
    "<script>",
    "{{7*7}}",
    "null\t",
]

ALPHABET = string.ascii_lowercase + string.digits + "-"
ANY_TEXT = st.text(st.characters(codec=None))


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_name_names_no_object(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_name(name)
    assert caught.value.field == "name"
    assert caught.value.code == "invalid"


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a--b", "x" * 52, "desktop-0f", "con", "null"])
def test_a_plain_name_names_an_object(name: str) -> None:
    assert check_name(name) == name


def test_the_field_that_is_wrong_is_named() -> None:
    with pytest.raises(Invalid, match=r"^template\.name: must be at most 5 characters long$"):
        check_name("a" * 6, field="template.name", longest=5)


@pytest.mark.parametrize(
    "owner",
    [
        "ada",
        "ada@example.org",
        "system:serviceaccount:ns:name",
        "Ada-Lovelace",
        "andré",
        "x" * 253,
        "oidc:1|2",
        "ada\U0001fae9",  # younger than this Python's Unicode
        "ada\uf8ff",
    ],
)
def test_people_and_service_accounts_can_own(owner: str) -> None:
    assert check_owner(owner) == owner


@pytest.mark.parametrize(
    "owner",
    [
        "",
        " ",
        "a b",
        "a/b",
        "a\\b",
        "a\x00",
        "a\n",
        "a\x7f",
        "a\xa0b",
        "a\u2028b",
        "x" * 254,
        "a\u202eb",
        "a\u200bb",
        "a\ud800",
        "\x1b[31m",
    ],
)
def test_what_hides_or_splits_a_name_cannot_own(owner: str) -> None:
    with pytest.raises(Invalid):
        check_owner(owner)


@pytest.mark.parametrize("text", NASTY)
def test_a_slug_of_anything_names_an_object(text: str) -> None:
    assert check_name(slug(text)) == slug(text)


@given(ANY_TEXT, st.integers(10, LONGEST_SESSION_NAME))
@example("İ" * 60, 10)
@example("-" * 60, 10)
def test_a_slug_always_passes_the_check(text: str, longest: int) -> None:
    name = slug(text, longest=longest)
    assert check_name(name, longest=longest) == name


@given(st.text(ALPHABET, min_size=1, max_size=52))
def test_a_good_name_is_its_own_slug(text: str) -> None:
    try:
        check_name(text)
    except Invalid:
        return
    if not (len(text) > 8 and text[-9] == "-" and set(text[-8:]) <= set(string.hexdigits)):
        assert slug(text) == text


@given(st.sets(ANY_TEXT, min_size=2, max_size=30))
def test_different_texts_have_different_slugs(texts: set[str]) -> None:
    assert len({slug(text) for text in texts}) == len(texts)


@given(ANY_TEXT)
def test_nobody_can_choose_a_name_that_is_the_slug_of_another(text: str) -> None:
    name = slug(text)
    assert name == text or slug(name) != name


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Desktop", "desktop"),
        ("a b", "a-b"),
        ("é", "e"),
        ("e\u0301", "é"),
        ("", "-"),
        ("\uff41", "a"),
    ],
)
def test_texts_that_look_alike_have_different_slugs(one: str, two: str) -> None:
    assert slug(one) != slug(two)


def test_a_slug_still_says_what_it_stands_for() -> None:
    assert slug("Ada's Café Desktop").startswith("ada-s-cafe-desktop-")


@given(st.text(ALPHABET, min_size=1, max_size=52), st.integers(0, 2**64))
def test_a_session_without_a_name_gets_one(template: str, number: int) -> None:
    try:
        check_name(template)
    except Invalid:
        return
    name = session_name(template, an_id(number))
    assert check_name(name) == name
    assert name.endswith(an_id(number).hex[-6:])


def test_the_name_of_a_volume_does_not_tell_the_name_of_the_home() -> None:
    assert home_object(an_id(1)) == "home-" + an_id(1).hex
    assert check_name(home_object(an_id(1)))


def test_sessions_of_one_template_are_spread_among_its_objects() -> None:
    """An object that all of them own is written whole, all its owners, for each that begins."""
    held = Counter(revision_object("d" * 64, f"session-{number}") for number in range(2000))
    assert all(check_name(name) for name in held)
    assert len(held) == 256
    assert max(held.values()) < 25
    assert revision_object("d" * 64, "one") == revision_object("d" * 64, "one")
    assert revision_object("d" * 64, "one") != revision_object("e" * 64, "one")
