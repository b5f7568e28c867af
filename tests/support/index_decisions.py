"""Writes the list of decisions into its page: `python -m tests.support.index_decisions`."""

from pathlib import Path

INDEX = Path(__file__).resolve().parents[2] / "docs" / "decisions" / "README.md"
_BEGIN = "<!-- list: made by `python -m tests.support.index_decisions` -->\n"
_END = "<!-- end of list -->\n"


def decisions() -> list[Path]:
    """Return the pages of all decisions, in the order of their numbers."""
    return sorted(INDEX.parent.glob("[0-9][0-9][0-9][0-9]-*.md"))


def indexed(page: str) -> str:
    """Return the index's page with the list that it should have."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = (f"* [{_title(path)}]({path.name})\n" for path in decisions())
    return f"{before}{_BEGIN}{''.join(lines)}{_END}{after}"


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


if __name__ == "__main__":
    INDEX.write_text(indexed(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
