"""`python -m e2e.failpoints [--log DIR]`: tell the story of every failpoint, and keep how it went.

About 280 stories of a quarter of a minute each. What has passed is in the log and not told
again, so that an interrupted run goes on where it was; what has failed is told again. The page
about what was told so far is `e2e/failpoints.md`.

The exit code is 0 if all of them have passed, 1 if one has not, 3 if some are still to be told.
"""

import argparse
import sys
from pathlib import Path

import pytest

from e2e.support.stories import SHORT, table
from e2e.support.summary import summary
from e2e.support.told import ROOT, Log, Recorder

SUMMARY = ROOT / "e2e" / "failpoints.md"
TEST = "e2e/stories/test_failpoints.py::test_nothing_is_lost_doubled_or_left"
UNFINISHED = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.failpoints")
    parser.add_argument(
        "--log", type=Path, default=ROOT / ".cache" / "failpoints", help="where the log is"
    )
    parser.add_argument("--at-most", type=int, metavar="N", help="tell no more than N stories now")
    parser.add_argument(
        "--share",
        default="1/1",
        metavar="I/N",
        help="of every N stories only the I-th; runs of different shares may go side by side",
    )
    return parser.parse_args()


def main() -> int:
    """Tell what is still to be told."""
    wanted = _arguments()
    log = Log(wanted.log)
    rows = table()
    everything = [*SHORT, *(row.id for row in rows)]
    first, _, of = wanted.share.partition("/")
    mine = everything[int(first) - 1 :: int(of)]
    told = log.read()
    left = [one for one in mine if one not in told]
    left += [one for one in mine if one in told and told[one][-1].outcome != "passed"]
    if now := left[: wanted.at_most]:
        print(f"{len(now)} of {len(left)} stories; the log is {wanted.log}", flush=True)
        words = ["-v", "--no-header", "--all-failpoints", *(f"{TEST}[{one}]" for one in now)]
        pytest.main(words, plugins=[Recorder(log)])
        told = log.read()
    told = {one: told[one] for one in everything if one in told}
    if told:
        SUMMARY.write_text(summary([*SHORT], rows, told), encoding="utf-8")
    print(f"{len(told)} of {len(everything)} stories were told: {SUMMARY}")
    if len(told) < len(everything):
        return UNFINISHED
    return 0 if all(lines[-1].outcome == "passed" for lines in told.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
