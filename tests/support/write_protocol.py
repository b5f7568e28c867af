"""Writes what the code knows into the protocol's page: `python -m tests.support.write_protocol`.

Such a part of `docs/protocol.md` stands between two comments, the first of which names it. The
words of the tables are the docstrings of the contract's models and of what they are made of.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill

from tests.model.invariants import SENTENCES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
_PART = re.compile(
    r"(<!-- made by `python -m tests\.support\.write_protocol`: (\w+) -->\n).*?(<!-- end -->)",
    re.DOTALL,
)


def fresh(page: str) -> str:
    """Return the page with its parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]]()}\n{part[3]}", page)


def parts(page: str) -> list[str]:
    """Return which parts a page has."""
    return [part[2] for part in _PART.finditer(page)]


def _sentences() -> str:
    return "".join(_entry(f"**{one.name}**: {one.sentence}") for one in SENTENCES)


def _entry(text: str) -> str:
    return fill(text, 98, initial_indent="* ", subsequent_indent="  ") + "\n"


_PARTS: Mapping[str, Callable[[], str]] = {"sentences": _sentences}
NAMES = frozenset(_PARTS)


if __name__ == "__main__":
    PAGE.write_text(fresh(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
