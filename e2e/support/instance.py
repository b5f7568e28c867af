"""`porthole up` as a person types it: started, read, interrupted, killed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port

PROGRAM = Path(sys.executable).parent / "porthole"
PATIENCE = 150.0  # seconds until the link is there; the first time the console is built
ENDING = 60.0  # seconds from Ctrl-C to the end
LINK = re.compile(r"https?://\S+/#/sign-in\?token=\S+")


def until(look: Callable[[], Any], within: float, what: Callable[[], str]) -> Any:
    """Look again and again until there is something to see."""
    end = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < end, f"{what()}: not within {within:.0f} s"
        time.sleep(0.05)
    return found


class Program:
    """A program in the foreground of a terminal of its own; `porthole`, if no other is named."""

    def __init__(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str | Path] = (PROGRAM,),
    ) -> None:
        self.lines: list[str] = []
        hidden = {"PORTHOLE_HOME", "PORTHOLE_TOKEN", "PORTHOLE_SERVER"}
        inherited = {key: value for key, value in os.environ.items() if key not in hidden}
        self.process = subprocess.Popen(
            [*program, *words],
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        """Everything that it has printed so far."""
        return "\n".join(self.lines)

    def until_said(self, words: re.Pattern[str], within: float = PATIENCE) -> str:
        """Wait until it prints this; return what matched."""

        def look() -> re.Match[str] | None:
            found = words.search(self.said)
            over = self.process.poll() is not None
            assert found or not over, f"it ended with {self.process.returncode}:\n{self.said}"
            return found

        found: re.Match[str] = until(look, within, lambda: f"{words.pattern!r} in\n{self.said}")
        return found[0]

    def interrupt(self, within: float = ENDING) -> int:
        """Press Ctrl-C, which goes to all that the terminal has in front; return the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.wait(within)

    def kill(self) -> None:
        """End it in a way that it does not notice."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.wait(10)

    def wait(self, within: float) -> int:
        """Return the exit code."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end within {within:.0f} s:\n{self.said}") from None
        # What it has started may still hold the other end of the pipe.
        self._reader.join(2)
        if not self._reader.is_alive() and self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


class Instance:
    """One home, and `porthole up` with it; with an address to `listen` on, others reach it, too."""

    def __init__(self, home: Path, port: int | None = None, listen: str = "") -> None:
        self.home = home
        self.port = port or free_port()
        self._listen = ("--listen", listen) if listen else ()
        self.up: Program | None = None
        self.link = ""

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, environment: Mapping[str, str] | None = None) -> str:
        """Start it; return the link that signs in."""
        words = ("up", "--home", str(self.home), "--port", str(self.port), "--no-browser")
        self.up = Program(*words, *self._listen, environment=environment)
        self.link = self.up.until_said(LINK)
        return self.link

    def stop(self) -> int:
        """Press Ctrl-C and wait; return the exit code."""
        assert self.up is not None
        return self.up.interrupt()

    def porthole(self, *words: str, code: int = 0) -> str:
        """Run another command for this home and return what it printed."""
        end = words.index("--") if "--" in words else len(words)
        done = subprocess.run(
            [PROGRAM, *words[:end], "--home", str(self.home), *words[end:]],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout or done.stderr

    def token(self, name: str, *more: str) -> str:
        """Make a token by the command line; its last line is the token."""
        return self.porthole("token", "create", "--name", name, *more).splitlines()[-1]

    def another_link(self) -> str:
        """Return a link that signs in, for the one that was printed is good once."""
        bearer = {"Authorization": f"Bearer {self.admin_token()}"}
        made = httpx.post(f"{self.url}/api/v1/sign-in-links", headers=bearer, timeout=15)
        return str(made.raise_for_status().json()["url"])

    def admin_token(self) -> str:
        """Return the administrator's own token."""
        return (self.home / "secrets" / "admin-token").read_text().strip()

    def parts(self) -> dict[str, int | None]:
        """Return the processes of this instance by name."""
        done = subprocess.run(
            [PROGRAM, "status", "--home", str(self.home), "--output", "json"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return {part["name"]: part["pid"] for part in json.loads(done.stdout)["parts"]}

    def kill(self, name: str) -> int:
        """Kill one of its processes; return the process id that it had."""
        pid = self.parts()[name]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def logs(self, lines: int = 25) -> str:
        """Return the ends of all its logs, for a story that went wrong."""
        ends: Sequence[str] = [
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted((self.home / "log").glob("*.log"))
        ]
        return "\n".join(ends)

    def journal(self) -> list[dict[str, object]]:
        """Return what the runtime has written down."""
        lines = (self.home / "agent" / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]
