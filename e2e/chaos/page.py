"""`python -m e2e.chaos.page`: write what the log adds up to into `docs/faults.md`."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from e2e.chaos.faults import POINTS
from e2e.chaos.part import ROOT
from e2e.chaos.plan import CLASSIC, FAILPOINT, KINDS
from e2e.chaos.report import compared
from tests.support.planted import BUGS

PAGE = ROOT / "docs" / "faults.md"
LOG = ROOT / "e2e" / "chaos.jsonl"
PLANTED = ROOT / "e2e" / "chaos_planted.jsonl"
TIMES, TIMES_AT_POINTS, CALLS, MINUTES = 30, 10, 20_000, 120
"""What two hours are to have done: of each kind, at each failpoint, and in all."""
_PART = re.compile(
    r"(<!-- made by `python -m e2e\.chaos\.page`: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL
)
WHAT = {
    "postgres-restart": "the database is ended and started again",
    "backends-killed": "every connection to the database is ended by it",
    "pool-exhausted": "what every request needs is locked, so that each keeps a connection",
    "replica-kill": "a control plane is killed (-9)",
    "kills": "a control plane and an agent are killed again and again",
    "postgres-crash": "the database's first process is killed (-9), and it recovers",
    "connections-exhausted": "all connections that the database allows are taken",
    "read-only": "the database refuses to write",
    "restored": "the database is put back to what it was seconds before",
    "agent-kill": "an agent is killed (-9)",
    "agent-stopped": "an agent stands still (SIGSTOP) and goes on",
    "replica-stopped": "a control plane stands still (SIGSTOP) and goes on",
    "replicas-rolled": "one control plane after the other is ended and started",
    "desktop-kill": "the first process of a desktop is killed",
    "link-cut": "every link is broken",
    "link-drop": "three frames of ten are lost",
    "link-double": "half of the frames come twice",
    "link-delay": "each frame comes up to a second late",
    "link-half-open": "nothing passes, and nobody is told",
    "link-late": "frames come when the agent has long linked again",
    "clock-agent": "an agent's clock is wrong by up to an hour",
    "clock-replica": "a control plane's clock is wrong by up to an hour",
    "twin": "two processes have one agent's identity",
    "doorbells": "no doorbell is rung or heard",
    FAILPOINT: "a program kills itself at a named place",
}
"""What is done, by kind."""


def read(log: Path = LOG) -> list[dict[str, Any]]:
    """Return the segments of a log."""
    return [json.loads(text) for text in log.read_text().splitlines()] if log.exists() else []


def fresh(page: str, segments: Sequence[Mapping[str, Any]]) -> str:
    """Return the page with its parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]](segments)}\n{part[3]}", page)


def parts(page: str) -> list[str]:
    """Return which parts a page has."""
    return [part[2] for part in _PART.finditer(page)]


def added(segments: Sequence[Mapping[str, Any]], what: str) -> Counter[str]:
    """Return what segments have counted, together."""
    counts: Counter[str] = Counter()
    for one in segments:
        counts.update(one[what])
    return counts


def _head(segments: Sequence[Mapping[str, Any]]) -> str:
    if not segments:
        return "Nothing has been measured yet.\n"
    minutes = sum(one["minutes"] for one in segments)
    calls, found = added(segments, "calls"), added(segments, "violations")
    loads = [one["load"] for one in segments]
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    days = sorted({one["at"][:10] for one in segments})
    return _filled(
        f"{len(segments)} segments, {minutes:.0f} minutes of {MINUTES}, on {' and '.join(days)}: "
        f"{calls.total():,} commands were accepted of {CALLS:,} that it takes, "
        f"{sum(one['effects'] for one in segments):,} effects were seen on the machine, and "
        f"{added(segments, 'faults').total():,} faults were done. Violations: {told or 'none'}. "
        f"Calls whose answer a backup did not know that was put back: "
        f"{sum(one['after_a_backup'] for one in segments)}. The machine's load was "
        f"{min(loads):.0f} to {max(loads):.0f}."
    )


def _faults(segments: Sequence[Mapping[str, Any]]) -> str:
    times = added(segments, "faults")
    rows = ["| fault | what is done | times | during it |", "|---|---|---|---|"]
    for kind in (*KINDS, FAILPOINT):
        during = _during(segments, kind)
        rate = "" if during is None else f"{during:.1f}/s"
        least = TIMES_AT_POINTS * len(POINTS) if kind == FAILPOINT else TIMES
        rows.append(f"| `{kind}` | {WHAT[kind]} | {_of(times[kind], least)} | {rate} |")
    return "\n".join(rows) + "\n"


def _during(segments: Sequence[Mapping[str, Any]], kind: str) -> float | None:
    rates = [one["rates"]["during"] for one in segments]
    seen = [one[kind] for one in rates if kind in one]
    return sum(seen) / len(seen) if seen else None


def _recovery(segments: Sequence[Mapping[str, Any]]) -> str:
    rows = ["| fault | measured | otherwise | after it | recovery |", "|---|---|---|---|---|"]
    for kind in CLASSIC:
        seen = compared((one["rates"] for one in segments), kind)
        after = sum(one for one, _ in seen) / max(1, len(seen))
        calm = sum(one for _, one in seen) / max(1, len(seen))
        told = f"{calm:.1f}/s | {after:.1f}/s | {after / calm:.0%}" if seen else "| |"
        rows.append(f"| `{kind}` | {len(seen)} | {told} |")
    return "\n".join(rows) + "\n"


def _points(segments: Sequence[Mapping[str, Any]]) -> str:
    times = added(segments, "failpoints")
    rows = (f"| `{name}` | {_of(times[name], TIMES_AT_POINTS)} |" for name in POINTS)
    return "\n".join(("| failpoint | times |", "|---|---|", *rows)) + "\n"


def _bugs(_: Sequence[Mapping[str, Any]]) -> str:
    last = {one["bug"]: one for one in read(PLANTED)}
    rows = ["| bug | what it does | has to be found as | last run |", "|---|---|---|---|"]
    for name, bug in BUGS.items():
        expected = " or ".join(sorted(bug.is_found_as))
        rows.append(f"| `{name}` | {bug.what} | {expected} | {_how_found(last.get(name))} |")
    return "\n".join(rows) + "\n"


def _how_found(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "not yet"
    found = ", ".join(line["found_as"]) or "**not found**"
    return f"{found}, {line['seconds']} s"


def _of(count: int, least: int) -> str:
    return f"{count}" if count >= least else f"{count} (of {least})"


def _filled(text: str) -> str:
    return fill(text, 98) + "\n"


_PARTS: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], str]] = {
    "head": _head,
    "faults": _faults,
    "recovery": _recovery,
    "failpoints": _points,
    "bugs": _bugs,
}
NAMES = frozenset(_PARTS)


def write() -> None:
    """Bring the page up to date."""
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")


if __name__ == "__main__":
    write()
