"""`porthole chaos [--minutes N] [--seed S]`: use Porthole, break what can break, and judge.

Everything is real: replicas of the control plane behind a balancer, agents whose desktops run on
this machine, a Postgres. What is broken when follows from the seed. The run is cut into segments
of a few minutes, each with a seed of its own, and every segment appends a line to the log, so
that runs add up.

The exit code is 0 if nothing happened that should not have, and 1 if something did; then the story
of each session concerned is told. With `--planted` there is a bug, which is to be found: 0 if it
was; each is noted in a log of its own.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.chaos.faults import POINTS
from e2e.chaos.page import LOG, PLANTED, read, write
from e2e.chaos.plan import FAILPOINT, KINDS
from e2e.chaos.report import page, told
from e2e.chaos.segment import Told, Wish, tell
from e2e.support.told import commit
from tests.support.planted import BUGS

_LONGEST, _LONGEST_WITH_A_BUG = 5.0, 1.0
"""Minutes of a segment."""
_ALL = "all"
_MOST_STORIES = 8


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="porthole chaos")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, set-up apart")
    parser.add_argument("--seed", type=int, default=None, help="of the first segment")
    parser.add_argument("--log", type=Path, default=LOG, help="to which segments are appended")
    parser.add_argument("--planted", choices=[*BUGS, _ALL], default="", help="have a bug")
    parser.add_argument("--only", default="", metavar="KINDS", help="these faults, by commas")
    parser.add_argument("--keep", action="store_true", help="keep the story and the logs")
    parser.add_argument("--sum", action="store_true", help="show what the log adds up to")
    return parser.parse_args()


def main() -> int:
    """Run segments."""
    # Whoever ends us lets us take down what we have put up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = _arguments()
    if wanted.sum:
        print(page(read(wanted.log)))
        return 0
    kinds = tuple(filter(None, wanted.only.split(",")))
    if unknown := set(kinds) - {*KINDS, FAILPOINT}:
        known = ", ".join((*KINDS, FAILPOINT))
        print(f"There is no fault {', '.join(sorted(unknown))}; there are {known}.")
        return 2
    if wanted.planted == _ALL:
        # Each of them, whether or not one before it was found.
        return max([_plant(wanted, name) for name in BUGS])
    return _plant(wanted, wanted.planted) if wanted.planted else _run(wanted, kinds)


def _run(wanted: argparse.Namespace, kinds: tuple[str, ...]) -> int:
    """Run segments until one has a violation, or the time is over."""
    seed = wanted.seed if wanted.seed is not None else len(read(wanted.log))
    points = POINTS if not kinds or FAILPOINT in kinds else ()
    chosen = tuple(one for one in kinds if one != FAILPOINT) if kinds else KINDS
    lines, left = [], wanted.minutes
    while left > 0.01 and not (lines and lines[-1]["violations"]):
        wish = Wish(seed, min(left, _LONGEST), kinds=chosen, points=points, keep=wanted.keep)
        lines.append(_tell(wish).line)
        if not kinds:
            _append(wanted.log, lines[-1])
        seed, left = seed + 1, left - wish.minutes
    print(page(lines))
    return 1 if lines[-1]["violations"] else 0


def _plant(wanted: argparse.Namespace, name: str) -> int:
    """Run segments with a bug until it is found, or the time is over."""
    bug = BUGS[name]
    seed, begun, left = wanted.seed or 0, time.monotonic(), wanted.minutes
    found: set[str] = set()
    while left > 0.01 and not found:
        wish = Wish(
            seed,
            min(left, _LONGEST_WITH_A_BUG),
            planted=name,
            kinds=bug.kinds,
            points=(),
            replicas=bug.replicas,
            agents=1,
            keep=wanted.keep,
            until=bug.is_found_as,
        )
        # A bug that breaks something else than it should is not the one that was meant.
        found = set(_tell(wish).line["violations"]) & bug.is_found_as
        seed, left = seed + 1, left - wish.minutes
    took = round(time.monotonic() - begun)
    line = {"bug": name, "found_as": sorted(found), "seconds": took, "commit": commit()}
    _append(PLANTED if wanted.log == LOG else wanted.log, line)
    what = "found" if found else f"NOT found as {' or '.join(sorted(bug.is_found_as))}"
    print(f"{name}: {what}, after {took} s", flush=True)
    return 0 if found else 1


def _tell(wish: Wish) -> Told:
    print(f"Segment with seed {wish.seed}, {wish.minutes:.1f} minutes {wish.planted}", flush=True)
    done = asyncio.run(tell(wish))
    _show(done)
    return done


def _append(log: Path, line: Mapping[str, Any]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    if log in {LOG, PLANTED}:
        write()


def _show(done: Told) -> None:
    for violation in done.violations[:_MOST_STORIES]:
        print(told(violation, done.begin))
        print("\n".join(f"        {words}" for words in done.words.get(violation.session, [])))
    if len(done.violations) > _MOST_STORIES:
        print(f"... and {len(done.violations) - _MOST_STORIES} more")


if __name__ == "__main__":
    sys.exit(main())
