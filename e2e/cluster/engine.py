"""A container engine of a cluster's own: Debian's Docker, unpacked and not installed."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import debian
from e2e.cluster.cache import Artefact, Cache
from e2e.cluster.enclosure import RESOLVER, Enclosure
from e2e.cluster.host import need_packages
from e2e.cluster.programs import RUNC
from e2e.cluster.running import run
from porthole_client.cli.exits import Failure

_DOCKERD = "docker\x2eio"  # a package of Debian's and not the host of that name
_PACKAGES = {"trixie": (_DOCKERD, "docker-cli", "containerd"), "bookworm": ("tini",)}
_OF_THE_MACHINE = ("iptables", "libdevmapper1.02.1", "slirp4netns")
_PATIENCE = 60.0  # seconds for the engine to answer


def _make(folder: Path, _cache: Cache) -> None:
    work = folder / "work"
    work.mkdir()
    debian.unpack(_PACKAGES, folder / "root", work)
    shutil.rmtree(work)


ENGINE = Artefact("engine", _make, version=f"{_PACKAGES}", usual=15)
"""The packages of the engine, unpacked in `root`."""


@dataclass(frozen=True)
class Engine:
    """The engine of one cluster.

    Args:
        folder: its state; the name must be short, for sockets lie in it.
        root: where its packages are unpacked.
        runc: the folder of the program that starts containers.
        name: the cluster's.
    """

    folder: Path
    root: Path
    runc: Path
    name: str

    @property
    def enclosure(self) -> Enclosure:
        """The namespaces that it lives in."""
        return Enclosure(self.folder, f"porthole-cluster-{self.name}")

    @property
    def host(self) -> str:
        """Where its API is served, as DOCKER_HOST says it."""
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def client(self) -> Path:
        """The program `docker`."""
        return self.root / "usr/bin/docker"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of programs that use it."""
        path = f"{self.client.parent}:{os.environ.get('PATH', '')}"
        return {**os.environ, "DOCKER_HOST": self.host, "PATH": path}

    def start(self) -> None:
        """Start it anew and wait until it answers.

        Raises:
            Failure: it did not; the sentence has the end of its log.
        """
        enclosure = self.enclosure
        enclosure.end()
        places = (self.root / "usr/sbin", self.root / "usr/bin", self.runc)
        path = ":".join((*map(str, places), os.environ.get("PATH", "")))
        init = [str(self.root / "usr/bin/tini-static"), "-g", "--"]
        enclosure.begin(init, self._dockerd(), {**os.environ, "PATH": path})
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if not enclosure.is_alive() or time.monotonic() > deadline:
                raise Failure(f"The container engine did not start:\n{enclosure.log('inside')}")
            time.sleep(0.1)

    def run(self, *words: str | Path) -> str:
        """Run its client and return what it printed.

        Raises:
            Failure: it failed.
        """
        return run([self.client, *words], env=self.environment)

    def _dockerd(self) -> list[str]:
        return [
            str(self.root / "usr/sbin/dockerd"),
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self.folder / 'dockerd.pid'}",
            f"--host={self.host}",
            "--storage-driver=overlay2",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.enclosure.cgroup}",
            f"--userland-proxy-path={self.root / 'usr/sbin/docker-proxy'}",
            f"--dns={RESOLVER}",
        ]

    def _answers(self) -> bool:
        asked = subprocess.run(
            [self.client, "version", "--format", "{{.Server.Version}}"],
            env=self.environment,
            capture_output=True,
            check=False,
        )
        return asked.returncode == 0


def prepare(cache: Cache) -> None:
    """See to it that an engine can be started on this machine.

    Raises:
        Failure: something is missing and cannot be installed or made.
    """
    need_packages(_OF_THE_MACHINE, cache.say)
    cache.obtain(ENGINE)
    cache.obtain(RUNC)


def engine_of(cache: Cache, folder: Path, name: str) -> Engine:
    """Return the engine of a cluster with its state in `folder`; what it needs may be missing."""
    return Engine(folder, cache.place(ENGINE) / "root", cache.place(RUNC), name)
