"""What is in a layer: entries, the difference of two trees, and tar files that repeat.

Every file loses its setuid and setgid bits, its owner's name, and a time that only says when
the image was made; what belongs to one machine or one moment is left out.
"""

import fnmatch
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

MADE: Final = 1735689600
"""The time of everything that no package brought: the first second of 2025, in UTC."""

WHITEOUT: Final = ".wh."

KEYS: Final = (
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/ssl/private/*",
    "etc/xrdp/*.pem",
    "etc/xrdp/rsakeys.ini",
)
"""What packages make up for one machine, and would be the same in all that run an image."""

_LEFT_OUT: Final = (
    "dev/*",
    "etc/.pwd.lock",
    "etc/apt/*",
    "etc/group-",
    "etc/gshadow-",
    "etc/hostname",
    "etc/machine-id",
    "etc/passwd-",
    "etc/resolv.conf",
    "etc/shadow-",
    *KEYS,
    "proc/*",
    "run/*",
    "sys/*",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a path is, as far as two trees can differ in it.

    `content` is the SHA-256 of a file, the target of a link, or empty.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    content: str = ""


Tree = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Made:
    """A file, link or folder of our own. `content` None: a folder; `link`: where it leads."""

    path: str
    content: bytes | None = None
    link: str | None = None
    mode: int = 0o644
    uid: int = 0


def left_out(path: str) -> bool:
    """Whether a path of a fresh Debian is nothing for an image."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in _LEFT_OUT)


def difference(whole: IO[bytes], below: Tree, target: IO[bytes], begun: float) -> Tree:
    """Write the layer that turns the tree `below` into that of a tar file; return that one.

    Args:
        whole: the tar file, seekable.
        below: what is there already.
        target: where the layer goes, a tar file.
        begun: when `whole` was begun to be made (seconds since 1970); what is newer is no
            package's own time.
    """
    found: dict[str, Entry] = {}
    with tarfile.open(fileobj=whole) as source, _writing(target) as layer:
        here: set[str] = set()
        for member in source:
            path = str(PurePosixPath(member.name))
            if path == "." or left_out(path) or not _is_plain(member):
                continue
            _clean(member, path, begun)
            if member.islnk() and str(PurePosixPath(member.linkname)) not in here:
                # What it is linked to lies in another layer: here it becomes a file.
                _become_file(source, member)
            content = source.extractfile(member) if member.isreg() else None
            found[path] = entry = _entry(member, content)
            if entry == below.get(path):
                continue
            if content is not None:
                content.seek(0)
            layer.addfile(member, content)
            here.add(path)
        gone = [path for path in below if path not in found]
        for path in _highest(gone):
            parent, name = PurePosixPath(path).parent, PurePosixPath(path).name
            layer.addfile(_member(str(parent / f"{WHITEOUT}{name}"), 0o644), io.BytesIO())
    return found


def write(entries: Iterable[Made], target: IO[bytes]) -> None:
    """Write a layer of our own files; folders that none of them names are made, root's."""
    with _writing(target) as layer:
        there = {"."}
        for entry in sorted(entries, key=lambda one: PurePosixPath(one.path).parts):
            for parent in reversed(PurePosixPath(entry.path).parents):
                if str(parent) not in there:
                    layer.addfile(_folder(str(parent), 0o755, 0))
                    there.add(str(parent))
            if entry.path in there:
                continue
            there.add(entry.path)
            if entry.link is not None:
                member = _member(entry.path, 0o777)
                member.type, member.linkname = tarfile.SYMTYPE, entry.link
                layer.addfile(member)
            elif entry.content is None:
                layer.addfile(_folder(entry.path, entry.mode, entry.uid))
            else:
                member = _member(entry.path, entry.mode)
                member.uid = member.gid = entry.uid
                member.size = len(entry.content)
                layer.addfile(member, io.BytesIO(entry.content))


def files_below(folder: Path, at: str) -> list[Made]:
    """Return the files and links below a folder, as they shall be below `at`."""
    made = []
    for path in sorted(folder.rglob("*")):
        where = f"{at}/{path.relative_to(folder)}"
        if path.is_symlink():
            made.append(Made(where, link=str(path.readlink())))
        elif path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            made.append(Made(where, path.read_bytes(), mode=mode))
    return made


def _writing(target: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() or member.isdir() or member.issym() or member.islnk()


def _clean(member: tarfile.TarInfo, path: str, begun: float) -> None:
    member.name = path
    if not member.isdir():
        member.mode &= ~0o6000
    member.uname = member.gname = ""
    member.pax_headers = {}
    member.mtime = MADE if member.mtime >= begun else int(member.mtime)


def _become_file(source: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    target = next(
        one
        for one in source.getmembers()
        if PurePosixPath(one.name) == PurePosixPath(member.linkname)
    )
    member.type, member.linkname = tarfile.REGTYPE, ""
    member.size, member.offset_data = target.size, target.offset_data


def _entry(member: tarfile.TarInfo, content: IO[bytes] | None) -> Entry:
    kind = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link"}
    what = member.linkname
    if content is not None:
        what = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # reads
    return Entry(kind.get(member.type, "file"), member.mode, member.uid, member.gid, what)


def _highest(paths: list[str]) -> list[str]:
    """Return the paths that are not below another one of them."""
    gone = set(paths)
    return sorted(
        path for path in gone if not any(str(up) in gone for up in PurePosixPath(path).parents)
    )


def _member(path: str, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mode, member.mtime = mode, MADE
    return member


def _folder(path: str, mode: int, uid: int) -> tarfile.TarInfo:
    member = _member(path, mode)
    member.type, member.uid, member.gid = tarfile.DIRTYPE, uid, uid
    return member
