"""Lists in pages. A cursor says after which item to go on; only we can read it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import from_json, to_json

from porthole_control.errors import NotFound

T = TypeVar("T")
Row = TypeVar("Row")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


LimitParam = Annotated[int, Query(ge=1, le=200, description="The most items of this page.")]
Cursor = Annotated[str, Field(max_length=512, pattern=r"^[A-Za-z0-9_-]*$")]
CursorParam = Annotated[
    Cursor | SkipJsonSchema[None], Query(description="`next` of the page before.")
]


def encode(*position: object) -> str:
    """Return the cursor of a position (strings, numbers, moments, UUIDs)."""
    return base64.urlsafe_b64encode(to_json(position)).decode().rstrip("=")


def decode(cursor: str | None, *kinds: type) -> tuple[object, ...] | None:
    """Return the position in a cursor whose parts are of `kinds`.

    Raises:
        NotFound: it is none of ours.
    """
    if not cursor:
        return None
    try:
        parts = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError  # noqa: TRY301 - one way out for all that it may not be
        return tuple(_parse(kind, part) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, binascii.Error, OverflowError):
        raise NotFound("page", cursor, code="cursor_unknown") from None


def decode_moment(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the position in a cursor of a list that is ordered by creation.

    Raises:
        NotFound: it is none of ours.
    """
    position = decode(cursor, datetime, UUID)
    if position is None:
        return None
    moment, identity = position
    assert isinstance(moment, datetime)
    assert isinstance(identity, UUID)
    return moment, identity


def _parse(kind: type, part: object) -> object:
    if kind is datetime and isinstance(part, str):
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if kind is UUID and isinstance(part, str):
        return UUID(part)
    if kind is int and isinstance(part, int) and abs(part) < 2**63:
        return part
    if kind is str and isinstance(part, str) and part.isprintable():
        return part
    raise ValueError


def page(
    rows: Sequence[Row], limit: int, position: Callable[[Row], tuple[object, ...]]
) -> tuple[Sequence[Row], str | None]:
    """Cut `rows` (one more than `limit` was asked for) into a page and its cursor."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], encode(*position(rows[limit - 1]))
