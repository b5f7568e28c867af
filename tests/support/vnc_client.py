"""A person with TigerVNC's viewer, on a screen of their own."""

import subprocess

from porthole_client.native.challenge import answer
from tests.support.rdp_client import RdpClient

_KEPT_BY = bytes((23, 82, 107, 6, 35, 78, 88, 7)).decode("latin-1")
"""The key, known to everybody, by which VNC's programs keep a password in a file."""


class VncClient(RdpClient):
    """The viewer; what it shows, types and copies is as of `RdpClient`."""

    def begin(self, server: str, password: str, *options: str) -> None:
        """Begin to connect to `host::port` or the path of a socket."""
        self.size = (1280, 720)
        kept = self._folder / "password"
        kept.write_bytes(answer(password.encode().ljust(8, b"\0"), _KEPT_BY))
        self._client = subprocess.Popen(
            ["xtigervncviewer", "-passwd", kept, "-AlertOnFatalError=0", *options, server],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def click(self, x: int, y: int) -> None:
        """Click somewhere; nobody manages windows here, so it is given the focus as well."""
        self._xdotool("search", "--onlyvisible", "--name", "TigerVNC", "windowfocus")
        super().click(x, y)
