"""`python -m porthole_images`: makes the images, one archive for `docker load`, and what else.

build FILE [IMAGE...]     all images, or these, into one archive
unpack IMAGE FOLDER       an image's files, as root
stage FOLDER [IMAGE...]   what `docker build` takes: the Dockerfile and what it copies
base FILE                 a Debian for `docker import`, where there is none to pull
dockerfile                that file, made from the recipes
sizes                     the sizes of the images, made where they are not there yet
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.up import console
from porthole_images import archive, debian, dockerfile
from porthole_images.image import Builder, Release, unpack
from porthole_images.recipe import DPKG, IMAGES
from porthole_images.store import Store

PREFIX = "localhost/porthole"
"""What stands before an image's name, unless it is said."""


def main() -> int:
    """Do one of them; return the exit status."""
    parser = argparse.ArgumentParser(prog="porthole_images", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    doing = parser.add_subparsers(dest="doing", required=True)
    build = doing.add_parser("build")
    build.add_argument("file", type=Path)
    build.add_argument("images", nargs="*", metavar="IMAGE", default=[])
    build.add_argument("--prefix", default=PREFIX)
    build.add_argument("--tag", help="the release's version, unless it is said")
    build.add_argument("--wheel", type=Path, help="make them of this release, not this checkout")
    build.add_argument("--lock", type=Path, help="the requirements.lock of that release")
    one = doing.add_parser("unpack")
    one.add_argument("image")
    one.add_argument("folder", type=Path)
    staged = doing.add_parser("stage")
    staged.add_argument("folder", type=Path)
    staged.add_argument("images", nargs="*", metavar="IMAGE", default=[])
    doing.add_parser("base").add_argument("file", type=Path)
    doing.add_parser("dockerfile")
    doing.add_parser("sizes")
    given = parser.parse_args()
    try:
        _do(given)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.code
    return 0


def builder(release: Release | None = None) -> Builder:
    """Return what makes images of a release, or of this checkout if there is none.

    Raises:
        Failure: the checkout's console cannot be built.
    """
    if release is None:
        console.build(_say)
    return Builder(Store.of_this_user(_say), _say, release)


def _do(given: argparse.Namespace) -> None:
    match given.doing:
        case "build":
            makes = builder(_release(given))
            images = [makes.image(name) for name in given.images or IMAGES]
            tag = given.tag or makes.version
            archive.write(images, given.file, prefix=given.prefix, tag=tag)
        case "unpack":
            if os.geteuid() != 0:
                raise Failure("Only root can give an image's files their owners.")
            unpack(builder().image(given.image), given.folder)
        case "stage":
            stage(builder(), given.folder, given.images or IMAGES)
        case "base":
            debian.with_apt(given.file.absolute(), _say)
        case "dockerfile":
            sys.stdout.write(dockerfile.text())
        case "sizes":
            makes = builder()
            for name in IMAGES:
                sys.stdout.write(f"{name:<18}{makes.image(name).size / 1e6:6.0f} MB\n")


def _release(given: argparse.Namespace) -> Release | None:
    if (given.wheel is None) != (given.lock is None):
        raise Failure("A release is a --wheel and its --lock; give both.", Exit.USAGE)
    return None if given.wheel is None else Release(given.wheel, given.lock)


def stage(makes: Builder, folder: Path, names: Iterable[str]) -> None:
    """Write what `docker build` takes for these images: the Dockerfile, and what it copies."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(DPKG, folder / DPKG.name)
    wanted = tuple(names)
    (folder / "Dockerfile").write_text(dockerfile.text(wanted), encoding="utf-8")
    for name in wanted:
        root = folder / name
        root.mkdir()
        with tempfile.TemporaryDirectory() as work:
            for entry in makes.without_debian(name, Path(work)):
                path = root / entry.path
                path.parent.mkdir(parents=True, exist_ok=True)
                if entry.link is not None:
                    path.symlink_to(entry.link)
                elif entry.content is None:
                    path.mkdir(exist_ok=True)
                else:
                    path.write_bytes(entry.content)
                    path.chmod(entry.mode)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
