"""Where the embedded Postgres keeps things below a home, and how it is reached.

The server listens on a unix socket and nowhere else. Two roles: a superuser for
maintenance, and `porthole`, which owns its one database and is no superuser.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from porthole_control.errors import Unavailable

ADMIN_ROLE = "porthole_admin"
ROLE = "porthole"
DATABASE = "porthole"
PORT = 5432
_LONGEST_SOCKET = 100
"""A unix socket's path has at most 107 bytes, the last of which are Postgres' own."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one home's embedded Postgres."""

    home: Path

    @property
    def root(self) -> Path:
        """All that belongs to the server."""
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        """The data directory (0700, the server's uid)."""
        return self.root / "data"

    @property
    def sockets(self) -> Path:
        """The directory of its unix socket."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held by the program that looks after the server."""
        return self.root / "lock"

    @property
    def admin_password(self) -> Path:
        """The superuser's password."""
        return self.home / "secrets" / "postgres-admin"

    @property
    def password(self) -> Path:
        """The application role's password."""
        return self.home / "secrets" / "postgres"


class _Sockets:
    """Directories held open, so that a socket below a long path has a short one."""

    def __init__(self) -> None:
        self._held: dict[Path, int] = {}

    def short(self, directory: Path) -> str:
        path = str(directory.absolute())
        if len(os.fsencode(path)) + len(f"/.s.PGSQL.{PORT}") <= _LONGEST_SOCKET:
            return path
        if directory not in self._held:
            self._held[directory] = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._held[directory]}"


_sockets = _Sockets()


def conninfo(home: Path, *, admin: bool = False, database: str = DATABASE) -> str:
    """Return libpq's connection string for the embedded Postgres of `home`.

    Raises:
        Unavailable: it was never started, or this user may not read its password.
    """
    layout = Layout(home)
    secret = layout.admin_password if admin else layout.password
    try:
        password = secret.read_text(encoding="ascii").strip()
        host = _sockets.short(layout.sockets)
    except OSError as error:
        raise Unavailable(
            f"The database below {home} cannot be reached: {error.strerror}. Is it started, and"
            " is this its user?"
        ) from error
    return make_conninfo(
        "",
        host=host,
        port=PORT,
        dbname=database,
        user=ADMIN_ROLE if admin else ROLE,
        password=password,
    )
