"""What all tables share: one MetaData with names for constraints, and types of columns.

Constraints are named by rule, so that a migration and a table made from `metadata` are the
same and an error of the database can be told from another by its name.
"""

from typing import Any

from sqlalchemy import BigInteger, DateTime, MetaData, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Moment = DateTime(timezone=True)
"""A point in time; Postgres keeps microseconds, Python gets aware datetimes."""

Json = JSONB(none_as_null=True)
"""JSON; Python's None is SQL's NULL, never the JSON value `null`."""

Id = Uuid(as_uuid=True)
Number = BigInteger()

NOW = text("now()")
EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_LIST = text("'[]'::jsonb")


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id, which never wraps around; psycopg hands it over as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in SQL."""
        return "xid8"

    def bind_processor(self, _dialect: Any) -> Any:
        """Return what makes SQL of a Python value."""
        return lambda value: None if value is None else str(value)

    def result_processor(self, _dialect: Any, _coltype: Any) -> Any:
        """Return what makes a Python value of SQL."""
        return lambda value: None if value is None else int(value)


ischema_names["xid8"] = Xid8  # so that a look at the database's own tables knows it
