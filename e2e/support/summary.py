"""The page about a table of stories that was told."""

import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from e2e.support.stories import VICTIMS, Row
from e2e.support.told import Line

_HEAD = """# Every failpoint, told

Written by `python -m e2e.failpoints`; do not edit. A story is the whole life of one session in
an instance of its own, in which one part is killed at one place: `e2e/stories/test_failpoints.py`
says what must be the same in all of them.
"""
_PLACES = """## Places

Seconds of each story: killed once, then killed twice. Somebody else than the one whose place it
is, is killed while that one stands still there.
"""
_TIMES = {1: "once", 2: "twice"}
_MOMENTS = {"create": "(just asked for)", "delete": "(its end was just asked for)"}


def summary(short: Sequence[str], rows: Sequence[Row], told: Mapping[str, Sequence[Line]]) -> str:
    """Return the page.

    Args:
        short: the stories that are always told.
        rows: the table.
        told: for each story all the times it was told, the newest last.
    """
    parts = [
        _HEAD,
        _figures(len(short) + len(rows), told),
        "## Counts\n",
        table(
            ("place of", "killed", "times", "stories", "passed", "failed", "seconds"),
            (*_counts(rows, told), _count("(many)", "many", "in turn", short, told)),
        ),
        _PLACES,
        table(("place", *VICTIMS), _places(rows, told)),
        failures(told),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _figures(stories: int, told: Mapping[str, Sequence[Line]]) -> str:
    last = [lines[-1] for lines in told.values()]
    passed = sum(line.outcome == "passed" for line in last)
    seconds = [line.seconds for line in last]
    middle, longest = statistics.median(seconds), max(last, key=attrgetter("seconds"))
    load = statistics.median(line.load for line in last)
    times = sorted(line.at for line in last)
    commits = dict.fromkeys(line.commit for line in sorted(last, key=attrgetter("at")))
    failed = len(last) - passed
    return f"""{len(last)} of {stories} stories were told: {passed} passed, {failed} failed.

* {sum(seconds) / 60:.0f} minutes of stories; the middle one {middle:.0f} s,
  the longest {longest.seconds:.0f} s (`{longest.story}`)
* from {times[0]} to {times[-1]}, with a load of {load:.1f} on {os.cpu_count()} cores
* newest change of the programs: {", ".join(commits)}
"""


def _counts(rows: Sequence[Row], told: Mapping[str, Sequence[Line]]) -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, str, int], list[str]] = {}
    for row in rows:
        groups.setdefault((row.part, row.victim, row.times), []).append(row.id)
    for (part, victim, times), stories in groups.items():
        meanwhile = ", which stands still" if part not in {"", victim} else ""
        yield _count((part or "(any)") + meanwhile, victim, _TIMES[times], stories, told)


def _count(
    part: str, victim: str, times: str, stories: Sequence[str], told: Mapping[str, Sequence[Line]]
) -> tuple[str, ...]:
    last = [told[story][-1] for story in stories if story in told]
    passed = sum(line.outcome == "passed" for line in last)
    seconds = f"{sum(line.seconds for line in last):.0f}"
    return part, victim, times, str(len(stories)), str(passed), str(len(last) - passed), seconds


def _places(rows: Sequence[Row], told: Mapping[str, Sequence[Line]]) -> Iterator[tuple[str, ...]]:
    places = dict.fromkeys((row.part, row.place) for row in rows)
    for part, place in places:
        here = [row for row in rows if (row.part, row.place) == (part, place)]
        cells = (
            ", ".join(
                _cell(told[row.id][-1]) for row in here if row.victim == who and row.id in told
            )
            for who in VICTIMS
        )
        yield f"{part} `{place}`" if part else _MOMENTS[place], *cells


def _cell(line: Line) -> str:
    return f"{line.seconds:.0f}" if line.outcome == "passed" else "**failed**"


def failures(told: Mapping[str, Sequence[Line]]) -> str:
    """Return the part of a page that tells what failed on the way."""
    found = [
        f"* `{story}` failed at {line.commit} (load {line.load}), {_since(lines[number + 1 :])}."
        for story, lines in told.items()
        for number, line in enumerate(lines)
        if line.outcome != "passed"
    ]
    return "## Failures on the way\n\n" + ("\n".join(found) or "None.")


def _since(later: Sequence[Line]) -> str:
    if not later:
        return "and was not told again"
    passed = sum(line.outcome == "passed" for line in later)
    return f"then passed {passed} of {len(later)} times, last at {later[-1].commit}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
