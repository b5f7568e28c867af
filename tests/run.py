"""Every check and test of the project, stage by stage: what `./porthole test` runs.

Each stage is printed with its time and the time that it should take; a stage over its
budget is worth a look, but only the limit on the whole ends a run. The lanes of one group run
side by side, the stages of one lane one after another. Where real machines, clusters and
browsers take part, the few tests that fail are run once more, when the group has ended, in a
process of their own, and named either way: what is broken fails twice.
Whatever a stage started is ended with it, also what it left in the background.

`./porthole test unit house` runs the named stages alone; arguments after `--` go to pytest.
The last line is pytest's own closing line, summed over the stages.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import IO

from tests.support.reaper import adopt, end_all, reap

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "control_plane" / "web"
LIMIT = 70 * 60.0  # seconds for the whole run
_REAPED_EVERY = 5.0  # seconds
_SHOWN = 300  # lines of a stage that is stopped
_LAST_WORDS = 60.0  # seconds that a stage that is stopped has to say how far it came
_FEW = 10  # failed tests that may be the machine's fault; more are broken
_FAILED_TESTS = 1  # pytest's exit code
_COUNT = re.compile(
    r"(\d+) (passed|failed|skipped|deselected|xfailed|xpassed|warning|error|rerun)s?\b"
)
_BAD = frozenset({"failed", "error"})
_BROKEN = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
_CLOSING = re.compile(r"^(=+ )?(no tests ran|\d+ [a-z]+.*) in [\d.]+s( \([\d:]+\))?( =+)?$")


@dataclass(frozen=True)
class Stage:
    """One check: a command, how long it should take, and when it applies.

    Stages with the same `beside` run at the same time, but for those of one `lane`. `needs`
    is a path without which there is nothing to check. What fails in a `twice` stage is run
    once more.
    """

    name: str
    command: tuple[str, ...]
    budget: float
    beside: str = ""
    lane: str = ""
    pytest: bool = False
    needs: Path = ROOT
    twice: bool = False


@dataclass(eq=False)
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


def _real(name: str, budget: float, *arguments: str, lane: str) -> Stage:
    """Return a stage of tests that depend on more than on us."""
    command = _pytest(*arguments)
    return Stage(name, command, budget, "real", lane, pytest=True, twice=True)


def stages(extra: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    """Return all stages in their order; `extra` goes to every pytest."""
    on_an_api_server = "tests/integration/cluster"
    unit = ("--disable-socket", "--allow-unix-socket", "tests/unit", "tests/compat")
    # Whole files in their order, each by one process: much of their time is waiting.
    shared = ("--dist", "loadfile", "--no-loadscope-reorder")
    return (
        Stage("environment", (sys.executable, "-m", "tests.prepare"), 600),
        Stage("ruff", _tool("ruff", "check", "--output-format", "concise", "."), 5, "lint"),
        Stage("format", _tool("ruff", "format", "--check", "."), 5, "lint"),
        Stage("imports", _tool("lint-imports", "--no-cache"), 20, "lint"),
        Stage("mypy", _tool("mypy"), 120, "lint"),
        Stage("web", (sys.executable, "tests/web.py"), 180, "quick", needs=WEB / "package.json"),
        Stage("unit", _pytest(*unit, *extra), 90, "quick", pytest=True),
        Stage("model", _pytest("tests/model", *extra), 30, "quick", pytest=True),
        Stage("house", _pytest("tests/house", "tests/compat", *extra), 60, "quick", pytest=True),
        Stage("migration", _pytest("tests/migration", *extra), 60, "quick", pytest=True),
        _real(
            *("integration", 1200, "-n", "2", *shared),
            *("tests/integration", f"--ignore={on_an_api_server}", *extra),
            lane="machine",
        ),
        _real("chart", 120, "tests/chart", *extra, lane="machine"),
        _real("images", 400, "tests/images", *extra, lane="machine"),
        _real("e2e", 900, "e2e", *extra, lane="machine"),
        _real("api server", 600, "-n", "2", *shared, on_an_api_server, *extra, lane="cluster"),
        _real("cluster", 1500, "e2e", "-m", "cluster", *extra, lane="cluster"),
    )


class Stopped(Exception):
    """The run was ended from outside, or by its limit; `str()` says which."""


def start(stage: Stage, cache: Path, *, again: bool = False) -> Run:
    """Start a stage in a process group of its own, its output kept in a file.

    `cache` is where pytest notes what failed; `again` runs that alone.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115 - `read` closes it
    colours = {"FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"}
    inherited = {key: value for key, value in os.environ.items() if key not in colours}
    environment = {**inherited, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    command = stage.command
    if stage.pytest:
        command += ("-o", f"cache_dir={cache / stage.name}")
    if again:
        command += ("--last-failed", "--last-failed-no-failures=none")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Run(stage, process, output)


def interrupt(running: Collection[Run]) -> None:
    """Interrupt every pytest, which says then what has failed so far, and what it was at."""
    asked = [run.process for run in running if run.stage.pytest]
    for process in asked:
        process.send_signal(signal.SIGINT)
    until = time.monotonic() + _LAST_WORDS
    while any(process.poll() is None for process in asked) and time.monotonic() < until:
        time.sleep(0.1)


def tail(run: Run) -> str:
    """Return the last lines that a stage has printed so far."""
    run.output.seek(0)
    return "\n".join(run.output.read().decode(errors="replace").splitlines()[-_SHOWN:])


@dataclass(frozen=True)
class Result:
    """What a stage that has ended has printed, and what that means."""

    stage: Stage
    code: int
    took: float
    """Seconds."""
    text: str

    @property
    def closing(self) -> str:
        """The last closing line of pytest, if there is one."""
        lines = reversed(self.text.splitlines())
        return next((line for line in lines if _CLOSING.match(line)), "")

    @property
    def counted(self) -> Counter[str]:
        """How many tests did what, and an error if it is broken without saying so."""
        counted: Counter[str] = Counter()
        if self.stage.pytest:
            counted.update({what: int(number) for number, what in _COUNT.findall(self.closing)})
        if not self.passed and not counted.keys() & _BAD:
            counted["error"] = 1
        return counted

    @property
    def passed(self) -> bool:
        # 5 is pytest's "there are no tests here".
        return self.code == 0 or (self.stage.pytest and self.code == 5)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the tests that failed."""
        return tuple(dict.fromkeys(_BROKEN.findall(self.text)))

    @property
    def may_be_luck(self) -> bool:
        """Whether another try would tell more."""
        counted = self.counted
        few = bool(self.broken) and sum(counted[what] for what in _BAD) <= _FEW
        return self.stage.twice and self.code == _FAILED_TESTS and few

    def tell(self, word: str, margin: str = "") -> None:
        """Print how it went, and all that it said unless it passed."""
        if not self.passed:
            print(indent(self.text, margin), flush=True)
        over = "  over its budget" if self.took > self.stage.budget else ""
        note = f"  {self.closing.strip('= ')}" if self.closing else ""
        times = f"{self.took:6.1f} s of {self.stage.budget:.0f} s{over}"
        print(f"{word:>6}  {self.stage.name:<12} {times}{note}", flush=True)


def read(run: Run) -> Result:
    """Return the result of a stage that has ended."""
    took = time.monotonic() - run.begun
    run.output.seek(0)
    text = run.output.read().decode(errors="replace").rstrip()
    run.output.close()
    return Result(run.stage, run.process.returncode, took, text)


def together(lanes: Iterable[Iterator[Run]], until: float) -> Iterator[Result]:
    """Yield the results of lanes that run side by side; end what they left behind.

    A lane starts its next stage when it is asked for it.

    Raises:
        Stopped: the time was over.
    """
    running = {run: lane for lane in lanes if (run := next(lane, None)) is not None}
    reaped = time.monotonic()
    while running:
        if time.monotonic() > until:
            interrupt(running)
            for run in running:
                print(tail(run), flush=True)
            names = " and ".join(run.stage.name for run in running)
            raise Stopped(f"Stopped after {LIMIT / 60:.0f} minutes, in {names}: too long.")
        for run in [run for run in running if run.process.poll() is not None]:
            lane = running.pop(run)
            yield read(run)
            if (following := next(lane, None)) is not None:
                running[following] = lane
        if time.monotonic() > reaped + _REAPED_EVERY:
            reaped = time.monotonic()
            reap(keep=frozenset(run.process.pid for run in running))
        time.sleep(0.05)
    left = end_all()
    if left:
        print(f"        {left} processes that it left behind were ended", flush=True)


def second_try(first: Result, cache: Path, totals: Counter[str], until: float) -> bool:
    """Run what has failed once more, alone; return whether it passed now."""
    (second,) = together([iter([start(first.stage, cache, again=True)])], until)
    counted = second.counted
    totals["rerun"] += len(first.broken)
    totals.update({what: counted[what] for what in ("passed", "skipped", *_BAD)})
    for name in first.broken:
        if name not in second.broken:
            print(f"        passed the second time: {name}", flush=True)
    passed = second.code == 0  # not "there are no tests here": there was one to run again
    second.tell("ok" if passed else "FAILED")
    return passed


def run_all(
    wanted: tuple[Stage, ...], totals: Counter[str], until: float, cache: Path
) -> list[str]:
    """Run the stages, the lanes of one group together; return the names of what failed.

    Raises:
        Stopped: the time was over.
    """
    failed: list[str] = []
    for _, group in groupby(wanted, key=lambda stage: stage.beside or stage.name):
        luckless = []
        lanes: dict[str, list[Stage]] = {}
        for stage in group:
            lanes.setdefault(stage.lane or stage.name, []).append(stage)
        begun = [(start(stage, cache) for stage in lane) for lane in lanes.values()]
        for result in together(begun, until):
            counted = result.counted
            if result.may_be_luck:
                luckless.append(result)
                counted = Counter({what: counted[what] for what in counted.keys() - _BAD})
                result.tell("again", margin="  | ")
            else:
                result.tell("ok" if result.passed else "FAILED")
                if not result.passed:
                    failed.append(result.stage.name)
            totals.update(counted)
        failed += [
            first.stage.name for first in luckless if not second_try(first, cache, totals, until)
        ]
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
    adopt()
    for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sent, _stop)
    totals: Counter[str] = Counter()
    try:
        with tempfile.TemporaryDirectory(prefix="porthole-test-") as cache:
            failed = run_all(wanted, totals, begun + LIMIT, Path(cache))
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
