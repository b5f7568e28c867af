"""An RDP desktop as somebody starts it by hand: xrdp, xrdp-sesman, its Xorg, and the programs.

Each has namespaces of its own, so that several find the same port and the same folders; it lets
everybody in without asking, and is gone with its first process.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from porthole_desktop.supervisor import painted
from porthole_desktop.supervisor.x11 import Display, XError

_WITHIN = 60.0
_ETC = Path("/etc/xrdp")
_ANYBODY = "".join(
    f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session", "password")
)
_PROGRAMS = "#!/bin/sh\ntint2 &\nxterm &\nexec openbox\n"
# `ip` for 127.0.0.1; what sesman and its sessions write goes below the folder.
_BY_HAND = """
set -e
ip link set lo up
mount --bind "$1/etc" /etc/xrdp
mount --bind "$1/pam" /etc/pam.d/xrdp-sesman
mount --bind "$1/home" /root
mount --bind "$1/log" /var/log
mount -t tmpfs none /run
mkdir -p /run/xrdp/sockdir
chmod 3777 /run/xrdp/sockdir
mount --bind "$1/tmp" /tmp
cd /
xrdp-sesman --nodaemon &
xrdp --nodaemon &
until xrdp-sesrun -s 127.0.0.1 -g 1280x720 -p x root; do sleep 0.05; done
wait
"""


@asynccontextmanager
async def bare_starts(count: int) -> AsyncIterator[list[float]]:
    """Start so many at once; yield the seconds after which each had painted its screen.

    One that has not within `_WITHIN` is left out: by hand nobody starts it again.
    """
    with tempfile.TemporaryDirectory(prefix="porthole-bare-", dir="/var/tmp") as folder:
        places = [_lay(Path(folder) / str(number)) for number in range(count)]
        begun = time.perf_counter()
        programs = [await _start(place) for place in places]
        try:
            seen = await asyncio.gather(*(_in_time(place, begun) for place in places))
            yield [took for took in seen if took is not None]
        finally:
            for program in programs:
                with contextlib.suppress(ProcessLookupError):
                    program.send_signal(signal.SIGKILL)  # the rest of its namespace goes with it
                await program.wait()


def _lay(place: Path) -> Path:
    """Make what one of them finds in place of the machine's own."""
    shutil.copytree(_ETC, place / "etc", symlinks=True)
    (place / "etc" / "startwm.sh").write_text(_PROGRAMS)
    (place / "etc" / "startwm.sh").chmod(0o755)
    (place / "pam").write_text(_ANYBODY)
    for name in ("home", "log", "tmp/.X11-unix"):
        (place / name).mkdir(parents=True)
    (place / "tmp" / ".X11-unix").chmod(0o1777)
    return place


async def _start(place: Path) -> asyncio.subprocess.Process:
    unshared = ("unshare", "-mnp", "--mount-proc", "--fork", "--kill-child")
    return await asyncio.create_subprocess_exec(
        *unshared,
        *("sh", "-c", _BY_HAND, "by-hand", str(place)),
        env={"PATH": os.environ["PATH"], "HOME": "/root", "USER": "root"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _in_time(place: Path, begun: float) -> float | None:
    try:
        async with asyncio.timeout(_WITHIN):
            return await _painted(place, begun)
    except TimeoutError:
        return None


async def _painted(place: Path, begun: float) -> float:
    """Wait until its windows are there to be seen; return the seconds since `begun`."""
    while True:
        with contextlib.suppress(OSError, XError, StopIteration):
            socket = next((place / "tmp" / ".X11-unix").iterdir())
            cookie = (place / "home" / ".Xauthority").read_bytes()[-16:]
            number = int(socket.name.removeprefix("X"))
            display = await Display.connect(number, cookie, socket.parent)
            try:
                while await painted.colours_of(display) < painted.COLOURS:
                    await asyncio.sleep(0.05)
                return time.perf_counter() - begun
            finally:
                display.close()
        await asyncio.sleep(0.05)
