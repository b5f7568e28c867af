"""The screen that is seen over VNC: Xvnc, which is X server and RFB server in one."""

from collections.abc import Sequence
from pathlib import Path

from . import painted, programs
from .config import Config
from .screen import Screen
from .x11 import Display


class Xvnc(Screen):
    """Viewers come to `rfb.sock`, several at a time."""

    x_server = "Xvnc"
    needed: Sequence[str] = ("Xvnc",)

    def __init__(self, config: Config) -> None:
        self._config = config
        self.rfb = config.sockets / "rfb.sock"
        self.sockets: Sequence[Path] = (self.rfb,)

    def command(self, number: int, *, authority: Path, ready_fd: int) -> list[str]:
        """Return the argv of Xvnc, which makes `rfb.sock`."""
        return programs.x_server(
            self._config, number, rfb=self.rfb, authority=authority, ready_fd=ready_fd
        )

    async def colours(self, display: Display) -> int:  # noqa: ARG002 - a viewer asks by RFB
        """Look over RFB, as viewers do."""
        return await painted.colours(self.rfb)
