"""The migrations, run in order, make exactly the tables that the program uses."""

import ast
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

import porthole_control.migrations
from porthole_control.db import setup
from porthole_control.db.database import Database
from porthole_control.errors import Unavailable
from porthole_control.migrations.target import metadata
from tests.support.postgres import TestDatabase

VERSIONS = Path(porthole_control.migrations.__file__).parent / "versions"


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": False}
    )
    return list(compare_metadata(context, metadata))


def checks(connection: Connection) -> dict[str, set[tuple[str | None, str]]]:
    """Return the check constraints of all tables, which Alembic does not compare."""
    looked = inspect(connection)
    return {
        table: {(check["name"], check["sqltext"]) for check in looked.get_check_constraints(table)}
        for table in metadata.tables
    }


def conditions(connection: Connection) -> dict[str, str]:
    """Return how Postgres itself would write each index."""
    rows = connection.execute(
        text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    )
    return {row.indexname: row.indexdef for row in rows if not row.indexname.startswith("alembic")}


async def test_the_tables_are_those_of_the_program(test_database: TestDatabase):
    database = Database(lambda: test_database.conninfo)
    try:
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            migrated = await connection.run_sync(lambda c: (checks(c), conditions(c)))
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            await connection.run_sync(metadata.create_all)
            made = await connection.run_sync(lambda c: (checks(c), conditions(c)))
            assert migrated == made
            await connection.rollback()
    finally:
        await database.close()


async def test_migrating_again_changes_nothing_and_replicas_take_turns(
    test_database: TestDatabase,
):
    databases = [Database(lambda: test_database.conninfo) for _ in range(2)]
    try:
        for database in databases:
            await setup.migrate(database)
            async with database.reading() as unit:
                assert await setup.is_migrated(unit.connection)
        first, second = [await setup.instance_id(database) for database in databases]
        assert first == second
    finally:
        for database in databases:
            await database.close()


async def test_a_migration_does_not_wait_for_a_table_for_ever(test_database: TestDatabase):
    """Who waits for a lock on a table stops everybody who comes after."""
    database = Database(lambda: test_database.conninfo)
    try:
        with psycopg.connect(test_database.conninfo) as holder:
            holder.execute("UPDATE alembic_version SET version_num = '0000'")
            async with database.engine.connect() as connection:
                await connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
                with pytest.raises(Exception, match="lock timeout"):
                    await connection.execute(text("LOCK TABLE alembic_version"))
            holder.rollback()
    finally:
        await database.close()
    source = Path(setup.__file__).read_text(encoding="utf-8")
    assert "SET LOCAL lock_timeout = '5s'" in source


def test_revisions_follow_one_another():
    """One line of revisions, each named by its number."""
    before = None
    for number, file in enumerate(sorted(VERSIONS.glob("0*.py")), start=1):
        values = {
            node.targets[0].id: node.value.value
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        assert values["revision"] == f"{number:04}"
        assert values["down_revision"] == before
        before = values["revision"]
    assert setup.newest_revision() == before


async def test_tables_of_a_newer_program_are_left_alone(test_database: TestDatabase):
    """After a step back to an older release: it works, and takes nothing away."""
    database = Database(lambda: test_database.conninfo)
    try:
        async with database.unit() as unit:
            await unit.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await setup.migrate(database)
        await setup.wait_until_migrated(database, patience=5)
        async with database.reading() as unit:
            assert await setup.is_migrated(unit.connection)
    finally:
        await database.close()


async def test_whoever_does_not_migrate_waits_for_who_does(test_database: TestDatabase):
    database = Database(lambda: test_database.conninfo)
    try:
        async with database.unit() as unit:
            await unit.connection.execute(text("DELETE FROM alembic_version"))
        with pytest.raises(Unavailable, match="nobody has brought it up to date"):
            await setup.wait_until_migrated(database, patience=0.5)
    finally:
        await database.close()


async def test_a_database_that_does_not_answer_is_told_with_the_reason(tmp_path: Path):
    """The socket's path is too long, and no waiting would change that."""
    database = Database(lambda: f"host={tmp_path / ('long' * 30)} dbname=porthole user=porthole")
    try:
        with pytest.raises(Unavailable, match=r"too long.*PORTHOLE_DATABASE_URL"):
            await setup.wait_and_migrate(database, patience=0.5)
    finally:
        await database.close()
