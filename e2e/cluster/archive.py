"""Images from nothing: what stands in them, written as an archive that engines load.

A layer is a list of entries, each a path in the image and what lies there. Layers are
deterministic and stand once in an archive, however many images have them.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

_MADE = "2024-01-01T00:00:00Z"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class File:
    """A copy of a file of this machine, with its mode; the owner is root."""

    source: Path


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Folder:
    """An empty folder."""

    mode: int = 0o755


Layer = Mapping[str, File | Link | Folder]
"""Path in the image -> what lies there; folders above it are made."""


@dataclass(frozen=True)
class Image:
    """An image: its full name, its layers by name, and its configuration."""

    name: str
    layers: Sequence[str]
    entrypoint: Sequence[str]
    user: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def configuration(self, digests: Iterable[str]) -> bytes:
        """Return the image's configuration; `digests` are those of its plain layers."""
        content = {
            "architecture": "amd64",
            "os": "linux",
            "created": _MADE,
            "config": {
                "Env": [_PATH],
                "Entrypoint": list(self.entrypoint),
                "WorkingDir": "/",
                **({"User": self.user} if self.user else {}),
                **self.settings,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": _MADE, "created_by": self.name} for _ in self.layers],
        }
        return json.dumps(content, sort_keys=True).encode()


def write(target: Path, layers: Mapping[str, Layer], images: Iterable[Image]) -> None:
    """Write an archive of images for `docker load` and `ctr images import`.

    Args:
        target: the archive; its layers are compressed and lie beside it for a while.
        layers: what the images name.
        images: the images.
    """
    digests, listed = {}, []
    with tarfile.open(target, "w") as archive:
        for name, layer in layers.items():
            packed = target.with_name(f"{target.name}.{name}")
            digests[name] = _pack(packed, layer)
            archive.add(packed, f"{digests[name]}.tar.gz")
            packed.unlink()
        for image in images:
            configuration = image.configuration(digests[name] for name in image.layers)
            config = f"{hashlib.sha256(configuration).hexdigest()}.json"
            _add(archive, config, configuration)
            files = [f"{digests[name]}.tar.gz" for name in image.layers]
            listed.append({"Config": config, "RepoTags": [image.name], "Layers": files})
        _add(archive, "manifest.json", json.dumps(listed).encode())


def _pack(target: Path, layer: Layer) -> str:
    """Write a layer, compressed, and return the SHA-256 of its plain form, in hex."""
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed:
        hashed = _Hashed(packed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as plain:
            for path, entry in _with_parents(layer):
                _pack_one(plain, path, entry)
    return hashed.digest.hexdigest()


def _with_parents(layer: Layer) -> Iterator[tuple[str, File | Link | Folder]]:
    paths = {path.strip("/"): entry for path, entry in layer.items()}
    above = {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {"."}
    everything = {**dict.fromkeys(above, Folder()), **paths}
    yield from sorted(everything.items())


def _pack_one(plain: tarfile.TarFile, path: str, entry: File | Link | Folder) -> None:
    info = tarfile.TarInfo(path)
    match entry:
        case Folder(mode):
            info.type, info.mode = tarfile.DIRTYPE, mode
            plain.addfile(info)
        case Link(target):
            info.type, info.linkname = tarfile.SYMTYPE, target
            plain.addfile(info)
        case File(source):
            with source.open("rb") as content:
                status = source.stat()
                info.size, info.mode = status.st_size, status.st_mode & 0o7777
                plain.addfile(info, content)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


class _Hashed(io.RawIOBase):
    """A stream that hashes what passes."""

    def __init__(self, onward: gzip.GzipFile) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self._onward = onward

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return self._onward.write(content)
