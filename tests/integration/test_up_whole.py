"""`porthole up` as a person runs it: everything real, ended in every way that it can end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from porthole_client import Conflict, Porthole
from porthole_client.cli.status import status_of
from porthole_client.home import Home
from porthole_client.models import Session
from porthole_contract.lifecycle import Phase
from tests.support.ports import free_port

PORTHOLE = str(Path(sys.executable).parent / "porthole")
READY = "This link signs you in"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="desktops need root"),
]


class Up:
    """One home, and the `porthole up` that runs with it."""

    def __init__(self, home: Path) -> None:
        self.home = Home(home)
        self.port = free_port()
        self.output = home.parent / "up.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *more: str) -> list[str]:
        where = ["--home", str(self.home.path), "--port", str(self.port)]
        return [PORTHOLE, "up", *where, "--no-browser", *more]

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_for(lambda: READY in self.output.read_text() or self.process.poll() is not None, 120)
        assert READY in self.output.read_text(), self.output.read_text()

    def stop(self, sent: signal.Signals = signal.SIGINT) -> None:
        assert self.process is not None
        self.process.send_signal(sent)
        self.process.wait(90)

    def pid(self, part: str) -> int | None:
        parts = status_of(self.home)["parts"]
        return next((one["pid"] for one in parts if one["name"] == part), None)

    def restarts(self, part: str) -> int:
        parts = status_of(self.home)["parts"]
        return next(one["restarts"] for one in parts if one["name"] == part)

    def client(self) -> Porthole:
        token = self.home.admin_token.read_text().strip()
        return Porthole(f"http://127.0.0.1:{self.port}", token)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [PORTHOLE, *words, "--home", str(self.home.path)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def tell(self) -> None:
        """Print what it and its parts have said last."""
        for said in (self.output, *sorted(self.home.log.glob("*.log"))):
            if said.exists():
                lines = said.read_text(errors="replace").splitlines()
                print(f"--- {said.name}", *lines[-40:], sep="\n")

    def left(self) -> list[str]:
        """Return what of this home still runs, is mounted or holds a cgroup."""
        wanted = str(self.home.path)
        found = [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if wanted in line
        ]
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                opened = [str(link.readlink()) for link in (entry / "fd").iterdir()]
            except OSError:
                continue
            if int(entry.name) != os.getpid() and any(wanted in one for one in (words, *opened)):
                found.append(f"{entry.name} {words}")
        return found


def wait_for(check: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "home")
    yield made
    made.tell()  # is shown if the test failed
    if made.process is not None and made.process.poll() is None:
        made.stop()
    assert made.left() == []


def restarted(porthole: Porthole, session: Session) -> Session:
    """Return the session once it runs again after its windows were lost."""
    wait_for(lambda: porthole.sessions.get(session.id).restarts > session.restarts, 60)
    found = porthole.sessions.wait_ready(session.id, timeout=60)
    stories = [event.reason for event in porthole.sessions.events(session.id)]
    assert "WindowsLost" in stories
    return found


def test_a_life_of_an_instance(up: Up) -> None:
    up.start()
    status = status_of(up.home)
    assert status["ready"]
    assert {part["name"] for part in status["parts"]} == {
        "up",
        "postgres",
        "control-plane",
        "agent",
    }
    assert all(part["pid"] for part in status["parts"])

    made = up.run("token", "create", "--name", "X")
    token = made.stdout.splitlines()[-1]
    with Porthole(f"http://127.0.0.1:{up.port}", token) as porthole:
        assert porthole.people.me().is_admin

    with up.client() as porthole:
        session = porthole.sessions.wait_ready(porthole.sessions.create("desktop", home="work").id)
        assert session.restarts == 0

        # A second one is told in a sentence, whichever of the two it shares.
        second = subprocess.run(up.command(), capture_output=True, text=True, check=False)
        assert second.returncode == 7
        assert "already runs with the home" in second.stderr
        other = up.command("--home", str(up.home.path.parent / "other"))
        second = subprocess.run(other, capture_output=True, text=True, check=False)
        assert second.returncode == 7
        assert f"Port {up.port}" in second.stderr

        # What dies is started again, and the desktop does not notice.
        for part in ("postgres", "control-plane", "agent"):
            before, pid = up.restarts(part), up.pid(part)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda part=part, before=before: up.restarts(part) > before, 30)
            wait_for(lambda: status_of(up.home)["ready"], 60)
        wait_for(lambda: [agent.linked for agent in porthole.agents.list()] == [True], 30)
        assert porthole.sessions.get(session.id).phase is Phase.RUNNING
        assert porthole.sessions.get(session.id).restarts == 0

        up.stop()
        assert up.process is not None
        assert up.process.returncode == 0
        assert up.left() == []

    # On another port, after a good end.
    up.port = free_port()
    up.start()
    with up.client() as porthole:
        session = restarted(porthole, session)
        assert session.home == "work"

        # And after the worst one.
        assert up.process is not None
        up.process.kill()
        up.process.wait()
    up.start()
    with up.client() as porthole:
        session = restarted(porthole, session)
        assert up.run("session", "delete", session.name, "--wait").returncode == 0
        with pytest.raises(Conflict):
            porthole.agents.join_token("local")


def test_a_database_that_does_not_start_is_told_with_its_own_words(up: Up) -> None:
    (up.home.path / "postgres").mkdir(parents=True)
    (up.home.path / "postgres" / "data").mkdir()
    failed = subprocess.run(up.command(), capture_output=True, text=True, check=False, timeout=120)
    assert failed.returncode == 1
    assert "postgres did not come up" in failed.stderr
    assert "The end of" in failed.stderr
    assert "Traceback" not in failed.stderr
