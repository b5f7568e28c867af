"""Rows of an older release are what the newer one takes them for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from alembic import command
from sqlalchemy import Connection, Insert, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.agents.tables import agents
from porthole_control.db import setup
from porthole_control.db.database import Database
from porthole_control.events.tables import session_events
from porthole_control.homes.tables import homes
from porthole_control.people.tables import users
from porthole_control.rdp_servers.tables import rdp_servers
from porthole_control.sessions.tables import sessions
from porthole_control.streams.tables import streams
from tests.support.postgres import TestDatabase

_AGENT, _HOME, _SESSION, _USER = (uuid4() for _ in range(4))


@asynccontextmanager
async def brought_up_from(
    test_database: TestDatabase, revision: str, *rows: Insert
) -> AsyncIterator[AsyncConnection]:
    """Have a database that had these rows when its tables were of `revision`."""
    config = setup.alembic_config()

    def downgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    database = Database(lambda: test_database.conninfo)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(downgrade)
            for each in (*_AROUND, *rows):
                await connection.execute(each)
        await setup.migrate(database)
        async with database.engine.connect() as connection:
            yield connection
    finally:
        await database.close()


_AROUND = (
    insert(users).values(id=_USER, name="ada"),
    insert(agents).values(id=_AGENT, name="box", public_key=b"", enrolled_by=_USER),
    insert(homes).values(id=_HOME, owner="ada", name="office"),
    insert(sessions).values(
        id=_SESSION,
        name="one",
        owner="ada",
        origin="api",
        template="rdp",
        spec={},
        desired="Running",
        order_no=1,
        phase="Pending",
        home_id=_HOME,
    ),
)


async def test_0007_what_was_told_twice_counts_once(test_database: TestDatabase):
    events = (("Told", "first"), ("Told", "again"), ("Created", "ours"))
    said = {"session_id": _SESSION, "owner": "ada", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    rows = [
        insert(session_events).values(kind=kind, message=message, reason="Drawn", **said)
        for kind, message in events
    ]
    async with brought_up_from(test_database, "0006", *rows) as connection:
        found = await connection.execute(
            text("SELECT message FROM session_events WHERE told_at = at ORDER BY id")
        )
        assert list(found.scalars()) == ["first"]


async def test_0008_an_rdp_server_that_was_started_has_its_home(test_database: TestDatabase):
    theirs = {"owner": "ada", "agent_id": _AGENT, "configuration": {}, "resources": {}}
    rows = [
        insert(rdp_servers).values(
            id=uuid4(), name=name, home=name, port=port, session_id=session, **theirs
        )
        for name, port, session in (("started", 33890, _SESSION), ("new", 33891, None))
    ]
    async with brought_up_from(test_database, "0007", *rows) as connection:
        found = await connection.execute(text("SELECT name, home_id FROM rdp_servers"))
        assert {one.name: one.home_id for one in found} == {"started": _HOME, "new": None}


async def test_0011_a_stream_that_was_there_replaces_none(test_database: TestDatabase):
    stream = insert(streams).values(
        id=uuid4(),
        session_id=_SESSION,
        owner="ada",
        user_id=_USER,
        channel="vnc",
        mode="control",
        state="closed",
    )
    async with brought_up_from(test_database, "0010", stream) as connection:
        found = await connection.execute(text("SELECT replaces FROM streams"))
        assert list(found.scalars()) == [None]
