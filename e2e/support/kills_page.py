"""Rounds of kill stories that were told, and the page about them."""

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Self

from e2e.support.cluster_things import Things
from e2e.support.kill_stories import END
from e2e.support.summary import failures, table
from e2e.support.told import Line, Log

_HEAD = """# Rounds of kills on a cluster

Written by `python -m e2e.kills`; do not edit. A story is the life of one or two sessions on a
cluster of two nodes, in which programs, pods or nodes are killed:
`e2e/stories/test_kills_in_the_cluster.py` says what must be the same in all of them, and
`e2e/support/kill_stories.py` which are told in which round.
"""


@dataclass(frozen=True)
class Round:
    """One round: what was told in it, in its order, and what there was before and after."""

    name: str
    lines: tuple[Line, ...]
    before: Things | None = None
    after: Things | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what is on record of a round."""
        told = [line for lines in Log(folder).read().values() for line in lines]
        kept = [folder / "before.json", folder / "after.json"]
        before, after = (Things.read(file) if file.exists() else None for file in kept)
        return cls(folder.name, tuple(sorted(told, key=lambda line: line.at)), before, after)

    @property
    def has_failed(self) -> bool:
        """Whether a story of it has."""
        return any(line.outcome != "passed" for line in self.lines)

    @property
    def is_over(self) -> bool:
        """Whether it was told to its end, without a failure."""
        return not self.has_failed and any(line.story == END.id for line in self.lines)


def without_a_failure(rounds: Sequence[Round]) -> list[Round]:
    """Return the whole rounds that were told since the last failure."""
    since = list(takewhile(lambda one: not one.has_failed, reversed(rounds)))
    return [one for one in reversed(since) if one.is_over]


def page(rounds: Sequence[Round], wanted: int) -> str:
    """Return the page.

    Args:
        rounds: all that were told, the newest last.
        wanted: how many have to pass in a row.
    """
    passed = without_a_failure(rounds)
    parts = [
        _HEAD,
        f"{len(passed)} of {wanted} rounds have passed in a row.\n",
        _figures(passed or rounds),
        "## Stories\n",
        table(("story", "told", "passed", "middle, s", "longest, s"), _stories(passed or rounds)),
        *_measured(passed or rounds),
        "## Rounds\n",
        "What there was before and after each round, pods of programs counted by their kind.\n",
        table(
            ("round", "begun", "stories", "minutes", *_KINDS, "unlike after it"),
            map(_row, passed or rounds),
        ),
        failures(_told(rounds)),
    ]
    return "\n".join(parts).rstrip() + "\n"


_KINDS = ("objects", "volumes", "mounts", "rules", "processes")


def _figures(rounds: Sequence[Round]) -> str:
    lines = [line for one in rounds for line in one.lines]
    seconds = sum(line.seconds for line in lines)
    load = statistics.median(line.load for line in lines)
    commits = dict.fromkeys(line.commit for line in lines)
    return f"""* {len(lines)} stories in {seconds / 60:.0f} minutes
* from {lines[0].at} to {lines[-1].at}
* a load of {load:.1f} on {os.cpu_count()} cores
* newest change of the programs: {", ".join(commits)}
"""


def _stories(rounds: Sequence[Round]) -> Iterator[tuple[str, ...]]:
    for story, lines in sorted(_told(rounds).items()):
        seconds = [line.seconds for line in lines]
        passed = sum(line.outcome == "passed" for line in lines)
        middle = f"{statistics.median(seconds):.0f}"
        yield f"`{story}`", str(len(lines)), str(passed), middle, f"{max(seconds):.0f}"


def _measured(rounds: Sequence[Round]) -> Iterator[str]:
    figures: dict[tuple[str, str], list[float]] = {}
    for story, lines in sorted(_told(rounds).items()):
        for line in lines:
            for name, figure in line.figures.items():
                figures.setdefault((story, name), []).append(figure)
    if figures:
        yield "## Measured\n"
        yield table(
            ("story", "what", "times", "middle", "most"),
            (
                (
                    f"`{story}`",
                    name,
                    str(len(values)),
                    f"{statistics.median(values):.1f}",
                    f"{max(values):.1f}",
                )
                for (story, name), values in figures.items()
            ),
        )


def _row(one: Round) -> tuple[str, ...]:
    counts = one.before.counts if one.before is not None else {}
    unlike = "?"
    if one.before is not None and one.after is not None:
        unlike = "; ".join(map(str, one.after.unlike(one.before).values())) or "nothing"
    minutes = sum(line.seconds for line in one.lines) / 60
    begun = one.lines[0].at if one.lines else ""
    words = (one.name, begun, str(len(one.lines)), f"{minutes:.1f}")
    return (*words, *(str(counts.get(kind, "?")) for kind in _KINDS), unlike)


def _told(rounds: Sequence[Round]) -> dict[str, list[Line]]:
    told: dict[str, list[Line]] = {}
    for one in rounds:
        for line in one.lines:
            told.setdefault(line.story, []).append(line)
    return told
