"""`python -m porthole_control.backup save|load --home DIR`: what the embedded PostgreSQL holds.

`save` writes it to standard output, as SQL, while everything goes on. `load` reads that from
standard input and puts it in the place of what is there, all of it or nothing; no control plane
may run meanwhile. Exit codes: 0 it is done, 1 it is not, and a sentence says why.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from porthole_contract.errors import PortholeError
from porthole_control.agents.repository import MAY_KNOW_MORE
from porthole_control.db import layout
from porthole_control.db.server import binaries

_PIECE: Final = 64 * 1024
_COMPLETE: Final = b"\n-- PostgreSQL database dump complete\n"
_USERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'porthole%'
"""
_BEFORE: Final = b"""
    SET client_min_messages = warning;
    BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;
"""
_AFTER: Final = f"\nSET search_path = public; {MAY_KNOW_MORE}; COMMIT;\n".encode()


class Failed(PortholeError):
    """It was not done; the sentence says why."""

    code = "backup_failed"


def main() -> int:
    """Save or load; return the exit status."""
    parser = argparse.ArgumentParser(prog="porthole_control.backup")
    parser.add_argument("what", choices=["save", "load"])
    parser.add_argument("--home", type=Path, required=True, help="where Porthole keeps its state")
    given = parser.parse_args()
    home = given.home.absolute()
    try:
        if given.what == "save":
            _save(home)
        else:
            _load(home, sys.stdin.buffer)
    except PortholeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except psycopg.OperationalError as error:
        sys.stderr.write(f"The database below {home} does not answer: {error}\n")
        return 1
    return 0


def _save(home: Path) -> None:
    saving = subprocess.run(  # noqa: S603 - our own arguments
        _program(home, "pg_dump", "--no-owner", "--no-privileges"),
        env=_environment(home),
        check=False,
    )
    if saving.returncode != 0:
        raise Failed("The backup is not complete.")


def _load(home: Path, saved: IO[bytes]) -> None:
    with psycopg.connect(layout.conninfo(home), autocommit=True) as connection:
        row = connection.execute(_USERS).fetchone()
    if row is None or row[0]:
        raise Failed("A control plane uses this database. End it first.")
    loading = subprocess.Popen(  # noqa: S603 - our own arguments
        _program(home, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
        env=_environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert loading.stdin is not None, "it is a pipe"
    complete = False
    try:
        with loading.stdin as into:
            into.write(_BEFORE)
            complete = _pass_on(saved, into)
            if complete:
                into.write(_AFTER)
    except BrokenPipeError:
        pass  # it says itself what it did not like
    if loading.wait() != 0 or not complete:
        raise Failed(
            "This was not loaded, and nothing has changed: "
            + ("PostgreSQL refused it." if complete else "it is no complete backup.")
        )


def _pass_on(saved: IO[bytes], into: IO[bytes]) -> bool:
    """Pass a backup on; return whether it was a complete one."""
    end = b""
    while piece := saved.read(_PIECE):
        into.write(piece)
        end = (end + piece)[-_PIECE:]
    return _COMPLETE in end


def _program(home: Path, name: str, *options: str) -> list[str]:
    """Return the call of one of PostgreSQL's programs; the password is no part of it."""
    known = conninfo_to_dict(layout.conninfo(home), password=None)
    # Of a long path we hold the directory open, which the program finds by our number.
    known["host"] = str(known["host"]).replace("/proc/self/", f"/proc/{os.getpid()}/")
    return [str(binaries() / name), *options, f"--dbname={make_conninfo('', **known)}"]


def _environment(home: Path) -> dict[str, str]:
    password = conninfo_to_dict(layout.conninfo(home))["password"]
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": str(password)}


if __name__ == "__main__":
    sys.exit(main())
