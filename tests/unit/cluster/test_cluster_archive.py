"""Images from nothing, as engines read them."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from e2e.cluster import archive
from e2e.cluster.archive import File, Folder, Image, Link


def read(path: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    with tarfile.open(path) as opened:
        files = {one.name: opened.extractfile(one).read() for one in opened}  # type: ignore[union-attr]
    return files, json.loads(files["manifest.json"])


def written(folder: Path, name: str = "images.tar") -> Path:
    program = folder / "program"
    program.write_bytes(b"#!/bin/true")
    program.chmod(0o755)
    layers = {
        "base": {"usr/bin/program": File(program), "tmp": Folder(0o1777)},
        "top": {"/bin": Link("usr/bin")},
    }
    images = [
        Image("local/one:1", ["base"], ["/usr/bin/program"]),
        Image("local/two:1", ["base", "top"], ["/bin/program"], user="1000"),
    ]
    archive.write(folder / name, layers, images)
    return folder / name


def test_a_layer_stands_once_and_images_name_it(tmp_path: Path) -> None:
    files, manifest = read(written(tmp_path))
    assert [image["RepoTags"] for image in manifest] == [["local/one:1"], ["local/two:1"]]
    base, top = manifest[1]["Layers"]
    assert manifest[0]["Layers"] == [base]
    assert set(files) == {base, top, "manifest.json", *(image["Config"] for image in manifest)}


def test_the_configuration_names_the_layers_as_they_are(tmp_path: Path) -> None:
    files, manifest = read(written(tmp_path))
    config = json.loads(files[manifest[1]["Config"]])
    digests = [
        f"sha256:{hashlib.sha256(gzip.decompress(files[layer])).hexdigest()}"
        for layer in manifest[1]["Layers"]
    ]
    assert config["rootfs"]["diff_ids"] == digests
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    assert config["config"]["User"] == "1000"


def test_files_links_and_folders_are_roots_with_their_modes(tmp_path: Path) -> None:
    files, manifest = read(written(tmp_path))
    base, top = (tmp_path / name for name in ("base.tar.gz", "top.tar.gz"))
    base.write_bytes(files[manifest[1]["Layers"][0]])
    top.write_bytes(files[manifest[1]["Layers"][1]])
    with tarfile.open(base) as opened:
        found = {one.name: (one.mode, one.uid, one.mtime, one.isdir()) for one in opened}
    assert found == {
        "tmp": (0o1777, 0, 0, True),
        "usr": (0o755, 0, 0, True),
        "usr/bin": (0o755, 0, 0, True),
        "usr/bin/program": (0o755, 0, 0, False),
    }
    with tarfile.open(top) as opened:
        assert [(one.name, one.linkname) for one in opened] == [("bin", "usr/bin")]


def test_the_same_content_is_the_same_archive(tmp_path: Path) -> None:
    files, _ = read(written(tmp_path, "one.tar"))
    again, _ = read(written(tmp_path, "two.tar"))
    assert files == again
