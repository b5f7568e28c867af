"""What images are made of: mirrors, pieces of the lock, and the difference of two trees."""

import io
import tarfile
from importlib import metadata
from typing import Any

import pytest

from porthole_client.cli.exits import Failure
from porthole_images import debian, locked, trees
from porthole_images.recipe import IMAGES, debian_lineage, load
from porthole_images.trees import MADE, Made

TARGETS = """\
http://mirror.example/debian/ trixie main
http://mirror.example/debian/ trixie contrib
http://mirror.example/debian/ trixie-updates main
http://mirror.example/security/ trixie-security main
http://mirror.example/debian/ trixie main
https://elsewhere.example/apt cloud-trixie main
"""


def test_mirrors_are_this_machines_own_for_the_images_suite():
    assert debian.mirrors(TARGETS, "trixie") == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]
    with pytest.raises(Failure, match="no mirror"):
        debian.mirrors("https://elsewhere.example/apt cloud-trixie main\n", "trixie")


LOCK = """\
# a comment
One-Package==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
other==2.0 ; python_version < '4' \\
    --hash=sha256:cc
"""


def test_a_piece_of_the_lock_has_versions_and_hashes():
    piece = locked.pinned(LOCK, ["one-package"])
    assert piece.splitlines() == LOCK.splitlines()[1:4]
    with pytest.raises(Failure, match="lacks third"):
        locked.pinned(LOCK, ["one-package", "third"])


def test_an_image_needs_what_its_extras_need_and_no_more():
    ours = metadata.requires("porthole") or []
    gate, programs = (
        locked.closure(load(name).extras, ours) for name in ("porthole-gate", "porthole")
    )
    assert "uvloop" in gate
    assert "cryptography" in gate, "what an extra of a dependency asks for"
    assert not gate & {"sqlalchemy", "kubernetes", "pytest"}
    assert "sqlalchemy" in programs
    assert "pytest" not in programs


def test_a_desktop_has_the_packages_of_its_template():
    assert "tigervnc-standalone-server" in load("desktop-vnc").own_packages
    assert "chromium" in load("desktop-browser").own_packages
    lineage = [one.name for one in debian_lineage(load("desktop-browser"))]
    assert lineage == ["base", "desktop-vnc", "desktop-browser"]
    for name in IMAGES:
        user = load(name).user
        assert user is not None


def archive(**files: Any) -> io.BytesIO:
    """Return a tar file; a value is content, or what a member has besides."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, given in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.mtime, member.uname = 1000, "somebody"
            content = b""
            if isinstance(given, bytes):
                content = given
            else:
                for key, value in given.items():
                    setattr(member, key, value)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole.seek(0)
    return whole


def members(layer: io.BytesIO) -> dict[str, tarfile.TarInfo]:
    layer.seek(0)
    with tarfile.open(fileobj=layer) as tar:
        return {member.name: member for member in tar}


def test_a_layer_is_the_difference_of_two_trees():
    first, second = io.BytesIO(), io.BytesIO()
    folder = {"type": tarfile.DIRTYPE, "mode": 0o755}
    below = trees.difference(
        archive(usr=folder, kept=b"1", changed=b"1", gone=folder, **{"gone/in": b"1"}),
        {},
        first,
        2000,
    )
    link = {"type": tarfile.LNKTYPE, "linkname": "./kept"}
    above = trees.difference(
        archive(usr=folder, kept=b"1", changed=b"2", new=b"3", again=link), below, second, 2000
    )
    assert set(members(second)) == {"changed", "new", "again", ".wh.gone"}
    assert members(second)["again"].isreg(), "what it was linked to lies in another layer"
    assert set(above) == {"usr", "kept", "changed", "new", "again"}


def test_nothing_of_the_machine_or_the_moment_is_in_a_layer():
    layer = io.BytesIO()
    fresh = {"mtime": 3000, "mode": 0o4755}
    trees.difference(
        archive(su=fresh, old=b"1", **{"etc/hostname": b"here", "var/log/x": b"", "dev/null": b""}),
        {},
        layer,
        2000,
    )
    found = members(layer)
    assert set(found) == {"su", "old"}
    assert (found["su"].mode, found["su"].mtime, found["su"].uname) == (0o755, MADE, "")
    assert found["old"].mtime == 1000, "a package's own time, by which Python knows its caches"


def test_our_own_files_come_with_their_folders():
    layer = io.BytesIO()
    trees.write([Made("a/b/file", b"x", mode=0o755), Made("a/link", link="b/file")], layer)
    found = members(layer)
    assert list(found) == ["a", "a/b", "a/b/file", "a/link"]
    assert found["a/b/file"].mode == 0o755
    assert found["a/link"].linkname == "b/file"
