"""A cluster of one name: made, used, taken down."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import engine, making
from e2e.cluster.cache import Cache
from e2e.cluster.config import Wanted
from e2e.cluster.engine import Engine
from e2e.cluster.programs import HELM, KIND
from e2e.cluster.record import Place, Up
from e2e.cluster.running import run
from porthole_client.cli.exits import Exit, Failure

_PATIENCE = 60.0  # seconds for a cluster that is up to answer, on a machine that is busy


class Cluster:
    """One cluster on this machine, by its name.

    Args:
        name: the cluster's.
        cache: has what it is made of, and says what goes on.
    """

    def __init__(self, name: str, cache: Cache) -> None:
        self.name = name
        self.place = Place(name)
        self._cache = cache

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who makes this cluster or takes it down."""
        lock = self.place.lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w", encoding="ascii") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._cache.say(f"Cluster {self.name}: another run is at work on it; waiting")
                fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def up(self, wanted: Wanted) -> None:
        """Make the cluster, unless it is there.

        Raises:
            Failure: it cannot be made here, or another of this name is there.
        """
        found = Up.read(self.place)
        if found and self._is_there(found):
            if found.wanted != wanted:
                raise Failure(
                    f"Cluster {self.name} is up, with other nodes or ports. {self._take_down()}",
                    Exit.CONFLICT,
                )
            self._cache.say(f"Cluster {self.name} is up.")
            return
        self.down()
        try:
            self._make(wanted)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Take the cluster down; nothing of it is left.

        Raises:
            Failure: something of it cannot be ended.
        """
        if self.place.on_docker.exists():
            words = ("delete", "cluster", *making.named(self.place))
            making.kind(self._cache, os.environ, *words)
        self._engine.enclosure.end()
        shutil.rmtree(self.place.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return what programs need to reach the cluster: variables by name.

        Raises:
            Failure: there is no such cluster.
        """
        found = Up.read(self.place)
        if found is None:
            raise Failure(
                f"There is no cluster {self.name}. `porthole cluster up` makes one.", Exit.NOT_FOUND
            )
        shown = {"KUBECONFIG": str(self.place.kubeconfig)}
        if found.own_engine:
            shown["DOCKER_HOST"] = self._engine.host
        return {**shown, "PATH": f"{self.place.programs}:{os.environ.get('PATH', '')}"}

    def load(self, archive: Path) -> None:
        """Put the images of an archive (of `docker save`'s form) onto every node.

        Raises:
            Failure: there is no such cluster, or no such archive.
        """
        environment = {**os.environ, **self.environment()}
        if not archive.is_file():
            raise Failure(f"There is no archive {archive}.", Exit.NOT_FOUND)
        words = ("load", "image-archive", str(archive.resolve()), "--name", self.name)
        with self._cache.step(f"loading {archive.name}"):
            making.kind(self._cache, environment, *words)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the cluster's administrator; return what it printed.

        Raises:
            Failure: kubectl's words.
        """
        program = self.place.programs / "kubectl"
        return run([program, "--kubeconfig", self.place.kubeconfig, *arguments])

    def _make(self, wanted: Wanted) -> None:
        own_engine = not (making.has_docker() and making.on_docker(self._cache, self.place, wanted))
        if own_engine:
            making.on_own_engine(self._cache, self.place, wanted)
        if wanted.nodes > 1:
            # As on a single node, pods may run where the control plane runs.
            role = "node-role.kubernetes.io/control-plane"
            self.kubectl("taint", "nodes", "-l", role, f"{role}:NoSchedule-")
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", f"--timeout={making.READY}")
        for name, artefact in (("kind", KIND), ("helm", HELM)):
            if self._cache.has(artefact):
                (self.place.programs / name).symlink_to(self._cache.obtain(artefact) / name)
        Up(wanted, own_engine).write(self.place)

    @property
    def _engine(self) -> Engine:
        return engine.engine_of(self._cache, self.place.engine, self.name)

    def _is_there(self, found: Up) -> bool:
        """Whether it runs still; after a reboot of the machine it does not.

        Raises:
            Failure: it runs and does not answer: somebody may want to know why.
        """
        if found.own_engine and not self._engine.enclosure.is_alive():
            return False
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if time.monotonic() > deadline:
                raise Failure(
                    f"Cluster {self.name} is there and does not answer. {self._take_down()}",
                    Exit.UNREACHABLE,
                )
            time.sleep(1)
        return True

    def _answers(self) -> bool:
        try:
            return self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
        except Failure:
            return False

    def _take_down(self) -> str:
        return f"Take it down first: `porthole cluster down --name {self.name}`."
