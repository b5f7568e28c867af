"""Other suites come from where this machine has its own."""

import pytest

from e2e.cluster.debian import mirror_of

TARGETS = [
    "nodistro|nodistro|main|http://elsewhere/node_20.x/",
    "bookworm-updates|bookworm-updates|main|http://mirror/debian/",
    "bookworm|bookworm|contrib|http://mirror/contrib/",
    "stable|bookworm|main|http://mirror/debian/",
    "bookworm-security|bookworm-security|main|http://mirror/security/",
]


@pytest.mark.parametrize(
    ("own", "mirror"),
    [("bookworm", "http://mirror/debian/"), ("trixie", None), ("stable", "http://mirror/debian/")],
)
def test_the_mirror_is_that_of_the_release_itself(own: str, mirror: str | None) -> None:
    assert mirror_of(own, TARGETS) == mirror
