"""What is kept of stories that were told: a line for each time, and the logs of those that failed.

The log is a file of JSON lines to which several runs may append at once.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("agent", "client", "contract", "control_plane", "desktop")
"""The rooms whose programs take part in the stories."""


def commit(rooms: Sequence[str] = PROGRAMS) -> str:
    """Return the newest change of the programs; with a plus if more is not committed."""

    def git(*words: str) -> str:
        command = ["git", *words, "--", *rooms]
        done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")


@dataclass(frozen=True)
class Line:
    """One time that a story was told: how it went, how long it took, in which circumstances.

    `at` is UTC, as ISO 8601 has it; `load` is the machine's, over the last minute; `figures` are
    what the story has measured.
    """

    story: str
    outcome: Literal["passed", "failed"]
    seconds: float
    at: str
    load: float
    commit: str
    figures: dict[str, float] = field(default_factory=dict)


class Log:
    """A folder with what was told so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "told.jsonl"

    def add(self, line: Line) -> None:
        """Write down one time that a story was told."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")

    def read(self) -> dict[str, list[Line]]:
        """Return, for each story that was told, its lines in their order."""
        told: dict[str, list[Line]] = {}
        if self._file.exists():
            for text in self._file.read_text(encoding="utf-8").splitlines():
                line = Line(**json.loads(text))
                told.setdefault(line.story, []).append(line)
        return told


class Recorder:
    """A plugin of pytest that writes into a log while stories are told.

    Args:
        log: where to.
        rooms: whose programs take part.
    """

    def __init__(self, log: Log, rooms: Sequence[str] = PROGRAMS) -> None:
        self._log = log
        self._commit = commit(rooms)
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what a story said and wrote when it failed."""
        report = yield
        self._reports.append(report)
        if report.failed:
            folder = self._log.folder / item.callspec.id / datetime.now(UTC).strftime("%H%M%S")
            folder.mkdir(parents=True, exist_ok=True)
            home = item.funcargs.get("home")
            if isinstance(home, Path) and (home / "log").is_dir():
                shutil.copytree(home / "log", folder, dirs_exist_ok=True)
            said = [report.longreprtext, *(text for _, text in report.sections)]
            (folder / f"{report.when}.txt").write_text("\n".join(said), encoding="utf-8")
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, object, object]:
        """Write the line of a story that is over."""
        self._reports.clear()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        done = yield
        # Nothing of this happens to a story that was interrupted.
        line = Line(
            story=item.callspec.id,
            outcome="passed" if all(one.passed for one in self._reports) else "failed",
            seconds=round(sum(one.duration for one in self._reports), 1),
            at=at,
            load=round(os.getloadavg()[0], 1),
            commit=self._commit,
            figures=dict(figure for one in self._reports[-1:] for figure in one.user_properties),
        )
        self._log.add(line)
        return done
