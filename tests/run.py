"""Every check and test of the project, stage by stage: what `./porthole test` runs.

Each stage is printed with its time and the time that it should take; a stage over its
budget is worth a look, but only the limit on the whole ends a run. Stages of one group run
side by side. Where real machines, clusters and browsers take part, a test that fails is run
once more, and named either way: what is broken fails twice. Whatever a stage started is
ended with it, also what it left in the background: this program is the reaper of its orphans.

`./porthole test unit house` runs the named stages alone; arguments after `--` go to pytest.
The last line is pytest's own closing line, summed over the stages.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "control_plane" / "web"
LIMIT = 70 * 60.0  # seconds for the whole run
GRACE = 10.0  # seconds between asking a stage to end and ending it
_REAPED_EVERY = 5.0  # seconds
_SHOWN = 60  # lines of a stage that is stopped
_SET_CHILD_SUBREAPER = 36
_COUNT = re.compile(
    r"(\d+) (passed|failed|skipped|deselected|xfailed|xpassed|warning|error|rerun)s?\b"
)
_CLOSING = re.compile(r"^(=+ )?(no tests ran|\d+ [a-z]+.*) in [\d.]+s( \([\d:]+\))?( =+)?$")


@dataclass(frozen=True)
class Stage:
    """One check: a command, how long it should take, and when it applies.

    Stages with the same `beside` run at the same time. `needs` is a path without which
    there is nothing to check.
    """

    name: str
    command: tuple[str, ...]
    budget: float
    beside: str = ""
    pytest: bool = False
    needs: Path = ROOT


@dataclass
class Run:
    """A stage that runs: its process, its output so far, and when it began."""

    stage: Stage
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    begun: float = field(default_factory=time.monotonic)


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / name), *arguments)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *arguments)


def _real(*arguments: str) -> tuple[str, ...]:
    """Return a pytest for tests that depend on more than on us."""
    return _pytest("--reruns", "1", "--reruns-delay", "2", "-rR", *arguments)


def stages(extra: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    """Return all stages in their order; `extra` goes to every pytest."""
    tests = ROOT / "tests"
    on_an_api_server = tests / "integration" / "cluster"
    unit = ("--disable-socket", "--allow-unix-socket", "tests/unit", "tests/compat")
    return (
        Stage("environment", (sys.executable, "-m", "tests.prepare"), 600),
        Stage("ruff", _tool("ruff", "check", "--output-format", "concise", "."), 5, "lint"),
        Stage("format", _tool("ruff", "format", "--check", "."), 5, "lint"),
        Stage("imports", _tool("lint-imports", "--no-cache"), 20, "lint"),
        Stage("mypy", _tool("mypy"), 120, "lint"),
        Stage("web", (sys.executable, "tests/web.py"), 180, needs=WEB / "package.json"),
        Stage("unit", _pytest(*unit, *extra), 60, pytest=True),
        Stage("house", _pytest("tests/house", "tests/compat", *extra), 60, pytest=True),
        Stage("migration", _pytest("tests/migration", *extra), 60, pytest=True),
        Stage(
            "integration",
            _real("tests/integration", f"--ignore={on_an_api_server}", *extra),
            600,
            "integration",
            pytest=True,
            needs=tests / "integration",
        ),
        Stage(
            "api server",
            _real(str(on_an_api_server), *extra),
            600,
            "integration",
            pytest=True,
            needs=on_an_api_server,
        ),
        Stage("chart", _real("tests/chart", *extra), 120, pytest=True),
        Stage("images", _real("tests/images", *extra), 300, pytest=True),
        Stage("e2e", _real("e2e", *extra), 600, pytest=True, needs=ROOT / "e2e" / "conftest.py"),
    )


class Stopped(Exception):
    """The run was ended from outside, or by its limit; `str()` says which."""


def _processes() -> dict[int, tuple[int, str]]:
    """Return every process of the machine with its parent and its state."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            found[int(entry.name)] = (int(parent), state)
    return found


def descendants() -> list[int]:
    """Return the process ids of everything that this program started and that still runs."""
    everything = _processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in everything.items():
        children.setdefault(parent, []).append(pid)
    found, look = [], [os.getpid()]
    while look:
        more = children.get(look.pop(), [])
        found += more
        look += more
    return [pid for pid in found if everything[pid][1] not in "ZX"]


def reap(keep: frozenset[int] = frozenset()) -> None:
    """Collect the orphans that have ended; `keep` are the stages' own, their Popen's business."""
    me = os.getpid()
    for pid, (parent, state) in _processes().items():
        if parent == me and state == "Z" and pid not in keep:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_all() -> int:
    """End what is left of the stages; return how many processes that were."""
    left = descendants()
    for sent in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        while descendants() and time.monotonic() < until:
            reap()
            time.sleep(0.1)
    reap()
    return len(left)


