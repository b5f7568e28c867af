"""What `python -m porthole_control.backup` saves can be loaded again, whole or not at all."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from porthole_control.db import layout
from porthole_control.db.database import Database
from tests.support.postgres import Embedded, a_server, application_database
from tests.support.scripted_agent import ScriptedAgent
from tests.support.served import Served, served


@pytest.fixture
async def server() -> AsyncIterator[Embedded]:
    async with a_server() as server:
        yield server


async def backup(
    server: Embedded, what: str, saved: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run the program."""
    command = [sys.executable, "-m", "porthole_control.backup", what, "--home", str(server.home)]
    return await asyncio.to_thread(
        subprocess.run, command, input=saved, capture_output=True, check=False
    )


async def add(at: Served, token: str) -> None:
    """Make a token."""
    answer = await at.control_plane.admin.post("/api/v1/tokens", json={"name": token})
    answer.raise_for_status()


async def names(server: Embedded) -> set[str]:
    """Return which of the test's tokens stand in the database."""
    query = "SELECT name FROM tokens WHERE name IN ('before', 'after')"
    return {name for (name,) in await rows(server, query)}


async def rows(server: Embedded, query: str) -> list[tuple[str, ...]]:
    """Return what a query finds."""
    opened = Database(lambda: layout.conninfo(server.home))
    try:
        async with opened.reading() as unit:
            return [tuple(row) for row in await unit.connection.execute(text(query))]
    finally:
        await opened.close()


async def test_what_was_saved_is_there_again_and_agents_tell_first(
    server: Embedded, tmp_path: Path
) -> None:
    async with served(application_database(server), tmp_path / "home") as one:
        await ScriptedAgent.enrol(one.control_plane, "first")
        await add(one, "before")
        saved = await backup(server, "save")
        await add(one, "after")
        refused = await backup(server, "load", saved.stdout)
    assert (saved.returncode, saved.stderr) == (0, b"")
    assert (refused.returncode, b"End it first" in refused.stderr) == (1, True)
    assert await names(server) == {"before", "after"}
    loaded = await backup(server, "load", saved.stdout)
    assert (loaded.returncode, loaded.stderr) == (0, b"")
    assert await names(server) == {"before"}
    unheard = await rows(server, "SELECT name FROM agents WHERE unheard_since IS NOT NULL")
    assert unheard == [("first",)]


async def test_a_backup_that_was_cut_off_changes_nothing(server: Embedded, tmp_path: Path) -> None:
    async with served(application_database(server), tmp_path / "home") as one:
        saved = await backup(server, "save")
        await add(one, "after")
    for part in (saved.stdout[: len(saved.stdout) // 2], saved.stdout[:-200], b""):
        loaded = await backup(server, "load", part)
        assert (loaded.returncode, b"nothing has changed" in loaded.stderr) == (1, True)
    assert await names(server) == {"after"}
    assert (await backup(server, "load", b"SELECT nonsense;\n" + saved.stdout)).returncode == 1
    assert await names(server) == {"after"}
