"""The base of everything that travels: frozen, closed, camelCase outside.

Kubernetes' objects and our wire say `podName`; Python says `pod_name`. Both spellings are
accepted from outside, only the first is written. A field nobody knows is refused, except
in a message from a peer (`Message`), which may be newer than we are.

The text under a field is what people read about it: in the API's description, and in
`kubectl explain`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

LONGEST_SENTENCE = 2000
"""Characters."""
NO_NUL = r"^[^\x00]*$"
"""The pattern of a text that a database and a C program can hold."""
_YEARS = range(1970, 9999)  # far from where changing the zone would overflow


class Frozen(BaseModel):
    """A value that is part of an object people write: unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: camelCase keys, unset and None fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=False)

    def evolve(self, **changes: Any) -> Self:
        """Return a validated copy with `changes` applied (names as in Python)."""
        return type(self).model_validate({**dict(self), **changes})


class Message(Frozen):
    """A value that a peer sends: unknown fields are ignored, the peer may be newer."""

    model_config = ConfigDict(extra="ignore")


def _readable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= LONGEST_SENTENCE else text[: LONGEST_SENTENCE - 1] + "…"


def _in_utc(value: datetime) -> datetime:
    if value.year not in _YEARS:
        raise ValueError(f"must be between the years {_YEARS.start} and {_YEARS.stop - 1}")
    return value.astimezone(UTC)


Code = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
"""A word for programs: a reason, a code."""

Sentence = Annotated[str, BeforeValidator(_readable)]
"""What a person reads: whatever else it is, it is cut and cleaned rather than refused, for
nothing may fail because the words about it are too long."""

Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment; JSON has it with its zone, Python in UTC."""


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch (RFC 7396) to a JSON object; None removes a key."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            inner = merged.get(key)
            merged[key] = merge_patch(inner if isinstance(inner, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
