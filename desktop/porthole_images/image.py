"""From a recipe to an image: its layers, and how it is run."""

import hashlib
import json
import shutil
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from porthole_images import debian, locked, trees, wheel
from porthole_images.recipe import (
    DPKG,
    ROOT,
    SUITE,
    Recipe,
    User,
    debian_lineage,
    lineage,
    load,
    machine,
)
from porthole_images.store import Layer, Say, Store
from porthole_images.trees import Made, Tree

_EDITION: Final = "2"
"""Raised when layers are made differently from the same inputs."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is made: its layers, the lowest first, and its configuration."""

    name: str
    layers: tuple[Layer, ...]
    config: dict[str, Any] = field(compare=False)

    @property
    def size(self) -> int:
        """Bytes of all layers together."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Release:
    """What images are made of besides Debian: a wheel of ours, and the lock that goes with it."""

    wheel: Path
    lock: Path


class Builder:
    """Makes images, and each of their layers once.

    Args:
        store: where layers are kept.
        say: prints a line of progress.
        release: what to make them of; None: this checkout, as it is.
    """

    def __init__(self, store: Store, say: Say, release: Release | None = None) -> None:
        self._store = store
        self._say = say
        self._lock = ROOT / "requirements.lock" if release is None else release.lock
        self._built: tuple[str, Path] | None = None
        if release is not None:
            content = release.wheel.read_bytes()
            self._built = hashlib.sha256(content).hexdigest(), release.wheel

    @property
    def version(self) -> str:
        """The version of what they are made of."""
        return wheel.released(self._wheel()[1])

    def image(self, name: str) -> Image:
        """Return an image, made as far as it is not there yet.

        Raises:
            Failure: a step of it cannot be done; the sentence has its words.
        """
        recipe = load(name)
        layers = [self._debian(one) for one in debian_lineage(recipe)]
        if recipe.extras:
            layers.append(self._libraries(recipe))
        layers.append(self._ours(recipe))
        return Image(name, tuple(layers), configuration(recipe, layers, self.version))

    def _debian(self, recipe: Recipe) -> Layer:
        below = debian_lineage(recipe)[:-1]

        def make(target: Path, work: Path) -> Tree:
            begun = time.time()
            everything = {name for one in lineage(recipe) for name in one.own_packages}
            debian.bootstrap(everything, work / "whole.tar", self._say)
            under: Tree = {}
            if below:
                self._debian(below[-1])
                under = self._store.tree(f"debian-{below[-1].name}", _debian_key(below[-1]))
            with (work / "whole.tar").open("rb") as whole, target.open("wb") as layer:
                return trees.difference(whole, under, layer, begun)

        return self._store.layer(f"debian-{recipe.name}", _debian_key(recipe), make)

    def _libraries(self, recipe: Recipe) -> Layer:
        names = locked.closure(recipe.extras, wheel.asks_for(self._wheel()[1]))
        wanted = locked.pinned(self._lock.read_text(encoding="utf-8"), names)

        def make(target: Path, work: Path) -> None:
            folder = work / "site-packages"
            locked.install(wanted, folder)
            locked.compile_below(folder, f"/{wheel.SITE}")
            # Scripts of others, with the path of this machine's interpreter in them.
            shutil.rmtree(folder / "bin", ignore_errors=True)
            with target.open("wb") as layer:
                trees.write(trees.files_below(folder, wheel.SITE), layer)

        key = _key("libraries", SUITE, machine().wheels, wanted)
        return self._store.layer(f"libraries-{recipe.name}", key, make)

    def _ours(self, recipe: Recipe) -> Layer:
        digest, path = self._wheel()

        def make(target: Path, work: Path) -> None:
            with target.open("wb") as layer:
                trees.write(self._top(recipe, path, work), layer)

        key = _key("ours", digest, recipe.model_dump_json())
        return self._store.layer(f"ours-{recipe.name}", key, make)

    def without_debian(self, name: str, work: Path) -> list[Made]:
        """Return what an image has besides Debian's packages; `work` is an empty folder."""
        recipe = load(name)
        made = self._top(recipe, self._wheel()[1], work)
        if recipe.extras:
            layer = self._libraries(recipe)
            with _trusted(layer.file) as content:
                content.extractall(work / "libraries")  # noqa: S202 - we have made it
            made += trees.files_below(work / "libraries" / wheel.SITE, wheel.SITE)
        return made

    def _top(self, recipe: Recipe, path: Path, work: Path) -> list[Made]:
        assert recipe.user is not None, "an image is run as somebody"
        made = [*wheel.parts(path, recipe), *accounts(recipe.user)]
        made += [Made(one, b"") for one in recipe.empty]
        if recipe.ours:
            made += wheel.skeleton()
        python = [one for one in made if one.path.startswith("opt/")]
        fresh = work / "top"
        for one in python:
            if one.content is not None:
                file = fresh / one.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(one.content)
        locked.compile_below(fresh, "/")
        known = {one.path for one in made}
        made += [one for one in trees.files_below(fresh, ".") if one.path[2:] not in known]
        return [
            Made(one.path.removeprefix("./"), one.content, one.link, one.mode, one.uid)
            for one in made
        ]

    def _wheel(self) -> tuple[str, Path]:
        """Return the hash of what our wheel is made from, and the wheel."""
        if self._built is None:
            digest = wheel.digest()
            folder = self._store.folder / "wheels" / digest[:16]
            found = next(folder.glob("porthole-*.whl"), None)
            if found is None:
                folder.mkdir(parents=True, exist_ok=True)
                found = wheel.build(folder)
            self._built = digest, found
        return self._built


