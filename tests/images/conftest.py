"""The images, made once and unpacked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from porthole_images.__main__ import builder
from porthole_images.image import Builder, Image, unpack
from tests.support.image_runner import Runner


@pytest.fixture(scope="session")
def makes() -> Builder:
    return builder()


@pytest.fixture(scope="session")
def rooted(makes: Builder, tmp_path_factory: pytest.TempPathFactory):
    """Return a function: the image of that name, and the folder of its files."""
    made: dict[str, tuple[Image, Path]] = {}

    def unpacked(name: str) -> tuple[Image, Path]:
        if name not in made:
            image = makes.image(name)
            root = tmp_path_factory.mktemp(name) / "root"
            root.mkdir(mode=0o755)
            # Others than root go through it.
            for folder in (root.parent, root.parent.parent, root.parent.parent.parent):
                folder.chmod(folder.stat().st_mode | 0o011)
            unpack(image, root)
            # What an engine makes for every container.
            for mounted in ("proc", "sys", "dev", "run", "tmp"):
                (root / mounted).mkdir(exist_ok=True)
            made[name] = image, root
        return made[name]

    return unpacked


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    if os.geteuid() != 0:
        pytest.skip("Containers are run by root here.")
    started = Runner(tmp_path)
    try:
        yield started
    finally:
        started.close()
