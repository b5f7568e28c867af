"""A person's own screen and keyboard: an X server that nobody else uses."""

import itertools
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Self

_NUMBERS = itertools.count()


class OwnScreen:
    """Xvfb; `folder` becomes the person's home, and `client.log` in it what programs say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output: IO[bytes] = (folder / "client.log").open("ab")
        # Desktops take the first number and ask nobody; a screen beside them takes a high one.
        self.display = f":{1000 + os.getpid() % 25000 * 2 + next(_NUMBERS) % 2}"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "DISPLAY": self.display}
        self._running: list[subprocess.Popen[bytes]] = []
        self.start(
            *("Xvfb", self.display),
            *("-screen", "0", "1400x1000x24", "-noreset", "-nolisten", "tcp"),
        )
        until = time.monotonic() + 15
        while not _answers(Path("/tmp/.X11-unix") / f"X{self.display[1:]}"):
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()  # one that is killed leaves its socket and its lock
            process.wait(10)
        self.output.close()

    def start(self, *command: str) -> None:
        """Begin a program of the person's; it ends with the screen."""
        self._running.append(self.spawn(*command))

    def spawn(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Begin a program that somebody else ends."""
        return subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )

    def run(self, *command: str) -> None:
        """Run a program of the person's to its end."""
        subprocess.run(command, env=self.env, check=True, timeout=30)

    def press(self, *keys: str) -> None:
        """Press one key, or several together (`alt+Tab`), after the other."""
        self.xdotool("key", *keys)

    def type(self, text: str) -> None:
        """Type a text; `\\n` is the return key."""
        for at, line in enumerate(text.split("\n")):
            if at:
                self.press("Return")
            if line:
                self.xdotool("type", "--delay", "15", line)

    def active(self) -> str:
        """Return the title of the window that has the keyboard."""
        asked = ["xdotool", "getactivewindow", "getwindowname"]
        done = subprocess.run(asked, env=self.env, check=False, capture_output=True, text=True)
        return done.stdout.strip()

    def xdotool(self, *words: str) -> None:
        """Do something with keys, pointer or windows."""
        # Which characters a text has, it takes from the locale.
        self.run("env", "LC_ALL=C.UTF-8", "xdotool", *words)

    def log(self) -> str:
        """Return what the programs said."""
        return (self.folder / "client.log").read_text(errors="replace")


def _answers(path: Path) -> bool:
    """Whether an X server listens there."""
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect(str(path))
        except OSError:
            return False
    return True
