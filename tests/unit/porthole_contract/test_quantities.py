"""Durations and amounts, there and back."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from porthole_contract.quantities import (
    Duration,
    Quantity,
    format_bytes,
    format_cores,
    format_duration,
    parse_duration,
    parse_quantity,
)

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
QUANTITY: TypeAdapter[str] = TypeAdapter(Quantity)
TEN_YEARS = timedelta(days=3660)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("30s", 30),
        ("15m", 900),
        ("90m", 5400),
        ("1h30m", 5400),
        ("8h0m1.5s", 28801.5),
        ("0.000001s", 0.000001),
        (" 5m ", 300),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "s",
        "5d",
        "1m1h",
        "-5s",
        "+5s",
        "5 m",
        "1e3s",
        "5ms",
        "PT1H",
        "1h1h",
        "٣h",
        "99999999h",
        "9" * 33 + "s",
        "5s\x00",
        "NaNs",
        "1.s",
        ".5s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_duration(text)
    with pytest.raises(ValidationError):
        DURATION.validate_python(text)


@given(st.timedeltas(timedelta(0), TEN_YEARS))
def test_a_duration_survives_being_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value
    assert DURATION.validate_json(DURATION.dump_json(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (5400, "1h30m"), (30600.25, "8h30m0.25s")],
)
def test_a_duration_is_written_as_short_as_it_goes(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("value", [timedelta(seconds=-1), TEN_YEARS + timedelta(seconds=1)])
def test_a_duration_is_not_negative_and_not_endless(value: timedelta) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400", "[]", "{}", "null", "true"])
def test_json_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_json(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("7Ei", "8070450532247928832"),
    ],
)
def test_an_amount_is_read_as_kubernetes_writes_it(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 Gi",
        "1GB",
        "1gi",
        "-1",
        "+1",
        "1e3",
        "0x10",
        "Gi",
        "1iM",
        "٣Gi",
        "1Gi\n",
        "NaN",
        "8Ei",
        "9" * 16,
        "1.0000000001",
        "1,5",
        "1\x00",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_quantity(text)


@given(
    st.decimals(0, 1000, places=3),
    st.sampled_from(["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]),
)
def test_an_amount_is_kept_as_written(number: Decimal, unit: str) -> None:
    text = f"{number}{unit}"
    assert QUANTITY.validate_json(QUANTITY.dump_json(QUANTITY.validate_python(text))) == text


def test_a_number_is_an_amount_and_spaces_around_it_are_not() -> None:
    assert QUANTITY.validate_python(2) == "2"
    assert QUANTITY.validate_python(1.5) == "1.5"
    assert QUANTITY.validate_python(" 1Gi ") == "1Gi"


@pytest.mark.parametrize("value", [True, None, [], {}, float("nan"), float("inf"), 1e300, -1])
def test_what_is_neither_text_nor_a_sound_number_is_no_amount(value: object) -> None:
    with pytest.raises(ValidationError):
        QUANTITY.validate_python(value)


def test_amounts_are_written_as_people_write_them():
    numbers = (2**41, 2**31, 2**29, 1024, 1000, 0)
    assert [format_bytes(n) for n in numbers] == ["2Ti", "2Gi", "512Mi", "1Ki", "1000", "0"]
    assert [format_cores(n) for n in (2, 0.25, 1.5)] == ["2", "250m", "1500m"]
