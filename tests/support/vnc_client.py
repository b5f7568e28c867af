"""A person with TigerVNC's viewer, on a screen of their own."""

import subprocess

from PIL import Image, ImageGrab

from porthole_client.native.challenge import answer
from tests.support.rdp_client import RdpClient

_KEPT_BY = bytes((23, 82, 107, 6, 35, 78, 88, 7)).decode("latin-1")
"""The key, known to everybody, by which VNC's programs keep a password in a file."""


class VncClient(RdpClient):
    """The viewer; what it shows, types and copies is as of `RdpClient`."""

    def begin(self, server: str, password: str, *options: str) -> None:
        """Begin to connect to `host::port` or the path of a socket."""
        self.size = (1280, 720)
        kept = self.folder / "password"
        kept.write_bytes(answer(password.encode().ljust(8, b"\0"), _KEPT_BY))
        self._client = self.spawn(
            "xtigervncviewer", "-passwd", kept, "-AlertOnFatalError=0", *options, server
        )

    def picture(self) -> Image.Image:
        """Return what it shows: its window leaves room for a frame that nobody draws here."""
        words = ("search", "--onlyvisible", "--name", "TigerVNC", "getwindowgeometry", "--shell")
        said = subprocess.run(
            ["xdotool", *words], env=self.env, check=False, capture_output=True, text=True
        )
        place = dict(line.partition("=")[::2] for line in said.stdout.splitlines())
        x, y = int(place.get("X", 0)), int(place.get("Y", 0))
        whole = ImageGrab.grab(xdisplay=self.display)
        return whole.crop((x, y, x + self.size[0], y + self.size[1])).convert("RGB")

    def click(self, x: int, y: int) -> None:
        """Click somewhere; nobody manages windows here, so it is given the focus as well."""
        self.xdotool("search", "--onlyvisible", "--name", "TigerVNC", "windowfocus")
        super().click(x, y)
