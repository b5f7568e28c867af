"""Which kills are told in which round, when they count, and the page about them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.support.cluster_things import Things
from e2e.support.kill_stories import AROUND, BEGIN, END, MOMENTS, PLACES, SHORT, of_round, table
from e2e.support.kills_page import Round, page, without_a_failure
from e2e.support.told import Line, Log
from porthole_agent import failpoints as agent
from porthole_control import failpoints as control
from porthole_operator import failpoints as operator

LINE = Line("a", "passed", 12.3, "2026-01-02T03:04:05+00:00", 1.5, "abc1234")


def a_round(folder: Path, number: int, *failed: str, ended: bool = True) -> Round:
    made = folder / f"round-{number:03}"
    log = Log(made)
    for nth, story in enumerate((BEGIN.id, "a", *([END.id] if ended else []))):
        outcome = "failed" if story in failed else "passed"
        at = f"2026-01-02T{number:02}:00:{nth:02}+00:00"
        figures = {"seconds without a picture": 1.5 + number} if story == "a" else {}
        log.add(replace(LINE, story=story, outcome=outcome, at=at, figures=figures))
    return Round.read(made)


def things(*objects: str) -> Things:
    return Things(Counter(objects), Counter(), Counter(), Counter(), Counter())


def test_every_story_has_a_title_of_its_own() -> None:
    titles = [story.id for story in table()]
    assert len(set(titles)) == len(titles)


def test_what_is_always_told_is_told_over_both_protocols() -> None:
    assert len({story.id for story in SHORT}) == len(SHORT)
    over_rdp = [story for story in SHORT if story.template == "rdp"]
    assert [story.losses for story in over_rdp] == [1, 2]
    assert "operator.lose.noted" in dict(over_rdp[0].places).values()


def test_every_place_has_a_story() -> None:
    told = {place for story in PLACES for place in story.places}
    assert told == {
        *(("control-plane", name) for name in control.NAMES),
        *(("operator", name) for name in operator.NAMES),
        *(("agent", name) for name in agent.KUBERNETES),
    }


def test_eleven_rounds_tell_all_of_it() -> None:
    told = {story.id for number in range(11) for story in of_round(number)}
    assert told == {story.id for story in (BEGIN, *PLACES, *MOMENTS, *AROUND, END)}


@pytest.mark.parametrize(
    ("failed", "ended", "passed"),
    [(None, True, 4), (0, True, 3), (2, True, 1), (3, True, 0), (None, False, 3)],
)
def test_a_failure_begins_the_count_anew(
    tmp_path: Path, failed: int | None, ended: bool, passed: int
) -> None:
    rounds = [
        a_round(tmp_path, number, *(["a"] if number == failed else []), ended=ended or number < 3)
        for number in range(4)
    ]
    assert len(without_a_failure(rounds)) == passed


def test_a_page_counts_rounds_and_hides_no_failure(tmp_path: Path) -> None:
    rounds = [a_round(tmp_path, 1, "a"), a_round(tmp_path, 2), a_round(tmp_path, 3)]
    said = page(rounds, 20)
    assert "2 of 20 rounds have passed in a row." in said
    assert "| `a` | 2 | 2 | 12 | 12 |" in said
    assert "| `a` | seconds without a picture | 2 | 4.0 | 4.5 |" in said
    assert "* `a` failed at abc1234 (load 1.5), then passed 2 of 2 times" in said


def test_what_is_left_and_what_is_missing_is_told(tmp_path: Path) -> None:
    before, after = things("Pod porthole-sessions a"), things("Pod porthole-sessions b")
    after.write(tmp_path / "after.json")
    assert Things.read(tmp_path / "after.json").unlike(before) == {
        "objects": ["+1 Pod porthole-sessions b", "-1 Pod porthole-sessions a"]
    }
    assert before.unlike(before) == {}
