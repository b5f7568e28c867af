"""A session's desktop as the machine itself sees it, past everything of ours.

Its processes are found by their cgroup (those of a pod, too: nodes are containers here), its
files through the kernel's `/proc/PID/root`, its screen by asking the X server with another
program's code (Pillow's, on libxcb).
"""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_GRAB = "import sys; from PIL import ImageGrab as g; g.grab(xdisplay=sys.argv[1]).save(sys.argv[2])"


def cgroup_of(session: str, part: str = "desktop") -> Path | None:
    """Return one cgroup of a session's container; None if there is none."""
    name = f"porthole-{session.replace('-', '')}-{part}"
    places = (Path("/sys/fs/cgroup"), *sorted(Path("/sys/fs/cgroup").glob("*/")))
    return next((top / name for top in places if (top / name).is_dir()), None)


def processes_of(session: str, part: str = "desktop") -> dict[int, str]:
    """Return the processes of a session's container with their command lines."""
    group = cgroup_of(session, part)
    if group is None:
        return {}
    found = {}
    for pid in (group / "cgroup.procs").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        found[int(pid)] = words
    return found


def processes_in_pod(uid: str) -> dict[int, str]:
    """Return the processes of a pod with their command lines."""
    found, names = {}, (f"pod{uid}", f"pod{uid.replace('-', '_')}")
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal():
                groups = (process / "cgroup").read_text()
                if any(name in groups for name in names):
                    words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    found[int(process.name)] = words
    return found


@dataclass(frozen=True)
class Desktop:
    """One running desktop."""

    root: Path
    display: str
    authority: Path
    pid: int

    @classmethod
    def of(cls, session: str) -> "Desktop":
        """Find the desktop of a session."""
        running = processes_of(session)
        found = cls._among(running)
        assert found is not None, f"no desktop of {session} runs: {running}"
        return found

    @classmethod
    def in_pod(cls, uid: str) -> "Desktop":
        """Find the desktop in a pod, which runs on a node that is part of this machine."""
        running = processes_in_pod(uid)
        found = cls._among(running)
        assert found is not None, f"no desktop runs in the pod {uid}: {running}"
        return found

    @classmethod
    def _among(cls, running: dict[int, str]) -> "Desktop | None":
        for pid, words in running.items():
            if words.split()[:1] == ["openbox"]:
                entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
                said = dict(entry.partition("=")[::2] for entry in entries)
                root = Path(f"/proc/{pid}/root")
                number = said["DISPLAY"].removeprefix(":").partition(".")[0]
                socket = root / "tmp/.X11-unix" / f"X{number}"
                authority = root / said["XAUTHORITY"].removeprefix("/")
                return cls(root, str(socket), authority, pid)
        return None

    def screen(self, into: Path) -> Image.Image:
        """Take a picture of the screen."""
        subprocess.run(
            [sys.executable, "-c", _GRAB, self.display, str(into)],
            env={**os.environ, "XAUTHORITY": str(self.authority)},
            check=True,
            timeout=20,
        )
        with Image.open(into) as image:
            return image.convert("RGB")

    def read(self, name: str) -> str | None:
        """Return what is in a file of the user's home; None if there is no such file."""
        path = self.root / "home/user" / name
        return path.read_text() if path.exists() else None
