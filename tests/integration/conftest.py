"""What several integration tests need: a database, and a control plane on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from porthole_control.db import layout, setup
from porthole_control.db.database import Database
from tests.support.control_plane import ControlPlane, a_control_plane
from tests.support.postgres import TEMPLATE, Embedded, TestDatabase, copy_of


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A PostgreSQL server for all tests, with the migrated database `TEMPLATE`."""
    server = Embedded(tmp_path_factory.mktemp("postgres") / "home")
    try:
        server.start()
        with server.admin() as admin:
            # Nobody needs these data after a crash; the tests of crashes have servers of
            # their own.
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            admin.execute("SELECT pg_reload_conf()")
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(TEMPLATE), sql.Identifier(layout.ROLE)
                )
            )
        yield server
        server.stop()
    finally:
        server.close()


@pytest.fixture(scope="session")
def migrated(postgres: Embedded) -> str:
    """The name of a database that the migrations made."""

    async def migrate() -> None:
        database = Database(lambda: layout.conninfo(postgres.home, database=TEMPLATE))
        await setup.migrate(database)
        await database.close()

    asyncio.run(migrate())
    return TEMPLATE


@pytest.fixture
def test_database(postgres: Embedded, migrated: str) -> Iterator[TestDatabase]:
    """A migrated, empty database of this test's own."""
    with copy_of(postgres, migrated) as database:
        yield database


@pytest.fixture
async def database(test_database: TestDatabase) -> AsyncIterator[Database]:
    """Connections to this test's own database."""
    opened = Database(lambda: test_database.conninfo)
    yield opened
    await opened.close()


@pytest.fixture
async def control_plane(test_database: TestDatabase, tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """A running control plane, asked without a network."""
    async with a_control_plane(test_database, tmp_path / "home") as running:
        yield running
