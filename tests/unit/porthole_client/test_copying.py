"""What `porthole session cp` copies where; names are the desktop's word and lead nowhere else."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from porthole_client.cli.copying import Copy, End, ends
from porthole_client.cli.exits import Failure
from porthole_client.files import Entry, HomeFiles


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ("a.txt", "work:", (End(None, "a.txt"), End("work", ""))),
        ("work:Documents/a", ".", (End("work", "Documents/a"), End(None, "."))),
        ("./odd:name", "work:x", (End(None, "./odd:name"), End("work", "x"))),
        ("/a:b", "w:c:d", (End(None, "/a:b"), End("w", "c:d"))),
    ],
)
def test_one_end_is_in_a_session(source: str, target: str, wanted: tuple[End, End]) -> None:
    assert ends(source, target) == wanted


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("one:a", "two:b")])
def test_not_none_and_not_both(source: str, target: str) -> None:
    with pytest.raises(Failure):
        ends(source, target)


class Hostile:
    """A home whose names would lead out of where they are put."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def stat(self, _: str) -> Entry:
        return Entry("d", "folder", 0, 0, 0o755)

    def list(self, _: str) -> "list[Entry]":
        names = ("..", ".", "", "../out", "/etc/cron", "a\0b", "good")
        return [Entry(name, "file", 1, 0, 0o644) for name in names]

    def download(self, path: str, to: Path, _: Any) -> None:
        self.taken.append(path)
        to.write_text("x")


def test_names_that_lead_elsewhere_are_left_out(tmp_path: Path) -> None:
    home = Hostile()

    @contextlib.contextmanager
    def opened() -> Iterator[HomeFiles]:
        yield cast("HomeFiles", home)

    with Copy(opened, lambda _: None) as copy:
        copy.down("d", tmp_path)
    assert home.taken == ["d/good"]
    assert len(copy.left_out) == 6
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["d", "good"]
