"""The program behind `./porthole test`: what it sums up, ends and stops."""

from collections import Counter

import pytest

from tests import run


@pytest.mark.parametrize(
    ("totals", "line"),
    [
        ({}, "no tests ran in 1.50s"),
        ({"passed": 3}, "3 passed in 1.50s"),
        (
            {"passed": 3, "failed": 1, "error": 2, "warning": 1, "skipped": 1},
            "1 failed, 3 passed, 1 skipped, 1 warning, 2 errors in 1.50s",
        ),
        ({"passed": 3, "rerun": 1}, "3 passed, 1 rerun in 1.50s"),
    ],
)
def test_the_closing_line_is_pytests(totals: dict[str, int], line: str) -> None:
    assert run.closing_line(Counter(totals), 1.5) == line


@pytest.mark.parametrize(
    "line",
    [
        "3 passed in 0.12s",
        "1 failed, 3 passed, 2 warnings in 61.00s (0:01:01)",
        "===== 3 passed in 0.12s =====",
        "no tests ran in 0.01s",
    ],
)
def test_a_closing_line_is_known(line: str) -> None:
    assert run._CLOSING.match(line)


@pytest.mark.parametrize("line", ["3 passed", "it took 3 s in 4.0s", "FAILED tests/a.py in 3s"])
def test_other_lines_are_not(line: str) -> None:
    assert not run._CLOSING.match(line)


def test_every_stage_has_a_name_of_its_own_and_a_budget() -> None:
    stages = run.stages()
    assert len({stage.name for stage in stages}) == len(stages)
    assert all(0 < stage.budget < run.LIMIT for stage in stages)
