"""`porthole chaos [--minutes N] [--seed S]`: use Porthole, break what can break, and judge.

Everything is real: replicas of the control plane behind a balancer, agents whose desktops run on
this machine, a Postgres. What is broken when follows from the seed. The run is cut into segments
of a few minutes, each with a seed of its own, and every segment appends a line to the log, so
that runs add up.

The exit code is 0 if nothing happened that should not have, and 1 if something did; then the story
of each session concerned is told. With `--planted` there is a bug, which is to be found: 0 if it
was.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from e2e.chaos.faults import POINTS
from e2e.chaos.page import LOG, read, write
from e2e.chaos.plan import FAILPOINT, KINDS
from e2e.chaos.report import page, told
from e2e.chaos.segment import Told, Wish, tell
from tests.support import planted

_LONGEST = 5.0
_MOST_STORIES = 8


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="porthole chaos")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, set-up apart")
    parser.add_argument("--seed", type=int, default=None, help="of the first segment")
    parser.add_argument("--log", type=Path, default=LOG, help="to which segments are appended")
    parser.add_argument("--planted", choices=sorted(planted.BUGS), default="", help="have a bug")
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
    seed = wanted.seed if wanted.seed is not None else len(read(wanted.log))
    lines, failed, left = [], False, wanted.minutes
    kinds_found: set[str] = set()
    while left > 0.01:
        minutes = min(left, _LONGEST)
        print(f"Segment with seed {seed}, {minutes:.1f} minutes", flush=True)
        done = asyncio.run(tell(_wish(wanted, seed, minutes, kinds)))
        _show(done)
        lines.append(done.line)
        if not wanted.planted and not kinds:
            with wanted.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(done.line) + "\n")
            if wanted.log == LOG:
                write()
        failed = failed or bool(done.violations)
        kinds_found |= {one.kind for one in done.violations}
        if failed:
            break
        seed, left = seed + 1, left - minutes
    print(page(lines))
    if wanted.planted:
        # A bug that breaks something else than it should is not the one that was meant.
        expected = planted.BUGS[wanted.planted].is_found_as
        is_found = bool(kinds_found & expected)
        what = "found" if is_found else f"NOT found as {' or '.join(sorted(expected))}"
        print(f"{wanted.planted}: {what}")
        return 0 if is_found else 1
    return 1 if failed else 0


def _wish(wanted: argparse.Namespace, seed: int, minutes: float, kinds: tuple[str, ...]) -> Wish:
    if wanted.planted:
        bug = planted.BUGS[wanted.planted]
        return Wish(
            seed,
            minutes,
            planted=wanted.planted,
            kinds=bug.kinds,
            points=(),
            replicas=bug.replicas,
            agents=1,
            keep=wanted.keep,
            until=bug.is_found_as,
        )
    points = POINTS if not kinds or FAILPOINT in kinds else ()
    kinds = tuple(one for one in kinds if one != FAILPOINT) if kinds else KINDS
    return Wish(seed, minutes, kinds=kinds, points=points, keep=wanted.keep)


def _show(done: Told) -> None:
    for violation in done.violations[:_MOST_STORIES]:
        print(told(violation, done.begin))
        print("\n".join(f"        {words}" for words in done.words.get(violation.session, [])))
    if len(done.violations) > _MOST_STORIES:
        print(f"... and {len(done.violations) - _MOST_STORIES} more")


if __name__ == "__main__":
    sys.exit(main())
