"""Images in one file, as `docker load` and `ctr images import` take them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from porthole_images.image import Image
from porthole_images.trees import MADE


def write(images: Iterable[Image], file: Path, *, prefix: str, tag: str) -> None:
    """Write images, and each of their layers once, into a file; it appears whole or not at all.

    Args:
        images: what to write.
        file: where to.
        prefix: what stands before an image's name, e.g. `localhost/porthole`.
        tag: the tag of all of them.
    """
    beside = file.with_name(f".{file.name}.new")
    there: set[str] = set()
    manifest = []
    try:
        with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as archive:
            for image in images:
                config = json.dumps(image.config, sort_keys=True).encode()
                name = f"{hashlib.sha256(config).hexdigest()}.json"
                _add(archive, name, config)
                for layer in image.layers:
                    if layer.digest not in there:
                        there.add(layer.digest)
                        member = _member(f"{layer.digest}.tar", layer.size)
                        with layer.file.open("rb") as content:
                            archive.addfile(member, content)
                manifest.append(
                    {
                        "Config": name,
                        "RepoTags": [f"{prefix}/{image.name}:{tag}"],
                        "Layers": [f"{layer.digest}.tar" for layer in image.layers],
                    }
                )
            _add(archive, "manifest.json", json.dumps(manifest).encode())
        beside.rename(file)
    finally:
        beside.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), io.BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, MADE, 0o644
    return member
