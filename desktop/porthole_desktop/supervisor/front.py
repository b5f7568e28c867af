"""xrdp in front of an X server: what viewers over RDP come to, whatever it is that draws.

There is no session manager and nobody logs in: the supervisor starts all of it as its own
user, and xrdp is led straight to the X server. So there is no password that anybody could
find; who may come to `rdp.sock` at all is said by its mode and owner. The key is made anew
at each start, lies in the desktop's own folder, and the gate is told which certificate to
expect.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from . import certificate
from .config import Config
from .screen import Part

_XRDP: Final = "/usr/sbin/xrdp"


class Front:
    """xrdp, which makes `rdp.sock`."""

    needed = (_XRDP, certificate.PROGRAM)

    def __init__(self, config: Config) -> None:
        self.socket = config.sockets / "rdp.sock"
        self.folder = Path()
        self._fingerprint = ""

    def prepare(self, folder: Path) -> None:
        """Make the key and the certificate, in `folder`/rdp.

        Raises:
            Unusable: they could not be made.
        """
        self.folder = folder / "rdp"
        self.folder.mkdir(mode=0o700)
        self._fingerprint = certificate.make(self.folder)

    def part(self, way: Mapping[str, object]) -> Part:
        """Return what is to run; `way` is how xrdp gets to the X server."""
        path = self.folder / "xrdp.ini"
        path.write_text(settings(self.folder, self.socket, way))
        return Part("xrdp", (_XRDP, "--nodaemon", "--config", str(path)))

    def listens(self) -> None:
        """Check that xrdp is there.

        Raises:
            OSError: it is not yet.
        """
        # xrdp has a process for each connection, and says at length that one was empty.
        self.socket.lstat()

    def state(self) -> Mapping[str, Any]:
        """Return which certificate is to be expected."""
        return {"rdp": {"fingerprint": self._fingerprint}}


def settings(folder: Path, socket: Path, way: Mapping[str, object]) -> str:
    """Return xrdp's configuration.

    Args:
        folder: where its key and its certificate are.
        socket: where it listens.
        way: which of its libraries leads to the X server, and what that one is told.
    """
    told = "\n".join(f"{name}={value}" for name, value in way.items())
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
username=user
ip=127.0.0.1
{told}
"""
