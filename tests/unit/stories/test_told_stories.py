"""What is kept of stories that were told, and the page about them."""

from dataclasses import replace
from pathlib import Path

import pytest

from e2e.support.life import Story
from e2e.support.stories import SHORT, Row, table
from e2e.support.summary import summary
from e2e.support.told import Line, Log

LINE = Line("a", "passed", 12.3, "2026-01-02T03:04:05+00:00", 1.5, "abc1234")
ROWS = [
    Row("a", "agent", "local.create.received", "agent", 1, Story()),
    Row("b", "agent", "local.create.received", "agent", 2, Story()),
    Row("c", "agent", "local.create.received", "up", 1, Story()),
]


def line(story: str, seconds: float, *, passed: bool = True) -> Line:
    return replace(LINE, story=story, seconds=seconds, outcome="passed" if passed else "failed")


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    first, again = line("a", 9, passed=False), line("a", 11)
    Log(tmp_path / "log").add(first)
    Log(tmp_path / "log").add(line("b", 10))
    Log(tmp_path / "log").add(again)
    assert Log(tmp_path / "log").read() == {"a": [first, again], "b": [line("b", 10)]}


@pytest.fixture
def page() -> str:
    told = {
        "short": [line("short", 40)],
        "a": [line("a", 9, passed=False), line("a", 11)],
        "b": [line("b", 12)],
        "c": [line("c", 13, passed=False)],
    }
    return summary(["short"], ROWS, told)


def test_a_page_counts_by_place_victim_and_times(page: str) -> None:
    assert "4 of 4 stories were told: 3 passed, 1 failed." in page
    assert "| agent | agent | once | 1 | 1 | 0 | 11 |" in page
    assert "| agent | agent | twice | 1 | 1 | 0 | 12 |" in page
    assert "| agent, which stands still | up | once | 1 | 0 | 1 | 13 |" in page
    assert "| (many) | many | in turn | 1 | 1 | 0 | 40 |" in page


def test_a_page_has_a_line_for_each_place(page: str) -> None:
    assert "| agent `local.create.received` | 11, 12 |  |  |  |  |  | **failed** |" in page


def test_a_page_hides_no_failure(page: str) -> None:
    assert "* `a` failed at abc1234 (load 1.5), then passed 1 of 1 times" in page
    assert "* `c` failed at abc1234 (load 1.5), and was not told again" in page


def test_every_story_has_a_title_of_its_own() -> None:
    titles = [*SHORT, *(row.id for row in table())]
    assert len(set(titles)) == len(titles)
