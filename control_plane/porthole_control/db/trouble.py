"""Which failures are the database's trouble, which passes, and nobody's mistake."""

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree


def is_passing(error: BaseException) -> bool:
    """Return whether the same can be tried again later.

    A database that may only be read is one that is being changed over: whoever looks after it
    has set it so, or a standby has not taken its place yet.
    """
    if isinstance(error, DBAPIError):
        return (
            error.connection_invalidated
            or isinstance(error, OperationalError | InterfaceError)
            or isinstance(error.orig, ReadOnlySqlTransaction)
        )
    return isinstance(error, NoConnectionFree | OSError | TimeoutError)
