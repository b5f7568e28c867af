"""What a benchmark says, and how it is shown and kept."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Figure:
    """One figure.

    `value` and `baseline` have the same unit; the baseline was measured in the same run, or
    is the promise itself where `against` says so. `better` says in which direction. `goal`
    is what `judged` (the ratio or the value) has to reach; without one nothing was promised.
    """

    name: str
    value: float
    unit: str
    baseline: float
    against: str
    better: Literal["more", "less"]
    goal: float | None = None
    judged: Literal["ratio", "value", "difference"] = "ratio"
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times the baseline it is."""
        return self.value / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if there is none."""
        if self.goal is None:
            return None
        seen = {
            "ratio": self.ratio,
            "value": self.value,
            "difference": self.value - self.baseline,
        }[self.judged]
        return seen >= self.goal if self.better == "more" else seen <= self.goal


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def at_percentiles(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    against: str,
    goal: float | None = None,
    judged: Literal["ratio", "difference"] = "ratio",
    note: str = "",
) -> list[Figure]:
    """Return the median and the 99th percentile of seconds, in milliseconds; less is better."""
    return [
        Figure(
            name=f"{name}, p{percent}",
            value=percentile(ours, percent) * 1000,
            unit="ms",
            baseline=percentile(theirs, percent) * 1000,
            against=against,
            better="less",
            goal=goal,
            judged=judged,
            note=note,
        )
        for percent in (50, 99)
    ]


def check(figures: Sequence[Figure]) -> None:
    """Refuse figures whose baseline is missing.

    Raises:
        ValueError: one has none.
    """
    for figure in figures:
        if not (figure.baseline > 0 and math.isfinite(figure.baseline)):
            raise ValueError(f"{figure.name}: its baseline was not measured")
        if not math.isfinite(figure.value):
            raise ValueError(f"{figure.name}: it was not measured")


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("figure", "measured", "baseline", "ratio", "goal", ""):
        table.add_column(heading, justify="left" if heading in {"figure", ""} else "right")
    for one in figures:
        goal = ""
        if one.goal is not None:
            sign = "≥" if one.better == "more" else "≤"
            goal = f"{sign} {one.goal:g}" + {"ratio": " times", "value": f" {one.unit}"}.get(
                one.judged, f" {one.unit} more"
            )
        table.add_row(
            one.name,
            f"{one.value:,.1f} {one.unit}",
            f"{one.baseline:,.1f} {one.unit} {one.against}",
            f"{one.ratio:.2f} times",
            goal,
            {True: "met", False: "NOT MET", None: ""}[one.met],
        )
    Console(width=150).print(table)


def keep(figures: Sequence[Figure]) -> None:
    """Write the results; figures of other benchmarks, measured before, stay."""
    try:
        before = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    except FileNotFoundError:
        before = {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    for one in figures:
        before[one.name] = {
            **asdict(one),
            "ratio": round(one.ratio, 4),
            "met": one.met,
            "measured_at": now,
            "machine": machine,
        }
    content = {"figures": dict(sorted(before.items()))}
    RESULTS.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
