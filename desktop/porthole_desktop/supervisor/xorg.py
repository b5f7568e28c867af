"""The screen that is seen over RDP: Xorg with xorgxrdp's driver, and xrdp in front of it.

    gate --TLS--> rdp.sock: xrdp --> xorgxrdp's socket: Xorg <-- xrdp-chansrv (clipboard)

`front.py` says how viewers come in without a password.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from . import painted
from .config import Config
from .front import Front
from .programs import dpi
from .screen import Part, Screen
from .x11 import Display, XError

_XORG: Final = "/usr/lib/xorg/Xorg"
_CHANNELS: Final = "/usr/sbin/xrdp-chansrv"
_PATIENCE: Final = 10.0
_LOOK_AGAIN: Final = 0.02


class Xorg(Screen):
    """Viewers come to `rdp.sock`, one at a time: xorgxrdp lets go of who was there before."""

    x_server = "Xorg"
    needed = (_XORG, _CHANNELS, *Front.needed)

    def __init__(self, config: Config) -> None:
        self._config = config
        self._front = Front(config)
        self.sockets = (self._front.socket,)

    def prepare(self, folder: Path) -> None:
        """Make the key, the certificate and the X server's configuration."""
        self._front.prepare(folder)
        for part in ("x", "channels", "none"):
            (self._front.folder / part).mkdir(mode=0o700)
        (self._front.folder / "xorg.conf").write_text(server_settings())

    def command(self, number: int, *, authority: Path, ready_fd: int) -> list[str]:
        """Return the argv of Xorg; what it makes and writes stays in our folder."""
        return [
            _XORG,
            f":{number}",
            "-displayfd", str(ready_fd),
            "-auth", str(authority),
            "-config", str(self._front.folder / "xorg.conf"),
            "-configdir", str(self._front.folder / "none"),
            "-logfile", str(self._front.folder / "xorg.log"),
            "-nolisten", "tcp",
            "-nolisten", "local",
            "-noreset",
            "-dpi", str(dpi(self._config)),
            "-quiet",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        """Return what xorgxrdp is told: where its socket goes, how large the screen begins."""
        return {
            "XRDP_SOCKET_PATH": str(self._front.folder / "x"),
            "XRDP_START_WIDTH": str(self._config.width),
            "XRDP_START_HEIGHT": str(self._config.height),
        }

    def parts(self, number: int) -> Sequence[Part]:
        """Return the two programs in front of the X server."""
        socket = self._front.folder / "x" / f"xrdp_display_{number}"
        # 20 means Xorg; the others are X servers of xrdp's own.
        way = {"lib": "libxup.so", "port": socket, "code": 20, "chansrvport": f"DISPLAY({number})"}
        logs = f"CHANSRV_LOG_PATH={self._front.folder / 'channels'}"
        # It makes a folder for drives in its home, whether there are any or not.
        home = f"HOME={self._front.folder}"
        return (Part("xrdp-chansrv", ("env", logs, home, _CHANNELS)), self._front.part(way))

    async def settle(self, display: Display) -> None:
        """Wait until xorgxrdp, which begins with 800x600, has made the screen's own size."""
        until = time.monotonic() + _PATIENCE
        while True:
            _, _, width, height = await display.place_of(display.screen.root)
            if (width, height) == (self._config.width, self._config.height):
                display.screen = replace(display.screen, width=width, height=height)
                return
            if time.monotonic() > until:
                raise XError(f"The screen stays {width}x{height}.")
            await asyncio.sleep(_LOOK_AGAIN)

    async def colours(self, display: Display) -> int:
        """Look at what the X server shows, once there is an `rdp.sock`."""
        self._front.listens()
        return await painted.colours_of(display)

    def state(self) -> Mapping[str, Any]:
        """Return which certificate is to be expected."""
        return self._front.state()


def server_settings() -> str:
    """Return Xorg's configuration: xorgxrdp's screen, keyboard and mouse, no real device.

    xorgxrdp needs symbols of glamoregl, though it draws in memory, and a mode of 800x600 to
    begin with; it takes its real size from the environment.
    """
    return """\
Section "ServerFlags"
    Option "AutoAddDevices" "off"
    Option "DontVTSwitch" "on"
    Option "DefaultServerLayout" "desktop"
EndSection
Section "Module"
    Load "glamoregl"
    Load "xorgxrdp"
    Load "fb"
EndSection
Section "InputDevice"
    Identifier "keyboard"
    Driver "xrdpkeyb"
EndSection
Section "InputDevice"
    Identifier "mouse"
    Driver "xrdpmouse"
EndSection
Section "Device"
    Identifier "card"
    Driver "xrdpdev"
EndSection
Section "Monitor"
    Identifier "monitor"
    HorizSync 30-80
    VertRefresh 56-75
EndSection
Section "Screen"
    Identifier "screen"
    Device "card"
    Monitor "monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Modes "800x600"
    EndSubSection
EndSection
Section "ServerLayout"
    Identifier "desktop"
    Screen "screen"
    InputDevice "mouse" "CorePointer"
    InputDevice "keyboard" "CoreKeyboard"
EndSection
"""
