"""What the pages say is there, is there."""

import re
from pathlib import Path

import pytest

from tests.support import index_decisions

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w-][\w./-]*")
_NAMED = re.compile(r"`([\w/]+\.py)`\s+`(\w+)(?:\.(\w+))?`")
_EXAMPLE = re.compile(r"<!-- from (\S+) -->\n```json\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    text = page.read_text(encoding="utf-8")
    paths = [code for code in _CODE.findall(text) if _PATH.fullmatch(code) and "/" in code]
    missing = [path for path in paths if path.split("/")[0] in rooms and not (ROOT / path).exists()]
    assert missing == []
    assert [link for link in _LINK.findall(text) if not (page.parent / link).exists()] == []


def test_every_name_that_the_way_of_a_click_passes_exists() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    found = _NAMED.findall(text)
    assert len(found) > 20
    for path, name, member in found:
        source = (ROOT / path).read_text(encoding="utf-8")
        for each in filter(None, (name, member)):
            assert re.search(rf"^ *(?:async )?(?:def|class) {each}\b", source, re.MULTILINE), (
                f"{path} has no {each}"
            )


def test_examples_of_frames_are_the_ones_that_were_promised() -> None:
    text = (DOCS / "protocol.md").read_text(encoding="utf-8")
    examples = _EXAMPLE.findall(text)
    assert len(examples) > 5
    for path, example in examples:
        assert example == (ROOT / path).read_text(encoding="utf-8"), path


def test_every_decision_stands_in_the_index() -> None:
    """Make it anew with `python -m tests.support.index_decisions`."""
    page = index_decisions.INDEX.read_text(encoding="utf-8")
    assert page == index_decisions.indexed(page)


def test_decisions_are_numbered_once_and_titled_with_their_number() -> None:
    pages = index_decisions.decisions()
    numbers = [page.name[:4] for page in pages]
    assert len(numbers) == len(set(numbers))
    for page in pages:
        first = page.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"# {page.name[:4]}: "), page.name


def test_every_change_is_of_a_kind_that_is_known() -> None:
    kinds = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "changes" / "README.md").read_text(), re.MULTILINE)
    )
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert kinds
    for path in fragments:
        words, kind, suffix = path.name.split(".")
        assert (kind in kinds, suffix) == (True, "md"), path.name
        assert re.fullmatch(r"[a-z0-9-]+", words), path.name
        assert path.read_text(encoding="utf-8").endswith(".\n"), path.name
