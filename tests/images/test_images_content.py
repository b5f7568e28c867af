"""What is in every image, and that making it again makes the same."""

import re
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from porthole_images import archive, dockerfile, trees, wheel
from porthole_images.image import Builder, Release
from porthole_images.recipe import FOLDER, IMAGES, ROOT, load
from porthole_images.store import Store


@pytest.mark.parametrize("name", IMAGES)
def test_nobody_becomes_another_user_in_it(name: str, makes):
    image = makes.image(name)
    found = []
    for layer in image.layers:
        with tarfile.open(layer.file) as content:
            found += [one.name for one in content if not one.isdir() and one.mode & 0o6000]
            content.fileobj.seek(0)
    assert found == []
    user = load(name).user
    assert image.config["config"]["User"] == f"{user.uid}:{user.uid}"
    assert user.uid >= 1000


def test_it_holds_nothing_of_the_machine_that_made_it(makes):
    unwanted = ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/apt/sources.list")
    for name in IMAGES:
        for layer in makes.image(name).layers:
            with tarfile.open(layer.file) as content:
                members = content.getmembers()
            names = {one.name for one in members}
            assert not names.intersection(unwanted)
            filled = [one.name for one in members if one.size]
            assert not any(fnmatch(one, pattern) for one in filled for pattern in trees.KEYS)
            assert not any(one.startswith(("var/log/", "var/cache/apt/", "dev/")) for one in names)


def test_images_share_what_is_below_them(makes):
    layers = {name: [one.digest for one in makes.image(name).layers] for name in IMAGES}
    assert len({digests[0] for digests in layers.values()}) == 1
    assert layers["desktop-browser"][:2] == layers["desktop-vnc"][:2]


def test_our_own_layer_is_the_same_when_made_again(makes, tmp_path: Path):
    image = makes.image("porthole-gate")
    again = tmp_path / "again.tar"
    folder = tmp_path / "wheel"
    folder.mkdir()
    first = wheel.build(folder)
    with again.open("wb") as target:
        trees.write(makes._top(load("porthole-gate"), first, tmp_path), target)
    assert again.read_bytes() == image.layers[-1].file.read_bytes()


def test_a_releases_images_are_made_of_its_wheel_and_lock(makes, tmp_path: Path):
    """The wheel of this checkout, given as that of a release, makes the same image."""
    folder = tmp_path / "wheel"
    folder.mkdir()
    release = Release(wheel.build(folder), ROOT / "requirements.lock")
    again = Builder(Store.of_this_user(print), print, release)
    now, then = makes.image("porthole-gate"), again.image("porthole-gate")
    assert [one.digest for one in then.layers] == [one.digest for one in now.layers]
    assert again.version == makes.version


def test_the_dockerfile_is_fresh():
    """Make it anew with `python -m porthole_images dockerfile`."""
    assert (FOLDER / "Dockerfile").read_text() == dockerfile.text()


def test_the_dockerfile_for_one_image_has_what_it_stands_on_and_no_other():
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile.text(["desktop-vnc"]), re.MULTILINE)
    assert stages == [
        ("${BASE}", "base-debian"),
        ("base-debian", "desktop-vnc-debian"),
        ("desktop-vnc-debian", "desktop-vnc"),
    ]


def test_an_archive_has_each_layer_once(makes, tmp_path: Path):
    file = tmp_path / "both.tar"
    images = [makes.image(name) for name in ("porthole-gate", "porthole")]
    archive.write(images, file, prefix="localhost/porthole", tag="1")
    with tarfile.open(file) as content:
        names = content.getnames()
        manifest = content.extractfile("manifest.json").read().decode()
    assert len(names) == len(set(names))
    distinct = {layer for image in images for layer in image.layers}
    assert sum(one.endswith(".tar") for one in names) == len(distinct)
    assert '"localhost/porthole/porthole-gate:1"' in manifest
