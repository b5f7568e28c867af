"""The program behind `./porthole test` ends what its stages have started, and tries twice."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from tests import run

daemon = (
    "import os, sys, time\\n"
    "if os.fork(): time.sleep(float(sys.argv[2])); sys.exit()\\n"
    "os.setsid()\\n"
    "open(sys.argv[1], 'w').write(str(os.getpid()))\\n"
    "time.sleep(600)\\n"
)
stage = run.Stage("one", (sys.executable, "-c", daemon, sys.argv[1], sys.argv[2]), 60)
run.stages = lambda extra=(): (stage,)
run.LIMIT = float(sys.argv[3])
sys.exit(run.main([]))
"""

TESTS = """
from pathlib import Path

def test_well(): pass
def test_broken(): assert {broken!r} == "no"
def test_unlucky():
    seen = Path(__file__).with_name("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError
"""
TWICE = """
import sys
from tests import run

stage = run._real(
    "one", 60, "-p", "no:asyncio", "--rootdir", sys.argv[1], sys.argv[1], lane=""
)
run.stages = lambda extra=(): (stage,)
sys.exit(run.main([]))
"""


def start(pid: Path, *, stage: float, limit: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(pid), str(stage), str(limit)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ran(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def daemon_of(pid: Path) -> int:
    until = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return int(pid.read_text())


def is_over(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_a_stage_left_in_the_background_is_ended(tmp_path: Path) -> None:
    running = start(tmp_path / "pid", stage=1, limit=60)
    output, _ = running.communicate(timeout=60)
    assert "1 processes that it left behind were ended" in output
    assert running.returncode == 0
    assert is_over(daemon_of(tmp_path / "pid"))


def test_a_run_that_takes_too_long_stops_in_words(tmp_path: Path) -> None:
    running = start(tmp_path / "pid", stage=600, limit=2)
    output, _ = running.communicate(timeout=60)
    assert "in one: too long" in output
    assert output.splitlines()[-1].startswith("1 error in ")
    assert running.returncode == 1
    assert is_over(daemon_of(tmp_path / "pid"))


HANGS = """
import time

def test_broken(): assert "the reason" == "none"
def test_well(): pass
def test_hangs(): time.sleep(600)  # it is here
"""
STOPPED = """
import sys
from tests import run

stage = run._real(
    "one", 60, "-p", "no:asyncio", "--rootdir", sys.argv[1], sys.argv[1], lane=""
)
run.stages = lambda extra=(): (stage,)
run.LIMIT = 6.0
sys.exit(run.main([]))
"""


def test_tests_that_take_too_long_say_what_failed_and_what_they_were_at(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    done = ran(STOPPED, tmp_path)
    assert done.returncode == 1
    assert "in one: too long" in done.stdout
    assert "'the reason' == 'none'" in done.stdout
    assert re.search(r"test_hangs\.py:6: KeyboardInterrupt", done.stdout), done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_a_run_that_is_told_to_end_ends_everything(tmp_path: Path) -> None:
    running = start(tmp_path / "pid", stage=600, limit=60)
    left = daemon_of(tmp_path / "pid")
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=60)
    assert "Stopped by SIGTERM." in output
    assert running.returncode == 1
    assert is_over(left)


@pytest.mark.parametrize(
    ("broken", "code", "closing"),
    [("no", 0, "3 passed, 1 rerun in "), ("yes", 1, "1 failed, 2 passed, 2 rerun in ")],
)
def test_what_fails_on_real_parts_is_run_once_more_and_named(
    tmp_path: Path, broken: str, code: int, closing: str
) -> None:
    (tmp_path / "test_luck.py").write_text(TESTS.format(broken=broken))
    done = ran(TWICE, tmp_path)
    assert done.returncode == code, done.stdout
    lines = done.stdout.splitlines()
    named = [line for line in lines if "passed the second time" in line]
    assert [line.rpartition("::")[2] for line in named] == ["test_unlucky"]
    assert lines[-1].startswith(closing)
    assert ("Broken: one" in lines) == bool(code)


LANES = """
import sys
from tests import run

def stage(name, lane, *code):
    return run.Stage(name, (sys.executable, "-c", "; ".join(code)), 60, "group", lane)

meet = "import os, sys, time; [time.sleep(0.05) for _ in range(400) if not os.path.exists({0!r})]"
touch = "open({0!r}, 'x')"
folder = sys.argv[1]
here, there = folder + "/here", folder + "/there"
run.stages = lambda extra=(): (
    stage("first", "one", touch.format(here), meet.format(there), "sys.exit(1)"),
    stage("second", "one", "import os", f"os.remove({here!r})"),
    stage("beside", "two", meet.format(here), touch.format(there)),
)
sys.exit(run.main([]))
"""


def test_lanes_go_side_by_side_and_the_stages_of_one_in_turn(tmp_path: Path) -> None:
    """Each of two waits for the other; what comes after one that failed is done all the same."""
    done = ran(LANES, tmp_path)
    words = [line.split()[:2] for line in done.stdout.splitlines() if " s of 60 s" in line]
    assert sorted(words) == [["FAILED", "first"], ["ok", "beside"], ["ok", "second"]], done.stdout
    assert words.index(["FAILED", "first"]) < words.index(["ok", "second"])
    assert "Broken: first" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
