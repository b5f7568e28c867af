"""The embedded PostgreSQL: closed to everybody else, and back after anything."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from porthole_control.db import layout
from porthole_control.db.connecting import connect
from porthole_control.db.layout import Layout
from tests.support.gate_setup import GateIdentity
from tests.support.postgres import Embedded


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path / "home")
    try:
        yield embedded
    finally:
        embedded.close()


def postmaster(server: Embedded) -> int:
    return int((Layout(server.home).data / "postmaster.pid").read_text().split()[0])


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 30
    while lives(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def write(server: Embedded, value: int) -> None:
    with psycopg.connect(layout.conninfo(server.home)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def read(server: Embedded) -> list[int]:
    with psycopg.connect(layout.conninfo(server.home)) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]


def test_it_is_closed_to_everybody_else(server: Embedded):
    server.start()
    place = Layout(server.home)
    for path in (place.root, place.data, place.sockets, place.password.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for path in (place.password, place.admin_password):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert (place.data / "pg_hba.conf").read_text() == "local all all scram-sha-256\n"
    with psycopg.connect(layout.conninfo(server.home)) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, False, False)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    wrong = psycopg.conninfo.make_conninfo(layout.conninfo(server.home), password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    if os.geteuid() == 0:
        owner = Path(f"/proc/{postmaster(server)}").stat().st_uid
        assert owner not in {0, os.geteuid()}
        mounts = Path("/proc/mounts").read_text()
        assert "porthole-postgres" not in mounts, "its mounts are seen by nobody else"
    assert server.stop() == 0


async def patience(conninfo: str) -> tuple[int, ...]:
    """Return for how long our connections wait for a machine that does not answer."""
    async with await connect(conninfo, name="test") as connection:
        line = socket.socket(fileno=os.dup(connection.fileno()))
    with line:
        return (
            line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
            line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        )


def test_it_serves_tcp_with_tls_and_a_password_to_its_one_role(tmp_path: Path):
    identity = GateIdentity.make(tmp_path / "tls")
    (tmp_path / "password").write_text("one that was given\n")
    # An address of this machine's own 16 million that no other test has taken.
    address = f"127.{os.getpid() % 250 + 2}.{os.getppid() % 250 + 2}.9"
    options = (
        *("--listen", address),
        *("--certificate", str(identity.folder / "cert.pem")),
        *("--key", str(identity.folder / "key.pem")),
        *("--password", str(tmp_path / "password")),
    )
    server = Embedded(tmp_path / "home", options)
    reached = {
        "host": address,
        "dbname": layout.DATABASE,
        "user": layout.ROLE,
        "password": "one that was given",
        "sslmode": "verify-ca",
        "sslrootcert": str(identity.folder / "cert.pem"),
    }
    try:
        server.start()
        with psycopg.connect(**reached) as connection:
            assert connection.pgconn.ssl_in_use
        conninfo = psycopg.conninfo.make_conninfo("", **reached)
        assert asyncio.run(patience(conninfo)) == (10_000, 1, 5, 2, 3)
        # Who knows better says so.
        longer = psycopg.conninfo.make_conninfo(conninfo, tcp_user_timeout=60_000)
        assert asyncio.run(patience(longer)) == (60_000, 1, 5, 2, 3)
        refused = (
            {"sslmode": "disable"},
            {"password": "another"},
            {"dbname": "postgres"},
            {"user": layout.ADMIN_ROLE},
        )
        for wrong in refused:
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**{**reached, **wrong})
        assert server.stop() == 0
        # Started without, it is closed again.
        server.options = ()
        server.start()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**reached)
        assert read_one(server) == 1
        assert server.stop() == 0
    finally:
        server.close()


def test_it_starts_again_with_what_it_had(server: Embedded):
    server.start()
    write(server, 1)
    assert server.stop() == 0
    server.start()
    assert read(server) == [1]
    assert server.stop() == 0


def test_a_second_one_says_who_has_the_home(server: Embedded):
    server.start()
    command = [sys.executable, "-m", "porthole_control.db.embedded", "--home", str(server.home)]
    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"is in use by process {server.process.pid}" in second.stderr
    assert read_one(server) == 1


def read_one(server: Embedded) -> int:
    with psycopg.connect(layout.conninfo(server.home)) as connection:
        row = connection.execute("SELECT 1").fetchone()
        assert row is not None
        return int(row[0])


def test_it_recovers_after_its_server_was_killed(server: Embedded):
    server.start()
    write(server, 1)
    os.kill(postmaster(server), signal.SIGKILL)
    assert server.process.wait(30) == 1
    server.close()
    server.start()
    assert read(server) == [1]


def test_the_server_ends_with_who_looks_after_it(server: Embedded):
    server.start()
    write(server, 1)
    pid = postmaster(server)
    server.process.kill()
    server.close()
    wait_until_gone(pid)
    server.start()
    assert read(server) == [1]


def test_killing_both_and_starting_at_once(server: Embedded):
    server.start()
    for value in range(3):
        write(server, value)
        pid = postmaster(server)
        server.process.kill()
        os.kill(pid, signal.SIGKILL)
        server.close()
        server.start()
    assert read(server) == [0, 1, 2]


def test_a_start_that_was_cut_short_is_begun_anew(server: Embedded):
    command = [sys.executable, "-m", "porthole_control.db.embedded", "--home", str(server.home)]
    fresh = Layout(server.home).root / "data.new"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not (fresh / "base").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    process.wait()
    server.start()
    assert not fresh.exists()
    assert read_one(server) == 1


def test_a_home_below_a_long_path(tmp_path: Path):
    server = Embedded(tmp_path / ("long" * 40) / "home")
    server.home.parent.mkdir()
    try:
        server.start()
        assert len(str(server.home)) > 108
        assert read_one(server) == 1
    finally:
        server.close()


def test_a_lost_password_of_the_application_is_made_anew(server: Embedded):
    server.start()
    server.stop()
    Layout(server.home).password.unlink()
    server.start()
    assert read_one(server) == 1


def test_a_lost_password_of_the_superuser_is_said_in_words(server: Embedded):
    server.start()
    server.stop()
    Layout(server.home).admin_password.unlink()
    command = [sys.executable, "-m", "porthole_control.db.embedded", "--home", str(server.home)]
    again = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert again.returncode == 1
    assert "password of the database's superuser is missing" in again.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's identity")
def test_somebody_unprivileged_can_run_it():
    """Without root there is no namespace: the server is simply the user's own."""
    nobody = 65534
    try:
        subprocess.run(
            [sys.executable, "-c", "pass"], user=nobody, group=nobody, check=True, cwd="/"
        )
    except (subprocess.CalledProcessError, PermissionError):
        pytest.skip("this Python cannot be read by another user")
    home = Path("/tmp") / f"porthole-test-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, nobody, nobody)
    command = [sys.executable, "-m", "porthole_control.db.embedded", "--home", str(home)]
    process = subprocess.Popen(command, user=nobody, group=nobody, cwd="/", stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ready")
        with socket.socket(socket.AF_UNIX) as reached:
            reached.connect(str(home / "postgres" / "run" / ".s.PGSQL.5432"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(home)
