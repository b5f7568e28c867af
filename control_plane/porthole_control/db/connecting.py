"""Opening a connection to Postgres, whole or not at all."""

import asyncio
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo


async def connect(conninfo: str, *, name: str, **options: Any) -> psycopg.AsyncConnection[Any]:
    """Return a connection, within 5 seconds.

    Who is cancelled meanwhile waits for it and closes it: a login that is cut short would
    keep a process of the server waiting for the rest, and with it whoever has to do
    something to the whole database.

    Args:
        conninfo: libpq's connection string.
        name: what it is for, as the database shows it.
        options: for psycopg.

    Raises:
        psycopg.OperationalError: there is none to be had.
    """
    whole = make_conninfo(conninfo, connect_timeout=5, application_name=name)
    opening = asyncio.ensure_future(psycopg.AsyncConnection.connect(whole, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opened = (await asyncio.gather(opening, return_exceptions=True))[0]
        if isinstance(opened, psycopg.AsyncConnection):
            await opened.close()
        raise