def accounts(user: User) -> list[Made]:
    """Return the files that say who there is in an image, and the user's home."""
    shell = "/bin/bash"
    passwd = (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"{user.name}:x:{user.uid}:{user.uid}:{user.name}:{user.home}:{shell}\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    group = f"root:x:0:\n{user.name}:x:{user.uid}:\nnogroup:x:65534:\n"
    made = [
        Made("etc/passwd", passwd.encode()),
        Made("etc/group", group.encode()),
        Made("etc/shadow", b"", mode=0o600),
        Made("etc/gshadow", b"", mode=0o600),
    ]
    if user.home != "/":
        made.append(Made(user.home.strip("/"), mode=0o750, uid=user.uid))
    return made


def configuration(recipe: Recipe, layers: Iterable[Layer], version: str) -> dict[str, Any]:
    """Return an image's configuration, as engines read it."""
    assert recipe.user is not None, "an image is run as somebody"
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trees.MADE))
    environment = [f"PATH={recipe.search_path}", "LANG=C.UTF-8", f"HOME={recipe.user.home}"]
    config: dict[str, Any] = {
        "User": f"{recipe.user.uid}:{recipe.user.uid}",
        "Env": environment,
        "WorkingDir": recipe.user.home,
        "Labels": {
            "org.opencontainers.image.title": recipe.name,
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    }
    if recipe.entrypoint:
        config["Entrypoint"] = list(recipe.entrypoint)
    if recipe.command:
        config["Cmd"] = list(recipe.command)
    digests = [f"sha256:{layer.digest}" for layer in layers]
    return {
        "architecture": machine().image,
        "os": "linux",
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created": created, "created_by": recipe.name} for _ in digests],
    }


def _trusted(layer: Path) -> tarfile.TarFile:
    """Open a layer of ours, to be unpacked as it is.

    Python has filters from 3.11.4 on and, later, wants one to be chosen; Debian 12 has 3.11.2.
    """
    content = tarfile.open(layer)  # noqa: SIM115 - the caller closes it
    content.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
    return content


def unpack(image: Image, root: Path) -> None:
    """Put an image's files below a folder, as an engine would.

    Only root can give them their owners.
    """
    for layer in image.layers:
        with _trusted(layer.file) as content:
            for member in content:
                path = Path(member.name)
                if path.name.startswith(trees.WHITEOUT):
                    gone = root / path.parent / path.name.removeprefix(trees.WHITEOUT)
                    _remove(gone)
                else:
                    if not member.isdir():
                        _remove(root / path)
                    content.extract(member, root, numeric_owner=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _debian_key(recipe: Recipe) -> str:
    chain = [[one.name, *one.own_packages] for one in debian_lineage(recipe)]
    return _key(
        "debian", SUITE, machine().debian, DPKG.read_text(encoding="utf-8"), json.dumps(chain)
    )


def _key(*inputs: str) -> str:
    return hashlib.sha256("\0".join((_EDITION, *inputs)).encode()).hexdigest()
