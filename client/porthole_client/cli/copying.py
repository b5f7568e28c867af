"""What `porthole session cp` does: files and whole folders, either way, on from where it broke."""

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeVar

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import plain
from porthole_client.errors import (
    ClientError,
    Conflict,
    FileFault,
    StreamLost,
    StreamRefused,
    Unreachable,
)
from porthole_client.files import Entry, HomeFiles, Progress

_TRIES: Final = 5
_PAUSE: Final = 1.0
_MEBI: Final = 2**20

_FINAL: Final = frozenset({"session_ended", "revoked", "kicked"})
_PASSING: Final = frozenset({"session_not_running", "session_not_asleep", "gate_not_ready"})
"""What is said of a session that is being started, or put to sleep, in the middle of a copy."""
T = TypeVar("T")


@dataclass(frozen=True)
class End:
    """One end of a copy: a path here (`session` is None), or one in a session's home."""

    session: str | None
    path: str


def ends(source: str, target: str) -> tuple[End, End]:
    """Return what two words mean: `SESSION:PATH` is in a session, anything else is here.

    Raises:
        Failure: not exactly one of them is in a session.
    """
    found = (_end(source), _end(target))
    if sum(end.session is None for end in found) != 1:
        raise Failure("One of the two must be SESSION:PATH, the other a path here.", Exit.USAGE)
    return found


def _end(text: str) -> End:
    name, colon, path = text.partition(":")
    if not colon or not name or "/" in name or name.startswith("."):
        return End(None, text)
    return End(name, path)


@dataclass
class Copy:
    """One copy, which opens its stream again when that breaks.

    Attributes:
        open: opens the home.
        tell: is told what is being copied.
        left_out: what was not copied, and why.
    """

    open: Callable[[], AbstractContextManager[HomeFiles]]
    tell: Callable[[str], object]
    left_out: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0
    _files: HomeFiles | None = None
    _begun: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)

    def up(self, source: Path, path: str) -> None:
        """Copy what is here into the home.

        Raises:
            Failure: there is nothing here.
            ClientError: it cannot be.
        """
        if not source.exists():
            raise Failure(f"There is no {plain(source)}.", Exit.NOT_FOUND)
        target = path if path and not path.endswith("/") else f"{path}{source.name}"
        there = self._kind(target)
        if there == "folder" and not path.endswith("/") and path:
            target = f"{target}/{source.name}"
        if source.is_dir():
            self._folder_up(source, target)
        else:
            self._file_up(source, target)

    def _folder_up(self, source: Path, target: str) -> None:
        self._do(lambda files: files.make_folder(target))
        for one in sorted(source.iterdir()):
            name = f"{target}/{one.name}"
            if one.is_symlink() or not (one.is_dir() or one.is_file()):
                self.left_out.append(f"{plain(one)} is neither a file nor a folder")
            elif one.is_dir():
                self._folder_up(one, name)
            else:
                self._file_up(one, name)

    def _file_up(self, source: Path, target: str) -> None:
        self._do(lambda files: files.upload(source, target, progress=self._meter(source.name)))
        self._count(source.stat().st_size)

    def down(self, path: str, target: Path) -> None:
        """Copy what is in the home to here.

        Raises:
            Failure: there is nothing of the kind here to copy it to.
            ClientError: it cannot be.
        """
        about = self._do(lambda files: files.stat(path)) if path.strip("/") else None
        name = path.rstrip("/").rpartition("/")[2] or "home"
        if target.is_dir():
            target = target / name
        elif not target.parent.is_dir():
            raise Failure(f"There is no folder {plain(target.parent)}.", Exit.NOT_FOUND)
        if about is None or about.kind == "folder":
            self._folder_down(path, target)
        else:
            self._file_down(path, target, about)

    def _folder_down(self, path: str, target: Path) -> None:
        target.mkdir(exist_ok=True)
        for one in self._do(lambda files: files.list(path)):
            inside = f"{path}/{one.name}" if path else one.name
            # A name is the desktop's word; it must not lead anywhere but into the folder.
            if "/" in one.name or "\0" in one.name or one.name in {"", ".", ".."}:
                self.left_out.append(f"{plain(inside)} is no name")
            elif one.kind == "folder":
                self._folder_down(inside, target / one.name)
            elif one.kind == "file":
                self._file_down(inside, target / one.name, one)
            else:
                self.left_out.append(f"{plain(inside)} is neither a file nor a folder")

    def _file_down(self, path: str, target: Path, about: Entry) -> None:
        self._do(lambda files: files.download(path, target, self._meter(target.name)))
        self._count(about.size)

    def _kind(self, path: str) -> str | None:
        if not path.strip("/"):
            return "folder"
        try:
            return self._do(lambda files: files.stat(path)).kind
        except FileFault as fault:
            if fault.code == "not_found":
                return None
            raise

    def _do(self, work: Callable[[HomeFiles], T]) -> T:
        """Do something with the home's files; on a stream that breaks, on the next one."""
        tries = 0
        while True:
            try:
                if self._files is None:
                    self._files = self._stack.enter_context(self.open())
                done = work(self._files)
                self._begun = True
            except FileFault:
                self._begun = True  # that is an answer, too
                raise
            except (StreamLost, Unreachable, StreamRefused, Conflict) as error:
                self._files = None
                tries += 1
                broke = isinstance(error, StreamLost | Unreachable)
                again = broke or (self._begun and error.code in _PASSING)
                if tries > _TRIES or error.code in _FINAL or not again:
                    raise
                self.tell(f"{error} Going on in a moment.")
                time.sleep(_PAUSE * tries)
            else:
                return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ClientError, OSError):
            self._stack.close()

    def _count(self, size: int) -> None:
        self.files += 1
        self.size += size

    def _meter(self, name: str) -> Progress:
        def progress(done: int, whole: int) -> None:
            share = f" {100 * done // whole} %" if whole else ""
            self.tell(f"{plain(name)}:{share} {done / _MEBI:.1f} MiB")

        return progress
