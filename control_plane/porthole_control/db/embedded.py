"""`python -m porthole_control.db.embedded --home DIR`: a PostgreSQL of our own.

Makes it if there is none, starts it, waits for it to recover if it was killed, sees to it
that our role and database are there, prints one line that begins with `ready`, and stays
until it is told to end (SIGTERM, SIGINT). It can be killed at any moment and started again.

With `--listen` it is also reached over TCP, with TLS (see `front.py`), by the role `porthole`
alone: what a small cluster needs that brings no database of its own.

Two locks below the home: `lock` says that a program like this one looks after the server;
`server.lock` is held by every process of the server, so that a new one never starts beside
the rest of an old one.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psycopg
from psycopg import sql

from porthole_control.db import front
from porthole_control.db import layout as places
from porthole_control.db.layout import DATABASE, PORT, ROLE, Layout
from porthole_control.db.server import CannotRun, Server, prepare
from porthole_control.files import write_new_secret, write_secret

_OLD_SERVER_PATIENCE = 30.0
_RECOVERY_PATIENCE = 600.0
_STOP_PATIENCE = 20.0


def main() -> int:
    """Run the embedded database of a home; return the exit status."""
    parser = argparse.ArgumentParser(prog="porthole_control.db.embedded")
    parser.add_argument("--home", type=Path, required=True, help="where Porthole keeps its state")
    parser.add_argument("--listen", metavar="ADDRESS", help="serve TCP there, with TLS")
    parser.add_argument("--certificate", type=Path, help="PEM file with the certificate for that")
    parser.add_argument("--key", type=Path, help="PEM file with its key")
    parser.add_argument("--password", type=Path, help="file with the password of its one role")
    given = parser.parse_args()
    if (given.listen is None) != (given.certificate is None or given.key is None):
        parser.error("--listen needs --certificate and --key, and they need it")
    layout = Layout(given.home.absolute())
    try:
        return _run(layout, given)
    except CannotRun as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(layout: Layout, given: argparse.Namespace) -> int:
    os.umask(0o077)
    layout.home.mkdir(parents=True, exist_ok=True)
    for directory in (layout.root, layout.sockets, layout.password.parent):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)
    ours = _take_lock(layout)
    lock = os.open(layout.root / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _end_old_server(layout, lock)
    _ensure_passwords(layout, given.password)
    server = _prepare(layout, lock)
    _clear_marks(layout)
    process = server.start(lock)
    _Ending(process)
    _wait_until_ready(layout, process)
    _ensure_role_and_database(layout)
    if given.listen is not None:
        _serve_tcp(layout, given)
    reached = "" if given.listen is None else f" and on {given.listen} port {PORT}"
    sys.stdout.write(f"ready: PostgreSQL listens below {layout.sockets}{reached}\n")
    sys.stdout.flush()
    status = process.wait()
    os.close(ours)
    return 0 if status == 0 else 1


def _take_lock(layout: Layout) -> int:
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        raise CannotRun(
            f"The database below {layout.home} is in use by process {pid}. End that first, or"
            " take another home."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _end_old_server(layout: Layout, lock: int) -> None:
    """Wait until no process of an earlier server is left, and hold the lock from then on.

    An earlier one ends by itself when whoever looked after it dies; one that does not is
    told to, and at last killed. It is known by its working directory, not by its pid alone.
    """
    steps = iter((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
    begun = time.monotonic()
    next_step = begun
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        now = time.monotonic()
        if now > begun + _OLD_SERVER_PATIENCE:
            raise CannotRun(f"An earlier PostgreSQL below {layout.root} does not end.")
        if now >= next_step and (pid := _old_server(layout)) is not None:
            os.kill(pid, next(steps, signal.SIGKILL))
            next_step = now + _OLD_SERVER_PATIENCE / 3
        time.sleep(0.05)


def _old_server(layout: Layout) -> int | None:
    try:
        pid = int((layout.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        where, data = Path(f"/proc/{pid}/cwd").stat(), layout.data.stat()
    except (OSError, ValueError):
        return None
    same = (where.st_dev, where.st_ino) == (data.st_dev, data.st_ino)
    return pid if same else None


def _clear_marks(layout: Layout) -> None:
    """Remove the marks of an earlier server.

    It certainly is gone: we hold its lock. They name its pid, which may be another's by now
    or a corpse that nobody has buried yet; PostgreSQL would take either for a living server.
    """
    (layout.data / "postmaster.pid").unlink(missing_ok=True)
    for mark in layout.sockets.glob(".s.PGSQL.*"):
        mark.unlink(missing_ok=True)


def _serve_tcp(layout: Layout, given: argparse.Namespace) -> None:
    try:
        front.serve(given.listen, given.certificate, given.key, layout.sockets)
    except OSError as error:  # of which TLS' own are
        raise CannotRun(f"{given.listen} cannot be served with TLS: {error}.") from error


def _ensure_passwords(layout: Layout, given: Path | None) -> None:
    if given is not None:
        write_secret(layout.password, given.read_bytes().strip())
    if not layout.admin_password.exists():
        if layout.data.exists():
            raise CannotRun(
                f"The password of the database's superuser is missing: {layout.admin_password}."
                " Put it back, or move the data away to begin anew."
            )
        write_new_secret(layout.admin_password)
    if not layout.password.exists():
        write_new_secret(layout.password)


def _prepare(layout: Layout, lock: int) -> Server:
    """Return how the server is run; its data is made now if there is none."""
    if layout.data.exists():
        # A cluster's volume may have been opened to a group; PostgreSQL would refuse it.
        layout.data.chmod(0o700)
        return prepare(layout, layout.data)
    fresh = layout.root / "data.new"
    if fresh.exists():
        shutil.rmtree(fresh)  # what a start that was killed had begun
    fresh.mkdir(mode=0o700)
    server = prepare(layout, fresh)
    password = layout.sockets / "password"
    write_secret(password, layout.admin_password.read_bytes())
    try:
        if server.uid is not None:
            os.chown(password, server.uid, server.uid)
        server.initdb(password.name, lock)
    finally:
        password.unlink()
    # One way in: our socket, with a password. initdb would also let TCP in.
    hba = "local all all scram-sha-256\n"
    (fresh / "pg_hba.conf").write_text(hba, encoding="ascii")
    fresh.rename(layout.data)
    if server.uid is None:
        return prepare(layout, layout.data)
    return server  # what it sees at its place is the directory itself, whatever it is called


class _Ending:
    """Hands signals on: the first one ends the server in good order, the second at once."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGALRM, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT if self._asked else signal.SIGINT)
        self._asked = True
        signal.alarm(int(_STOP_PATIENCE))


def _wait_until_ready(layout: Layout, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _RECOVERY_PATIENCE
    while process.poll() is None:
        try:
            psycopg.connect(places.conninfo(layout.home, admin=True, database="postgres")).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise CannotRun(
                    f"The database does not take the password in {layout.admin_password}."
                ) from error
            if time.monotonic() > until:
                raise CannotRun(f"PostgreSQL does not get ready: {error}") from error
            time.sleep(0.02)
        else:
            return
    raise CannotRun(f"PostgreSQL ended while it started, with status {process.returncode}.")


def _ensure_role_and_database(layout: Layout) -> None:
    password = layout.password.read_bytes().strip()
    with psycopg.connect(
        places.conninfo(layout.home, admin=True, database="postgres"), autocommit=True
    ) as connection:
        # Encrypted on this side: the server's log never sees the password.
        verifier = connection.pgconn.encrypt_password(password, ROLE.encode(), b"scram-sha-256")
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                role, sql.Literal(verifier.decode())
            )
        )
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if not found.fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


if __name__ == "__main__":
    sys.exit(main())
