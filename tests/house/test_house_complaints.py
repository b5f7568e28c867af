"""The page of complaints names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "complaints.md"


def test_every_complaint_names_tests_that_exist_or_says_that_it_can_happen():
    text = PAGE.read_text(encoding="utf-8")
    there = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("tests", "e2e")
        for path in (ROOT / folder).rglob("test_*.py")
    )
    tests = set(re.findall(r"def (test_\w+)", there))
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| **")]
    assert len(rows) > 15
    for complaint, here, shown in rows:
        named = re.findall(r"`(test_\w+)`", shown)
        assert set(named) <= tests, (complaint, set(named) - tests)
        assert named or "It can happen" in here, complaint
