"""Durations and amounts as Kubernetes writes them: `1h30m`, `500m`, `2Gi`."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", re.ASCII)
# For schemas, whose dialects know neither \d for ASCII alone nor looking ahead. What they
# let pass is accepted; we accept a little more (leading zeros, 20000h).
_SECONDS = r"[0-9]{1,8}(\.[0-9]{1,3})?s"
_MINUTES = rf"[0-9]{{1,6}}m({_SECONDS})?"
_SHORT = r"([0-5]?[0-9]m)?([0-5]?[0-9](\.[0-9]{1,3})?s)?"
_DURATION_SCHEMA = (
    rf"^([0-9]{{1,4}}h({_MINUTES}|{_SECONDS})?|([1-7][0-9]|8[0-6])[0-9]{{3}}h{_SHORT}"
    rf"|{_MINUTES}|{_SECONDS})$"
)
_PART = r"(\.[0-9]{1,9})?"
_QUANTITY_SCHEMA = (
    rf"^(([1-9][0-9]{{0,14}}{_PART}|0\.[0-9]{{0,8}}[1-9])(m|k|Ki)?"
    rf"|[1-9][0-9]{{0,11}}{_PART}Mi?|[1-9][0-9]{{0,8}}{_PART}Gi?"
    rf"|[1-9][0-9]{{0,5}}{_PART}Ti?|[1-9][0-9]{{0,2}}{_PART}Pi?|[1-7]Ei?)$"
)
_SCALE: dict[str | None, Decimal] = {
    None: Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}
_LEAST_NUMBER = 0.001
_MOST_NUMBER = 10**12
_LONGEST = timedelta(days=3660)
_LONGEST_TEXT = 32
_MOST = 2**63 - 1  # what Kubernetes and Postgres can hold


def parse_duration(text: str) -> timedelta:
    """Return the length of a Go duration in hours, minutes and seconds, e.g. `1h30m`.

    It is exact to the microsecond.

    Raises:
        ValueError: it is not one, or longer than ten years.
    """
    match = _DURATION.fullmatch(text.strip()) if len(text) <= _LONGEST_TEXT else None
    if match is None or not any(match.groups()):
        raise ValueError("must be a duration such as 30s, 15m or 8h30m")
    hours, minutes, seconds = (Decimal(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total > Decimal(_LONGEST.total_seconds()):
        raise ValueError("must not be longer than ten years")
    return timedelta(microseconds=int(total * 1_000_000))


def format_duration(value: timedelta) -> str:
    """Return the shortest Go duration of `value`, e.g. `8h30m`; zero is `0s`."""
    whole, micros = divmod(value // timedelta(microseconds=1), 1_000_000)
    hours, rest = divmod(whole, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if seconds or fraction or not any(parts):
        parts.append(f"{seconds}{fraction}s")
    return "".join(parts)


def parse_quantity(text: str) -> Decimal:
    """Return the amount in its base unit (cores, bytes) of a Kubernetes quantity.

    Raises:
        ValueError: it is not one, or more than 2^63 - 1.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError("must be a quantity such as 500m, 2 or 1Gi")
    amount = Decimal(match[1]) * _SCALE[match[2]]
    if amount > _MOST:
        raise ValueError("must not be more than 2^63 - 1")
    return amount


def _duration(value: Any) -> Any:
    # A number of seconds would pass as well; a length without a unit is refused in words.
    return value if isinstance(value, timedelta) else parse_duration(str(value))


def _not_negative(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= _LONGEST:
        raise ValueError("must be between nothing and ten years")
    return value


def _plain(number: float) -> str:
    """Return a number as digits with at most nine decimals.

    Raises:
        ValueError: it is not one that is exact enough in those.
    """
    if isinstance(number, int) and number >= 1:
        return str(number)  # exact, however large
    if not _LEAST_NUMBER <= number <= _MOST_NUMBER:
        raise ValueError("must be a text such as 500m or 2Gi when it is that small or that large")
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _quantity(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = _plain(value)
    if isinstance(value, str):
        value = value.strip()
        parse_quantity(value)
    return value


def format_bytes(number: float) -> str:
    """Return bytes as people write them: `2Gi`, `512Mi`, `1000`."""
    whole = int(number)
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if whole and whole % 1024**power == 0:
            return f"{whole // 1024**power}{unit}"
    return str(whole)


def format_cores(number: float) -> str:
    """Return cores as people write them: `2`, `250m`."""
    thousandths = round(number * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_not_negative),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": _LONGEST_TEXT, "pattern": _DURATION_SCHEMA}),
]
"""A length of time; JSON has it as a Go duration."""

Quantity = Annotated[
    str,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": _LONGEST_TEXT, "pattern": _QUANTITY_SCHEMA},
                {"type": "number", "minimum": _LEAST_NUMBER, "maximum": _MOST_NUMBER},
            ]
        }
    ),
]
"""An amount as Kubernetes writes it, kept as written; `parse_quantity` gives the number."""
