"""Layers that are kept: each a tar file named by what it is made of, and what it adds up to."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from porthole_images.trees import Entry, Tree

Say = Callable[[str], None]
"""Prints one line of progress."""

_UNUSED: Final = 21 * 86400.0  # seconds after which a layer that nobody asked for may go


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as an image names it: its tar file, the SHA-256 of that, its size in bytes."""

    file: Path
    digest: str
    size: int


class Store:
    """The layers of this user, below one folder."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self._say = say

    @classmethod
    def of_this_user(cls, say: Say) -> "Store":
        """Return the store that all checkouts of this user share."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "porthole" / "images", say)

    def layer(self, name: str, key: str, make: Callable[[Path, Path], Tree | None]) -> Layer:
        """Return a layer, made now if it is not there; who comes second waits for the first.

        Args:
            name: what it is, for a person.
            key: hash of everything that it is made of.
            make: writes the tar file at a path, with an empty folder to work in; returns the
                tree that is there with it, if others are to be laid on it.
        """
        file = self._file(name, key)
        if not self._about(file).exists():
            with self._lock(name):
                if not self._about(file).exists():
                    self._make(name, file, make)
        os.utime(file)
        about = json.loads(self._about(file).read_text(encoding="ascii"))
        return Layer(file, about["digest"], about["size"])

    def tree(self, name: str, key: str) -> Tree:
        """Return what is there with a layer and all below it."""
        text = self._file(name, key).with_suffix(".tree").read_text(encoding="utf-8")
        return {path: Entry(**entry) for path, entry in json.loads(text).items()}

    def _make(self, name: str, file: Path, make: Callable[[Path, Path], Tree | None]) -> None:
        self._say(f"image layer {name}: making it")
        begun = time.monotonic()
        work = self.folder / f".making-{name}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            fresh = work / "layer.tar"
            tree = make(fresh, work)
            with fresh.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            size = fresh.stat().st_size
            if tree is not None:
                plain = {path: asdict(entry) for path, entry in tree.items()}
                file.with_suffix(".tree").write_text(json.dumps(plain), encoding="utf-8")
            fresh.rename(file)
            # Last: a layer without this is not there.
            about = work / "about"
            about.write_text(json.dumps({"digest": digest, "size": size}), encoding="ascii")
            about.rename(self._about(file))
        finally:
            shutil.rmtree(work)
        self._say(f"image layer {name}: {size / 1e6:.0f} MB in {time.monotonic() - begun:.0f} s")
        self._prune()

    def _prune(self) -> None:
        for file in self.folder.glob("*.tar"):
            if file.stat().st_mtime < time.time() - _UNUSED:
                for one in (self._about(file), file.with_suffix(".tree"), file):
                    one.unlink(missing_ok=True)

    def _file(self, name: str, key: str) -> Path:
        return self.folder / f"{name}-{key[:16]}.tar"

    def _about(self, file: Path) -> Path:
        return file.with_suffix(".json")

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
