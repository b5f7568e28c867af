"""A real PostgreSQL for tests: started once, a fresh database per test.

The migrations run once, into a template; each test gets a copy of it.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from porthole_control.db import layout
from porthole_control.db.layout import ROLE

TEMPLATE = "porthole_template"


class Embedded:
    """The embedded database's program, run on a home as `up` runs it.

    `options` are further ones of that program.
    """

    def __init__(self, home: Path, options: tuple[str, ...] = ()) -> None:
        self.home = home
        self.options = options
        self.output = b""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The program that looks after the server."""
        assert self._process is not None
        return self._process

    def start(self, *, patience: float = 60.0) -> float:
        """Start it and wait until it says that it is ready; return how long that took."""
        begun = time.monotonic()
        log = self.home.parent / f"{self.home.name}.log"
        with log.open("ab") as errors:
            program = [sys.executable, "-m", "porthole_control.db.embedded"]
            self._process = subprocess.Popen(
                [*program, "--home", str(self.home), *self.options],
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        while time.monotonic() < begun + patience:
            if (self._process.stdout.readline() or b"").startswith(b"ready"):
                return time.monotonic() - begun
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"PostgreSQL did not get ready:\n{log.read_text()[-3000:]}")

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.close()
        return status

    def close(self) -> None:
        """Kill it, if it runs still, and close its output."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            if self._process.stdout is not None:
                self._process.stdout.close()

    def admin(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """Return a connection as the superuser, in autocommit."""
        conninfo = layout.conninfo(self.home, admin=True, database=database)
        return psycopg.connect(conninfo, autocommit=True)


@dataclass(frozen=True)
class TestDatabase:
    """One database of one test."""

    __test__ = False

    name: str
    conninfo: str
    password_file: Path
    server: Embedded

    @property
    def url(self) -> str:
        """Its connection string without the password, as a setting has it."""
        host = self.server.home / "postgres" / "run"
        return make_conninfo("", host=str(host), dbname=self.name, user=ROLE)


@asynccontextmanager
async def a_server() -> AsyncIterator[Embedded]:
    """Run a server of a test's own, which it may end and start; its home has a short name."""
    with TemporaryDirectory(prefix="porthole-") as short:  # it holds a socket
        server = Embedded(Path(short) / "home")
        try:
            await asyncio.to_thread(server.start)
            yield server
            await asyncio.to_thread(server.stop)
        finally:
            server.close()


def application_database(server: Embedded) -> TestDatabase:
    """Return the one database of a server that control planes use."""
    password = layout.Layout(server.home).password
    return TestDatabase(ROLE, layout.conninfo(server.home), password, server)


@contextmanager
def copy_of(server: Embedded, template: str) -> Iterator[TestDatabase]:
    """Yield a database like `template`; it is dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    with server.admin() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(ROLE), sql.Identifier(template)
            )
        )
        try:
            conninfo = layout.conninfo(server.home, database=name)
            password = layout.Layout(server.home).password
            yield TestDatabase(name, conninfo, password, server)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
