"""Releases as they were given out, and how one comes onto a cluster in place of this checkout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from e2e.cluster.installing import CONSOLE, PREFIX
from e2e.support.installed import RELEASE, SESSIONS, SYSTEM, Installed
from porthole_images import archive, wheel
from porthole_images.__main__ import builder
from porthole_images.image import Release
from porthole_images.recipe import IMAGES

FOLDER = Path(__file__).resolve().parents[1] / "releases"


@dataclass(frozen=True)
class Frozen:
    """One release."""

    folder: Path

    @classmethod
    def all(cls) -> list[Self]:
        """Return every release that is kept, the oldest first."""
        return sorted(
            (cls(path.parent) for path in FOLDER.glob("*/requirements.lock")),
            key=lambda one: tuple(map(int, one.version.split("."))),
        )

    @property
    def version(self) -> str:
        """What it was released as."""
        return self.folder.name

    @property
    def wheel(self) -> Path:
        """Its wheel."""
        return self.folder / f"porthole-{self.version}-py3-none-any.whl"

    @property
    def lock(self) -> Path:
        """What its programs need, each at one release."""
        return self.folder / "requirements.lock"

    @property
    def chart(self) -> Path:
        """Its chart, as `helm package` made it."""
        return self.folder / f"porthole-{self.version}.tgz"

    def is_whole(self) -> bool:
        """Whether its parts are there, and are of its version."""
        there = self.wheel.exists() and self.lock.exists() and self.chart.exists()
        return there and wheel.released(self.wheel) == self.version


def install(frozen: Frozen, release: Installed, folder: Path) -> None:
    """Put a release onto a cluster as if nothing of Porthole had ever been there.

    Args:
        frozen: which.
        release: what is there now, and goes.
        folder: for its images, on the way to the nodes.
    """
    remove(release)
    makes = builder(Release(frozen.wheel, frozen.lock))
    file = folder / "images.tar"
    archive.write([makes.image(name) for name in IMAGES], file, prefix=PREFIX, tag=frozen.version)
    release.cluster.porthole("load", str(file))
    values = folder / "values.yaml"
    service = {"type": "NodePort", "nodePort": CONSOLE}
    values.write_text(yaml.safe_dump({"publicUrl": release.url, "service": service}))
    words = (RELEASE, str(frozen.chart), "--values", str(values), "--create-namespace")
    release.helm("install", *words, "--wait", "--timeout=4m")
    release.until_linked()


def remove(release: Installed) -> None:
    """Take everything of Porthole's from a cluster, what sessions are included."""
    cluster = release.cluster
    if release.is_there():
        release.helm("uninstall", RELEASE, "--wait", "--timeout=2m")
    words = ("--ignore-not-found", "--timeout=90s")
    cluster.kubectl("delete", "namespace", SESSIONS, SYSTEM, *words)
    kinds = cluster.kubectl("get", "customresourcedefinitions", "-o", "name").split()
    if ours := [kind for kind in kinds if kind.endswith(".porthole.dev")]:
        cluster.kubectl("delete", *ours, *words)
