"""Where Postgres is, and opening a connection to it, whole or not at all."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from porthole_control.db import layout
from porthole_control.settings import Settings

# By itself TCP waits for a machine that is gone for a quarter of an hour, or two hours for an
# answer, and all connections with it.
_GONE_AFTER: Final = {
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def conninfo_of(settings: Settings) -> Callable[[], str]:
    """Return what returns libpq's connection string; asked for every new connection.

    So a password that was changed in its file is used from then on.
    """
    if settings.database_url is None:
        return lambda: layout.conninfo(settings.home)
    url, file = settings.database_url, settings.database_password_file

    def given() -> str:
        if file is None:
            return url
        return make_conninfo(url, password=file.read_text(encoding="utf-8").strip())

    return given


async def connect(conninfo: str, *, name: str, **options: Any) -> psycopg.AsyncConnection[Any]:
    """Return a connection, within 5 seconds; one to a machine that is gone ends within 11.

    Who is cancelled meanwhile waits for it and closes it: a login that is cut short would
    keep a process of the server waiting for the rest, and with it whoever has to do
    something to the whole database.

    Args:
        conninfo: libpq's connection string; what it says of waiting counts.
        name: what it is for, as the database shows it.
        options: for psycopg.

    Raises:
        psycopg.OperationalError: there is none to be had.
    """
    given: dict[str, Any] = {**_GONE_AFTER, **conninfo_to_dict(conninfo)}
    whole = make_conninfo(**{**given, "connect_timeout": 5, "application_name": name})
    opening = asyncio.ensure_future(psycopg.AsyncConnection.connect(whole, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opened = (await asyncio.gather(opening, return_exceptions=True))[0]
        if isinstance(opened, psycopg.AsyncConnection):
            await opened.close()
        raise
