"""Who understands whom, said in words when they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.errors import TooOld
from porthole_contract.link import version
from porthole_contract.link.version import CURRENT, Version, agree


@given(st.integers(0, 99999), st.integers(0, 99999))
def test_a_version_is_read_as_it_is_written(major: int, minor: int) -> None:
    assert Version.parse(str(Version(major, minor))) == Version(major, minor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "1.0.0",
        "v1.0",
        "01.0",
        "1.00",
        "-1.0",
        "1.0 ",
        "1.0\n",
        "\u0661.\u0660",
        "100000.0",
        "1." + "9" * 5000,
        "1,0",
        "None",
        "\x00",
    ],
)
def test_rubbish_is_no_version(text: str) -> None:
    with pytest.raises(TooOld) as caught:
        Version.parse(text)
    assert len(str(caught.value)) < 200


def test_versions_are_ordered_as_numbers() -> None:
    assert Version(1, 10) > Version(1, 9)
    assert Version(2, 0) > Version(1, 99999)


def test_the_smaller_minor_is_spoken() -> None:
    assert agree(str(CURRENT)) == CURRENT
    assert agree(f"{CURRENT.major}.{CURRENT.minor + 7}") == CURRENT


def test_an_older_minor_is_still_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "CURRENT", Version(1, 5))
    assert agree("1.2") == Version(1, 2)


@pytest.mark.parametrize(
    ("theirs", "older"),
    [(f"{CURRENT.major + 1}.0", "this program"), (f"{CURRENT.major - 1}.9", "the peer")],
)
def test_another_major_says_who_is_to_be_upgraded(theirs: str, older: str) -> None:
    with pytest.raises(TooOld, match=f"{older} must be upgraded") as caught:
        agree(theirs)
    assert caught.value.code == "too_old"


def test_the_diary_ends_with_the_version_that_is_spoken() -> None:
    assert version.__doc__ is not None
    lines = version.__doc__.partition("Diary:")[2].strip().splitlines()
    entries = [line.split()[0] for line in lines if line.split()[0][0].isdigit()]
    assert entries[-1] == str(CURRENT)
    assert [Version.parse(entry) for entry in entries] == sorted(map(Version.parse, entries))
