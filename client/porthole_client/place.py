"""Which Porthole is spoken to, and as whom."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from porthole_client.errors import Nowhere
from porthole_client.home import Home, default_home, read_json


@dataclass(frozen=True)
class Place:
    """A server and the right to use it.

    `server` is its address (`https://host:port`). `fingerprint`, the SHA-256 of its
    certificate in lower hexadecimal, is trusted instead of the machine's authorities: it
    is how a self-made certificate is trusted.
    """

    server: str
    token: str | None = field(default=None, repr=False)
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        """Refuse an address that cannot be one, before anything is sent to it."""
        parts = urlsplit(self.server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{self.server!r} is no address such as https://desktops.example")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("A server's address has a scheme, a host and a port, nothing else")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("The token has characters that no token has; copy all of it again")
        object.__setattr__(self, "server", self.server.rstrip("/"))

    @property
    def is_secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.server.startswith("https:")


def find(
    *,
    server: str | None = None,
    token: str | None = None,
    fingerprint: str | None = None,
    home: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """Return the place that is meant, and the right to use it.

    What is given wins; a given home wins over the environment (PORTHOLE_SERVER,
    PORTHOLE_TOKEN, PORTHOLE_FINGERPRINT); at last this machine's own instance is taken, with
    its administrator's token if this user may read it.

    Raises:
        Nowhere: no server is named, and none runs here.
    """
    if home is None:
        server = server or environment.get("PORTHOLE_SERVER")
        token = token or environment.get("PORTHOLE_TOKEN")
        fingerprint = fingerprint or environment.get("PORTHOLE_FINGERPRINT")
    if server is None:
        where = Home(home or default_home())
        found = read_json(where.server)
        server = found.get("url")
        if not isinstance(server, str):
            ours = os.geteuid() == 0 or home is not None
            sudo = "" if ours else " What was started with sudo is asked with sudo."
            raise Nowhere(
                f"No Porthole runs with the home {where.path}. Start one with `porthole up`,"
                " name the home of one that runs with --home or PORTHOLE_HOME, or say which"
                f" server with --server or PORTHOLE_SERVER.{sudo}"
            )
        token = token or _first_line(where.admin_token)
    try:
        return Place(server, token, fingerprint)
    except ValueError as error:
        raise Nowhere(f"{error}.") from None


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
