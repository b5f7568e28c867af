"""The page about faults: what a log adds up to."""

from typing import Any

from e2e.chaos.page import fresh
from e2e.chaos.report import compared

PART = "<!-- made by `python -m e2e.chaos.page`: {} -->\n\n<!-- end -->"


def segment(**more: Any) -> dict[str, Any]:
    return {
        "minutes": 5,
        "calls": {"change": 900, "create": 100},
        "effects": 990,
        "faults": {"kills": 2},
        "failpoints": {"commands.claimed": 12},
        "violations": {},
        "rates": {"calm": 10.0, "during": {"kills": 2.0}, "after": {"kills": 9.0}},
        "after_a_backup": 7,
        "load": 4.0,
        "at": "2026-01-02T03:04:05+00:00",
        **more,
    }


def test_segments_are_told_together() -> None:
    text = fresh(PART.format("head"), [segment(), segment(violations={"lost": 1})])
    assert "2 segments, 10 minutes of 120, on 2026-01-02: 2,000 commands" in text
    assert "Violations: 1 lost." in text


def test_what_is_short_of_its_count_says_so() -> None:
    text = fresh(PART.format("faults"), [segment()] * 15)
    assert (
        "| `kills` | a control plane and an agent are killed again and again | 30 | 2.0/s |" in text
    )
    assert "| 0 (of 30) |  |" in text
    points = fresh(PART.format("failpoints"), [segment()])
    assert "| `commands.claimed` | 12 |" in points
    assert "| `commands.received` | 0 (of 10) |" in points


def test_recovery_is_a_share_of_the_same_segments_calm() -> None:
    other = segment(rates={"calm": 4.0, "during": {}, "after": {"kills": 4.0, "restart": 8.0}})
    nothing = segment(rates={"calm": 5.0, "during": {}, "after": {}})
    # 9 of 10, and 4 of 6: of the mean of what was before and after another one.
    assert compared([one["rates"] for one in (segment(), other, nothing)], "kills") == [
        (9.0, 10.0),
        (4.0, 6.0),
    ]
    text = fresh(PART.format("recovery"), [segment(), other, nothing])
    assert "| `kills` | 2 | 8.0/s | 6.5/s | 81% |" in text
