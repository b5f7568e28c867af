"""Bringing a database up to date, and telling whether it is.

Replicas that start together take an advisory lock in turn; the first one migrates.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from porthole_control.db.database import Database
from porthole_control.db.ids import new_id
from porthole_control.db.tables import instance
from porthole_control.errors import Unavailable

_LOCK = 0x506F7274686F6C65  # "Porthole"


def alembic_config() -> Config:
    """Return where the migrations are, as Alembic wants it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    return config


@cache
def newest_revision() -> str:
    """Return the revision that this program's tables are of."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


async def migrate(database: Database) -> None:
    """Bring the tables up to date; waits for others that do the same.

    Tables of a newer program are left alone: they serve an older one, too.
    """

    def upgrade(connection: Connection) -> None:
        config = alembic_config()
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in _known():
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        # Who waits for a table that somebody reads would stop all who come after.
        await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.run_sync(upgrade)
        await connection.commit()


async def wait_and_migrate(database: Database, *, patience: float) -> None:
    """Wait up to `patience` seconds for the database, then bring it up to date.

    Raises:
        Unavailable: it did not answer, and why.
    """
    await _until_fine(database.trouble, patience)
    await migrate(database)


async def wait_until_migrated(database: Database, *, patience: float) -> None:
    """Wait up to `patience` seconds for somebody else to have brought it up to date.

    Raises:
        Unavailable: nobody has, or it did not answer, and why.
    """

    async def trouble() -> str | None:
        if (said := await database.trouble()) is not None:
            return said
        async with database.reading() as unit:
            if await is_migrated(unit.connection):
                return None
        return f"nobody has brought it up to date ({newest_revision()})"

    await _until_fine(trouble, patience)


async def _until_fine(trouble: Callable[[], Awaitable[str | None]], patience: float) -> None:
    """Ask again and again, up to `patience` seconds, until nothing is in the way."""
    said: str | None = None
    try:
        async with asyncio.timeout(patience):
            while (said := await trouble()) is not None:  # noqa: ASYNC110 - nobody to tell us
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(
            f"The database has not served for {patience:.0f} s: {said or 'it does not answer'}."
            " Is it started, and is PORTHOLE_DATABASE_URL right?"
        ) from None


async def is_migrated(connection: AsyncConnection) -> bool:
    """Return whether the tables are those of this program, or of a newer one."""
    try:
        found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError:
        return False
    return found == newest_revision() or (found is not None and found not in _known())


@cache
def _known() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(alembic_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


async def instance_id(database: Database) -> UUID:
    """Return which installation this database is of; decided by the first who asks."""
    async with database.unit() as unit:
        await unit.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found: UUID | None = await unit.connection.scalar(select(instance.c.id))
        if found is None:
            found = new_id()
            await unit.connection.execute(postgresql.insert(instance).values(id=found))
        return found
