"""`python -m e2e.kills [--rounds 20] [--log DIR]`: kill whoever can be killed on a cluster.

A round is a few minutes of stories, other ones each time, and eleven rounds tell all of them;
`--whole` tells all of them in every round. What there is on the cluster and on the machine is
compared before and after each story, and before and after each round.

What has passed is in the log and not told again, so that an interrupted round goes on where it
was. A failure ends the run, and the count begins anew with the next round. The page about it is
`e2e/kills.md`.

`PORTHOLE_E2E_CLUSTER` names the cluster to use and to keep; otherwise one is made for each run.

The exit code is 0 if so many rounds have passed with no failure between first and last, 1 if a
story has failed, 3 if some rounds are still to be told.
"""

import argparse
import sys
from pathlib import Path

import pytest

from e2e.support.kill_stories import KillStory, of_round, table
from e2e.support.kills_page import Round, page, without_a_failure
from e2e.support.told import PROGRAMS, ROOT, Log, Recorder

PAGE = ROOT / "e2e" / "kills.md"
TEST = "e2e/stories/test_kills_in_the_cluster.py::test_nothing_is_lost_doubled_or_left"
ROOMS = (*PROGRAMS, "operator", "kube", "helm", "crds")
UNFINISHED = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.kills")
    parser.add_argument("--rounds", type=int, default=20, help="how many in a row must pass")
    parser.add_argument(
        "--log", type=Path, default=ROOT / ".cache" / "kills", help="where the log is"
    )
    parser.add_argument("--at-most", type=int, metavar="N", help="tell no more than N rounds now")
    parser.add_argument("--whole", action="store_true", help="tell every story in every round")
    return parser.parse_args()


def main() -> int:
    """Tell the rounds that are still to be told."""
    wanted = _arguments()
    left = wanted.at_most
    while (rounds := _rounds(wanted.log)) is not None:
        passed = len(without_a_failure(rounds))
        if passed >= wanted.rounds or left == 0:
            break
        unfinished = bool(rounds) and not (rounds[-1].is_over or rounds[-1].has_failed)
        number = len(rounds) - 1 if unfinished else len(rounds)
        _tell(wanted.log / _name(number), table() if wanted.whole else of_round(number))
        left = None if left is None else left - 1
        rounds = _rounds(wanted.log)
        PAGE.write_text(page(rounds, wanted.rounds), encoding="utf-8")
        if rounds[-1].has_failed:
            print(f"Round {number + 1} has failed: {PAGE}")
            return 1
        if not rounds[-1].is_over:
            break
    print(f"{passed} of {wanted.rounds} rounds have passed in a row: {PAGE}")
    return 0 if passed >= wanted.rounds else UNFINISHED


def _name(number: int) -> str:
    return f"round-{number + 1:03}"


def _rounds(folder: Path) -> list[Round]:
    """Return the rounds that are on record, in their order."""
    return [Round.read(one) for one in sorted(folder.glob("round-*"))]


def _tell(folder: Path, stories: list[KillStory]) -> None:
    """Tell what is left of a round, up to its first failure."""
    log = Log(folder)
    told = log.read()
    left = [one.id for one in stories if one.id not in told]
    print(f"{folder.name}: {len(left)} of {len(stories)} stories; the log is {folder}", flush=True)
    words = ["-v", "--no-header", "-x", "-m", "cluster", f"--kills-round={folder}"]
    pytest.main([*words, *(f"{TEST}[{one}]" for one in left)], plugins=[Recorder(log, rooms=ROOMS)])


if __name__ == "__main__":
    sys.exit(main())
