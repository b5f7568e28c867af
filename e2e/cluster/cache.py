"""What is built once per machine: artefacts, each in a folder named after what it is made of.

An artefact's folder appears whole, by one rename, or not at all; whoever comes second waits
for the first and takes what it made. So a build that is stopped at any time is taken up
again where its last finished artefact was, and two builds at once do the work once.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

Say = Callable[[str], None]
"""Prints one line of progress."""

_UNUSED = 3 * 86400.0  # seconds after which an artefact that another has replaced may go
_SHORT = 16  # hex digits of a hash that stand in a folder's name


@dataclass(frozen=True)
class Artefact:
    """Something that is built, or fetched, from inputs that say all about it.

    Args:
        name: what it is; stands in the folder's name and in the progress.
        make: fills an empty folder; the cache has what it needs and says what goes on.
        version: what else it depends on, in words: a release, build flags.
        sources: files and folders that it is made from.
        needs: artefacts that it is made from; what merely makes it (a compiler) is none.
        usual: how long it takes on two cores, in seconds, for the first time it is told.
    """

    name: str
    make: "Callable[[Path, Cache], None]" = field(repr=False)
    version: str
    sources: tuple[Path, ...] = ()
    needs: tuple[Self, ...] = ()
    usual: float = 10.0

    @property
    def key(self) -> str:
        """The hash of everything that it is made of, in hex."""
        state = hashlib.sha256(f"{self.name}\0{self.version}\0".encode())
        for top in self.sources:
            for path in sorted(_files(top)):
                state.update(
                    f"{path.relative_to(top.parent)}\0{path.stat().st_mode & 0o111:o}\0".encode()
                )
                state.update(hashlib.sha256(path.read_bytes()).digest())
        for needed in self.needs:
            state.update(needed.key.encode())
        return state.hexdigest()


@dataclass(frozen=True)
class Made:
    """How an artefact came to be: how long it took and how large it is, in bytes."""

    seconds: float
    size: int


class Cache:
    """The artefacts of this machine, below one folder.

    Args:
        folder: where they lie.
        say: prints a line of progress.
    """

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.say = say

    @classmethod
    def of_this_user(cls, say: Say) -> Self:
        """Return the cache that all checkouts of this user share."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "porthole" / "kube", say)

    def place(self, artefact: Artefact) -> Path:
        """Return the folder of an artefact, whether it is there or not."""
        return self.folder / f"{artefact.name}-{artefact.key[:_SHORT]}"

    def has(self, artefact: Artefact) -> bool:
        """Whether an artefact is there."""
        return self.place(artefact).is_dir()

    def obtain(self, artefact: Artefact) -> Path:
        """Return the folder of an artefact, made now if it is not there, as all that it needs.

        Raises:
            Failure: it cannot be made; the sentence has the last words of whatever failed.
        """
        place = self.place(artefact)
        if not place.is_dir():
            for needed in artefact.needs:
                self.obtain(needed)
            with self._lock(artefact.name):
                if not place.is_dir():
                    self._make(artefact, place)
        os.utime(place)
        return place

    def obtain_all(self, *lanes: Iterable[Artefact]) -> None:
        """See to it that artefacts are there; lanes run side by side, each in its order.

        Raises:
            Failure: one cannot be made; what the others have begun is finished first.
        """
        failed = threading.Event()

        def walk(lane: Iterable[Artefact]) -> None:
            for artefact in lane:
                if failed.is_set():
                    return
                try:
                    self.obtain(artefact)
                except BaseException:
                    failed.set()
                    raise

        with ThreadPoolExecutor(len(lanes)) as pool:
            for task in [pool.submit(walk, lane) for lane in lanes]:
                task.result()

    def last(self, name: str) -> Made | None:
        """Return how the newest artefact of a name came to be, or None if none ever did."""
        records = sorted(
            self.folder.glob(f"{name}-*/made.json"), key=lambda path: path.stat().st_mtime
        )
        return Made(**json.loads(records[-1].read_text(encoding="ascii"))) if records else None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say that something is begun and done, with the time it took last time and now."""
        times = self.folder / "times.json"
        known = json.loads(times.read_text(encoding="ascii")) if times.exists() else {}
        usual = f" ({known[name]:.0f} s last time)" if name in known else ""
        self.say(f"{name}: begun{usual}")
        begun = time.monotonic()
        yield
        took = round(time.monotonic() - begun, 1)
        self.say(f"{name}: done in {took:.0f} s")
        self.folder.mkdir(parents=True, exist_ok=True)
        half = times.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps({**known, name: took}), encoding="ascii")
        half.rename(times)

    def _make(self, artefact: Artefact, place: Path) -> None:
        for abandoned in self.folder.glob(f".making-{artefact.name}-*"):
            shutil.rmtree(abandoned)
        last = self.last(artefact.name)
        usual = f"{last.seconds:.0f} s last time" if last else f"about {artefact.usual:.0f} s"
        self.say(f"{artefact.name}: making it ({usual})")
        begun = time.monotonic()
        making = Path(tempfile.mkdtemp(prefix=f".making-{artefact.name}-", dir=self.folder))
        try:
            making.chmod(0o755)
            artefact.make(making, self)
            made = Made(round(time.monotonic() - begun, 1), size_of(making))
            (making / "made.json").write_text(json.dumps(made.__dict__), encoding="ascii")
            making.rename(place)
        except BaseException:
            shutil.rmtree(making)
            raise
        self.say(f"{artefact.name}: done in {made.seconds:.0f} s, {made.size / 1e6:.0f} MB")
        self._prune(artefact.name, place)

    def _prune(self, name: str, kept: Path) -> None:
        """Remove what `kept` has replaced and nobody has asked for in a long time."""
        for path in self.folder.glob(f"{name}-" + "[0-9a-f]" * _SHORT):
            if path != kept and path.stat().st_mtime < time.time() - _UNUSED:
                shutil.rmtree(path)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"{name}: another run makes it; waiting for that")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _files(top: Path) -> Iterator[Path]:
    """Yield the files below a folder, or the file itself; links stand for what they name."""
    if top.is_file():
        yield top
    else:
        yield from (
            path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )


def size_of(folder: Path) -> int:
    """Return the sum of the sizes of all files below a folder, in bytes; links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
