"""The page about a session's life is the one that the table draws now."""

from enum import StrEnum

import pytest

from porthole_contract.lifecycle import TRANSITIONS, Phase
from tests.support import draw_lifecycle


def test_the_page_is_fresh() -> None:
    """Draw it anew with `python -m tests.support.draw_lifecycle`."""
    assert draw_lifecycle.PAGE.read_text(encoding="utf-8") == draw_lifecycle.page()


def test_every_transition_is_drawn() -> None:
    page = draw_lifecycle.page()
    for phase, row in TRANSITIONS.items():
        for event, after in row.items():
            drawn = [line for line in page.splitlines() if f" {phase} --> {after}: " in line]
            assert len(drawn) == 1
            assert event in drawn[0]
    assert all(f"| `{phase}` |" in page for phase in Phase)


def test_a_member_that_nobody_explains_is_noticed() -> None:
    class Mood(StrEnum):
        GOOD = "Good"

    with pytest.raises(ValueError, match="Good"):
        draw_lifecycle.meanings(Mood)
