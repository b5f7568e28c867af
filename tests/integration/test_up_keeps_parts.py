"""Parts as real processes: kept running, ended in order, and never left behind."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.up import command, leftovers, locks, record
from porthole_client.cli.up.keeper import Keeper
from porthole_client.cli.up.plan import Part, part_lock
from porthole_client.cli.up.processes import Identity, holders, wait_over
from porthole_client.cli.up.record import PartRecord, Record
from porthole_client.home import Home
from tests.support.waiting import until

QUIET = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
HALF_GONE = (
    # Its first thread ends alone (exit, not exit_group), another holds its files a while longer.
    "import ctypes, signal, threading, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "threading.Thread(target=lambda: time.sleep(2.5)).start()\n"
    "ctypes.CDLL(None).syscall(60, 0)\n"
)
"""A process that looks like one that is over; 60 is `exit` on x86-64."""
WITH_CHILD = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    f"print('child', subprocess.Popen([sys.executable, '-c', {QUIET!r}]).pid, flush=True);"
    "time.sleep(600)"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    command.make_home(made)
    return made


class Kept:
    """A keeper whose record is kept, too."""

    def __init__(
        self, home: Home, code: str, *, patience: float = 5, afterwards: str | None = None
    ) -> None:
        self.records: list[PartRecord] = []
        self.said: list[str] = []
        python = (sys.executable, "-c")
        later = (*python, afterwards) if afterwards else ()
        part = Part("part", (*python, code), {}, patience, afterwards=later)
        self.keeper = Keeper(part, home, changed=self.records.append, say=self.said.append)

    @property
    def process(self) -> Identity:
        found = self.records[-1].process
        assert found is not None
        return found


async def test_a_part_that_is_killed_is_started_again(home: Home) -> None:
    kept = Kept(home, QUIET)
    await kept.keeper.start()
    first = kept.process
    first.send(signal.SIGKILL)
    await until(lambda: kept.process != first)
    second = kept.process
    assert kept.keeper.restarts == 1
    assert second.is_alive()
    assert kept.said == ["part was ended by SIGKILL; it is started again"]
    await kept.keeper.stop()
    assert not second.is_alive()
    assert locks.is_free(part_lock(home, "part"))


async def test_a_part_that_cannot_be_started_for_a_while_is_started_then(home: Home) -> None:
    kept = Kept(home, QUIET)
    await kept.keeper.start()
    first = kept.process
    kept.keeper.log.unlink()
    kept.keeper.log.mkdir()  # nothing can be opened there, as on a disk that is full
    first.send(signal.SIGKILL)
    await until(lambda: any("could not be started" in said for said in kept.said))
    kept.keeper.log.rmdir()
    await until(lambda: kept.process != first)
    assert kept.process.is_alive()
    await kept.keeper.stop()


async def test_a_part_that_does_not_listen_is_ended_with_its_children(home: Home) -> None:
    kept = Kept(home, WITH_CHILD, patience=0.3)
    await kept.keeper.start()
    await until(lambda: kept.keeper.said("child"))
    child = Identity.of(int(kept.keeper.log.read_text().split()[1]))
    assert child is not None
    await kept.keeper.stop()
    assert wait_over([child], 5)
    assert "did not end when asked" in kept.said[-1]


@pytest.mark.parametrize(
    ("code", "tidied"),
    [
        ("import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); ", False),
        ("", True),  # SIGTERM ends it before it could do anything about it
    ],
)
async def test_what_a_part_left_when_it_ended_badly_is_ended(
    home: Home, code: str, *, tidied: bool
) -> None:
    kept = Kept(home, f"{code}print('ready', flush=True); {QUIET}", afterwards="print('tidy')")
    await kept.keeper.start()
    await until(lambda: kept.keeper.said("ready"))
    await kept.keeper.stop()
    assert kept.keeper.said("tidy") is tidied


async def test_what_a_part_has_started_outlives_it(home: Home) -> None:
    """An agent that is killed is started again and finds its desktops running."""
    starts_one = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "print('ready', os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    kept = Kept(home, starts_one)
    await kept.keeper.start()
    await until(lambda: len(kept.keeper.log.read_text().splitlines()) == 2)
    pids = {int(line.split()[1]) for line in kept.keeper.log.read_text().splitlines()}
    first = kept.process
    child = Identity.of((pids - {first.pid}).pop())
    assert child is not None
    first.send(signal.SIGKILL)
    await until(lambda: kept.keeper.restarts == 1 and kept.process != first)
    assert child.is_alive()
    await kept.keeper.stop()
    for left in holders(part_lock(home, "part")):
        left.send(signal.SIGKILL)
    assert wait_over([child], 5)


async def test_what_a_part_says_is_in_its_log_for_its_owner_only(home: Home) -> None:
    kept = Kept(home, "print('ready: it is', flush=True); " + QUIET)
    await kept.keeper.start()
    await until(lambda: kept.keeper.said("ready"))
    assert kept.keeper.log.stat().st_mode & 0o777 == 0o600
    await kept.keeper.stop()


async def test_a_part_gets_no_token_of_the_person_who_starts_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTHOLE_TOKEN", "pht_secret")
    kept = Kept(home, "import os; print('got', os.environ.get('PORTHOLE_TOKEN')); " + QUIET)
    await kept.keeper.start()
    await until(lambda: kept.keeper.said("got"))
    assert kept.keeper.log.read_text() == "got None\n"
    await kept.keeper.stop()


def killed_up(home: Home, code: str) -> Identity:
    """Start a part in an `up` of its own, kill that `up`, and return the part's process."""
    program = (
        "import asyncio, os, sys, time\n"
        "from pathlib import Path\n"
        "from porthole_client.cli.up.keeper import Keeper\n"
        "from porthole_client.cli.up.plan import Part\n"
        "from porthole_client.cli.up.processes import Identity\n"
        "from porthole_client.cli.up.record import Record\n"
        "from porthole_client.home import Home\n"
        "home = Home(Path(sys.argv[1]))\n"
        "part = Part('part', (sys.executable, '-c', sys.argv[2]), {}, 5)\n"
        "me = Record(up=Identity.of(os.getpid()))\n"
        "changed = lambda it: me.with_part(it).write(home)\n"
        "async def main():\n"
        "    await Keeper(part, home, changed=changed, say=print).start()\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    up = subprocess.Popen([sys.executable, "-c", program, str(home.path), code])
    try:
        deadline = time.monotonic() + 10
        while True:
            seen = record.read(home)
            if seen is not None and seen.parts and seen.parts[0].process is not None:
                # Long enough for the program to have said what it does with signals.
                time.sleep(0.3)
                return seen.parts[0].process
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        up.kill()
        up.wait()


def test_a_part_is_asked_to_end_when_up_is_killed(home: Home) -> None:
    assert wait_over([killed_up(home, QUIET)], 5)
    assert leftovers.end(home) == []


def test_the_next_up_ends_what_would_not(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.3)
    left = killed_up(home, STUBBORN)
    assert left.is_alive()
    assert holders(part_lock(home, "part")) == [left]
    assert leftovers.end(home) == ["part"]
    assert not left.is_alive()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_one_whose_threads_still_end_is_waited_for(home: Home) -> None:
    left = killed_up(home, HALF_GONE)
    assert not left.is_alive()
    lock = part_lock(home, "part")
    assert not locks.is_free(lock)
    assert leftovers.end(home) == ["part"]
    assert locks.is_free(lock)


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(home: Home) -> None:
    somebody = subprocess.Popen([sys.executable, "-c", QUIET])
    try:
        now = Identity.of(somebody.pid)
        assert now is not None
        earlier = Identity(now.pid, now.started - 1, now.boot)
        Record(earlier, (PartRecord("part", earlier),)).write(home)
        assert leftovers.end(home) == []
        assert now.is_alive()
    finally:
        somebody.kill()
        somebody.wait()


def test_a_second_up_of_one_home_is_told_so(home: Home) -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    Record(me).write(home)
    with (
        command.held(home),
        pytest.raises(Failure, match=str(me.pid)) as caught,
        command.held(home),
    ):
        pass
    assert caught.value.code is Exit.CONFLICT


def test_a_port_that_is_taken_is_told_so() -> None:
    with command.socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"Port {port} .* --port"):
            command.check_port(port, None)


def test_an_address_that_is_not_ours_is_told_so() -> None:
    with pytest.raises(Failure, match=r"192\.0\.2\.77"):
        command.check_port(0, "192.0.2.77")
