"""The screen that is seen over RDP: Xorg with xorgxrdp's driver, and xrdp in front of it.

    gate --TLS--> rdp.sock: xrdp --> xorgxrdp's socket: Xorg <-- xrdp-chansrv (clipboard)

There is no session manager and nobody logs in: the supervisor starts all of it as its own
user, and xrdp is led straight to the X server. So there is no password that anybody could
find; who may come to `rdp.sock` at all is said by its mode and owner. The key is made anew
at each start, lies in the desktop's own folder, and the gate is told which certificate to
expect.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from . import certificate, painted
from .config import Config
from .programs import dpi
from .screen import Part, Screen
from .x11 import Display, XError

_XORG: Final = "/usr/lib/xorg/Xorg"
_XRDP: Final = "/usr/sbin/xrdp"
_CHANNELS: Final = "/usr/sbin/xrdp-chansrv"
_PATIENCE: Final = 10.0
_LOOK_AGAIN: Final = 0.02


class Xorg(Screen):
    """Viewers come to `rdp.sock`, one at a time: xorgxrdp lets go of who was there before."""

    x_server = "Xorg"
    needed = (_XORG, _XRDP, _CHANNELS, certificate.PROGRAM)

    def __init__(self, config: Config) -> None:
        self._config = config
        self.socket = config.sockets / "rdp.sock"
        self._folder = Path()
        self._fingerprint = ""

    def prepare(self, folder: Path) -> None:
        """Make the key, the certificate and the X server's configuration."""
        self._folder = folder / "rdp"
        for part in ("", "x", "channels", "none"):
            (self._folder / part).mkdir(mode=0o700)
        self._fingerprint = certificate.make(self._folder)
        (self._folder / "xorg.conf").write_text(server_settings())

    def command(self, number: int, *, authority: Path, ready_fd: int) -> list[str]:
        """Return the argv of Xorg; what it makes and writes stays in our folder."""
        return [
            _XORG,
            f":{number}",
            "-displayfd", str(ready_fd),
            "-auth", str(authority),
            "-config", str(self._folder / "xorg.conf"),
            "-configdir", str(self._folder / "none"),
            "-logfile", str(self._folder / "xorg.log"),
            "-nolisten", "tcp",
            "-nolisten", "local",
            "-noreset",
            "-dpi", str(dpi(self._config)),
            "-quiet",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        """Return what xorgxrdp is told: where its socket goes, how large the screen begins."""
        return {
            "XRDP_SOCKET_PATH": str(self._folder / "x"),
            "XRDP_START_WIDTH": str(self._config.width),
            "XRDP_START_HEIGHT": str(self._config.height),
        }

    def parts(self, number: int) -> Sequence[Part]:
        """Return the two programs in front of the X server."""
        settings = self._folder / "xrdp.ini"
        settings.write_text(front_settings(self._folder, self.socket, number))
        logs = f"CHANSRV_LOG_PATH={self._folder / 'channels'}"
        return (
            Part("xrdp-chansrv", ("env", logs, _CHANNELS)),
            Part("xrdp", (_XRDP, "--nodaemon", "--config", str(settings))),
        )

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
        # xrdp has a process for each connection, and says at length that one was empty.
        self.socket.lstat()
        return await painted.colours_of(display)

    def state(self) -> Mapping[str, Any]:
        """Return which certificate is to be expected."""
        return {"rdp": {"fingerprint": self._fingerprint}}


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


def front_settings(folder: Path, socket: Path, number: int) -> str:
    """Return xrdp's configuration.

    Args:
        folder: where its key, its certificate and the X server's socket are.
        socket: where it listens.
        number: of the display that it leads to.
    """
    # `autorun` is followed for whoever asks to be logged on, which the gate does for all.
    return f"""\
[Globals]
ini_version=1
fork=true
port=unix://.{socket}
security_layer=tls
ssl_protocols=TLSv1.2, TLSv1.3
certificate={folder / certificate.CERTIFICATE}
key_file={folder / certificate.KEY}
autorun=desktop
hidelogwindow=true
allow_channels=true
allow_multimon=false
bitmap_cache=true
bitmap_compression=true
bulk_compression=true
max_bpp=32
new_cursors=true
use_fastpath=both
[Logging]
LogFile=/dev/null
LogLevel=WARNING
EnableSyslog=false
EnableConsole=true
ConsoleLevel=WARNING
[Channels]
cliprdr=true
drdynvc=true
[desktop]
name=desktop
lib=libxup.so
username=user
ip=127.0.0.1
port={folder / "x"}/xrdp_display_{number}
code=20
chansrvport=DISPLAY({number})
"""