def start(stage: Stage) -> Run:
    """Start a stage in a process group of its own, its output kept in a file."""
    output = tempfile.TemporaryFile()  # noqa: SIM115 - `finish` closes it
    colours = {"FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"}
    inherited = {key: value for key, value in os.environ.items() if key not in colours}
    environment = {**inherited, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    process = subprocess.Popen(
        stage.command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Run(stage, process, output)


def tail(run: Run) -> str:
    """Return the last lines that a stage that still runs has printed."""
    run.output.seek(0)
    return "\n".join(run.output.read().decode(errors="replace").splitlines()[-_SHOWN:])


def finish(run: Run, totals: Counter[str]) -> bool:
    """Print how a stage went, add its tests to `totals`, return whether it passed."""
    took = time.monotonic() - run.begun
    run.output.seek(0)
    text = run.output.read().decode(errors="replace").rstrip()
    run.output.close()
    code = run.process.returncode
    lines = text.splitlines()
    closing = next((line for line in reversed(lines) if _CLOSING.match(line)), "")
    counted = {what: int(number) for number, what in _COUNT.findall(closing)}
    # 5 is pytest's "there are no tests here".
    passed = code == 0 or (run.stage.pytest and code == 5)
    if run.stage.pytest:
        totals.update(counted)
    if not passed and not counted.keys() & {"failed", "error"}:
        totals["error"] += 1
    if not passed:
        print(text, flush=True)
    else:
        for again in (line for line in lines if line.startswith("RERUN ")):
            print(f"        passed the second time:{again.removeprefix('RERUN')}", flush=True)
    word = "ok" if passed else "FAILED"
    over = "  over its budget" if took > run.stage.budget else ""
    note = f"  {closing.strip('= ')}" if closing else ""
    print(
        f"{word:>6}  {run.stage.name:<12} {took:6.1f} s of {run.stage.budget:.0f} s{over}{note}",
        flush=True,
    )
    return passed


def run_all(wanted: tuple[Stage, ...], totals: Counter[str], until: float) -> list[str]:
    """Run the stages, neighbours of one group together; return the names of what failed.

    Raises:
        Stopped: the time was over.
    """
    failed: list[str] = []
    waiting = list(wanted)
    reaped = time.monotonic()
    while waiting:
        group = [waiting.pop(0)]
        while waiting and waiting[0].beside and waiting[0].beside == group[0].beside:
            group.append(waiting.pop(0))
        running = [start(stage) for stage in group]
        while running:
            if time.monotonic() > until:
                for run in running:
                    print(tail(run), flush=True)
                names = " and ".join(run.stage.name for run in running)
                raise Stopped(f"Stopped after {LIMIT / 60:.0f} minutes, in {names}: too long.")
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                if not finish(run, totals):
                    failed.append(run.stage.name)
            if time.monotonic() > reaped + _REAPED_EVERY:
                reaped = time.monotonic()
                reap(keep=frozenset(run.process.pid for run in running))
            time.sleep(0.05)
        left = end_all()
        if left:
            print(f"        {left} processes that it left behind were ended", flush=True)
    return failed


def closing_line(totals: Counter[str], took: float) -> str:
    """Return pytest's closing line for all stages together."""
    order = (
        *("failed", "passed", "skipped", "deselected", "xfailed", "xpassed"),
        *("warning", "error", "rerun"),
    )
    plural = {"warning", "error"}
    parts = [
        f"{totals[what]} {what}{'s' if what in plural and totals[what] > 1 else ''}"
        for what in order
        if totals[what]
    ]
    return f"{', '.join(parts) or 'no tests ran'} in {took:.2f}s"


def _stop(signum: int, _frame: object) -> None:
    raise Stopped(f"Stopped by {signal.Signals(signum).name}.")


def main(arguments: list[str]) -> int:
    """Run what `arguments` name (all, if nothing); return the exit code."""
    begun = time.monotonic()
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, extra = arguments[:cut], tuple(arguments[cut + 1 :])
    known = {stage.name: stage for stage in stages(extra)}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"No stage is called {unknown[0]!r}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    wanted = tuple(
        stage
        for stage in known.values()
        if (not names or stage.name in names) and stage.needs.exists()
    )
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sent, _stop)
    totals: Counter[str] = Counter()
    try:
        failed = run_all(wanted, totals, begun + LIMIT)
    except Stopped as stopped:
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sent, signal.SIG_IGN)
        end_all()
        print(stopped, flush=True)
        totals["error"] += 1
        failed = [str(stopped)]
    else:
        if failed:
            print(f"Broken: {', '.join(failed)}", flush=True)
    print(closing_line(totals, time.monotonic() - begun), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
