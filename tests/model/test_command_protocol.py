"""What always holds of commands, in every state that the model can reach; and that it can fail."""

import re
from pathlib import Path

import pytest

from tests.model.explore import explore
from tests.model.explored_stories import FINDING, SEARCHED, USUAL
from tests.model.invariants import SENTENCES
from tests.model.story import told
from tests.model.wiring import BUGS
from tests.model.world import FAULTS, Story

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
FOUND = {
    "ack_before_effect": "nothing is lost",
    "no_epoch_check": "an old epoch writes nothing",
    "no_idempotency_key": "nothing is done twice",
    "no_poll": "nothing is lost",
    "late_old_order": "nothing is done twice",
    "orphan_on_delete": "ended means gone",
    "reorder": "order is kept",
    "failures_are_final": "ended means gone",
    "failures_are_remembered": "nobody waits for ever",
    "no_count_in_pings": "nothing is lost",
}


@pytest.mark.parametrize("story", USUAL, ids=lambda story: story.name)
def test_every_sentence_holds_whatever_happens(story: Story) -> None:
    found = explore(story)
    assert found.violation is None, told(found)
    assert found.whole
    assert found.at_rest > 0


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_its_story_told(bug: str) -> None:
    found = explore(FINDING[bug], BUGS[bug], most=SEARCHED)
    assert found.violation is not None
    assert found.violation.name == FOUND[bug]
    story = told(found, BUGS[bug])
    print(story)
    assert len(story.splitlines()) == len(found.trace) + 2


def test_without_the_bug_the_same_story_is_well() -> None:
    for bug in ("failures_are_remembered", "no_poll", "ack_before_effect", "no_count_in_pings"):
        assert explore(FINDING[bug]).violation is None


def test_every_fault_happens_in_some_story() -> None:
    planted = frozenset().union(*(story.faults for story in FINDING.values()))
    usual = frozenset().union(*(story.faults for story in USUAL))
    assert usual | planted == FAULTS


def test_the_page_says_what_is_looked_at() -> None:
    """The list stands in the page, a sentence an entry, word for word."""
    text = PAGE.read_text(encoding="utf-8")
    _, _, rest = text.partition("## What always holds\n")
    entries = re.findall(r"^\* \*\*(.+?)\*\*: (.+?)(?=^\* |^$)", rest, re.DOTALL | re.MULTILINE)
    written = {name: " ".join(sentence.split()) for name, sentence in entries}
    assert written == {one.name: one.sentence for one in SENTENCES}
