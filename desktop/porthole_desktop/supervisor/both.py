"""The screen that is seen over VNC and over RDP at once: Xvnc, and xrdp as viewers of it.

    gate --RFB--> rfb.sock: Xvnc
    gate --TLS--> rdp.sock: xrdp, a process for each viewer --RFB--> aligned.py --> rfb.sock

It is there before anybody has come, and has as many viewers of either kind as come.
"""

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .aligned import owner
from .config import Config
from .front import Front
from .screen import Part
from .x11 import Display
from .xvnc import Xvnc


class Both(Xvnc):
    """Viewers come to `rfb.sock` and to `rdp.sock`, several at a time; all have one size."""

    needed = (*Xvnc.needed, *Front.needed)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._front = Front(config)
        self._port = 0
        self.sockets = (*self.sockets, self._front.socket)

    def prepare(self, folder: Path) -> None:
        """Make the key and the certificate."""
        self._front.prepare(folder)

    def parts(self, number: int) -> Sequence[Part]:  # noqa: ARG002 - it has a socket
        """Return xrdp, and what stands between it and Xvnc."""
        self._port = _free_port()
        program = str(Path(__file__).with_name("aligned.py"))
        between = (sys.executable, "-I", "-B", program, str(self.rfb), str(self._port))
        # No xrdp-chansrv: it serves one viewer, and lets the next wait for eight seconds.
        xrdp = self._front.part({"lib": "libvnc.so", "port": self._port})
        return (Part("xrdp-picture", between), xrdp)

    async def colours(self, display: Display) -> int:
        """Look over RFB, once viewers over RDP come as far."""
        self._front.listens()
        if owner(("127.0.0.1", self._port)) is None:
            raise ConnectionRefusedError("xrdp would not come to Xvnc.")
        return await super().colours(display)

    def state(self) -> Mapping[str, Any]:
        """Return which certificate is to be expected."""
        return self._front.state()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
