"""Rows as dataclasses: the columns are selected in the order of the fields."""

from typing import Any

from sqlalchemy import ColumnElement, Row, Table

AnyRow = Row[*tuple[Any, ...]]
"""A row whose columns are known by name only."""


def columns_of(
    kind: type, table: Table, **others: ColumnElement[Any]
) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that make a `kind` by position, which is what makes lists cheap.

    Args:
        kind: a dataclass; its fields are named like the table's columns.
        table: where they come from.
        others: fields that come from elsewhere.
    """
    names: tuple[str, ...] = tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    return tuple(others[name] if name in others else table.c[name] for name in names)
