"""A cluster of one name: made, used, taken down."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from e2e.cluster import engine as engines
from e2e.cluster.artefacts import FOR_A_CLUSTER, HELM
from e2e.cluster.cache import Cache
from e2e.cluster.config import AUDIT_POLICY, Wanted, kind_configuration
from e2e.cluster.engine import INSIDE, Engine
from e2e.cluster.kubernetes import KUBERNETES
from e2e.cluster.node_image import ENTRYPOINT, NAME, NODE_IMAGE
from e2e.cluster.programs import KIND
from e2e.cluster.running import run
from porthole_client.cli.exits import Exit, Failure

_READY = "180s"


def state_folder(name: str) -> Path:
    """Return where the state of a cluster lies."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "porthole" / "clusters" / name


@dataclass(frozen=True)
class Up:
    """What is written down of a cluster that is up."""

    wanted: Wanted
    own_engine: bool

    def write(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self)), encoding="ascii")

    @classmethod
    def read(cls, path: Path) -> "Up | None":
        """Return what was written down, or None if nothing was."""
        if not path.exists():
            return None
        content = json.loads(path.read_text(encoding="ascii"))
        ports = {int(outside): inside for outside, inside in content["wanted"].pop("ports").items()}
        return cls(Wanted(**content["wanted"], ports=ports), content["own_engine"])


class Cluster:
    """One cluster on this machine, by its name.

    Args:
        name: the cluster's.
        cache: has what it is made of, and says what goes on.
    """

    def __init__(self, name: str, cache: Cache) -> None:
        self.name = name
        self.folder = state_folder(name)
        self.kubeconfig = self.folder / "kubeconfig"
        self.audit_log = self.folder / "audit" / "log"
        self._record = self.folder / "up.json"
        self._cache = cache

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who makes this cluster or takes it down."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_name(f"{self.name}.lock").open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._cache.say(f"Cluster {self.name}: another run is at work on it; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def found(self) -> Up | None:
        """Return what is written down of it, or None if it was never made."""
        return Up.read(self._record)

    def up(self, wanted: Wanted) -> None:
        """Make the cluster, unless it is there.

        Raises:
            Failure: it cannot be made here, or another of this name is there.
        """
        found = self.found()
        if found and self._answers():
            if found.wanted != wanted:
                raise Failure(
                    f"Cluster {self.name} is up, with other nodes or ports. Take it down first:"
                    f" `porthole cluster down --name {self.name}`.",
                    Exit.CONFLICT,
                )
            self._cache.say(f"Cluster {self.name} is up.")
            return
        self.down()
        try:
            if not (_has_docker() and self._up_on_docker(wanted)):
                self._up_on_own_engine(wanted)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Take the cluster down; nothing of it is left."""
        found = self.found()
        if found and not found.own_engine:
            self._kind(dict(os.environ), "delete", "cluster", "--name", self.name)
        self._engine(prepare=False).stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return what programs need to reach the cluster: variables by name.

        Raises:
            Failure: there is no such cluster.
        """
        found = self._need()
        shown = {"KUBECONFIG": str(self.kubeconfig)}
        if found.own_engine:
            shown["DOCKER_HOST"] = f"unix://{self.folder / 'engine/docker.sock'}"
        return {**shown, "PATH": f"{self.folder / 'bin'}:{os.environ.get('PATH', '')}"}

    def load(self, archive: Path) -> None:
        """Put the images of an archive (of `docker save`'s form) onto every node.

        Raises:
            Failure: there is no such cluster, or no such archive.
        """
        environment = {**os.environ, **self.environment()}
        if not archive.is_file():
            raise Failure(f"There is no archive {archive}.", Exit.NOT_FOUND)
        with self._cache.step(f"loading {archive.name}"):
            words = ("load", "image-archive", str(archive.resolve()), "--name", self.name)
            self._kind(environment, *words)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the cluster's administrator; return what it printed."""
        program = self._cache.obtain(KUBERNETES) / "kubectl"
        return run([program, "--kubeconfig", self.kubeconfig, *arguments])

    def _need(self) -> Up:
        found = self.found()
        if found is None:
            raise Failure(
                f"There is no cluster {self.name}. `porthole cluster up` makes one.", Exit.NOT_FOUND
            )
        return found

    def _up_on_docker(self, wanted: Wanted) -> bool:
        """Make it as everybody does; return whether that could be done."""
        self._begin()
        port = _free_port()
        self._configure(wanted, "127.0.0.1", port)
        try:
            with self._cache.step("kind with Docker's images"):
                self._create(dict(os.environ))
        except Failure as failure:
            if "pull" not in str(failure):
                raise
            self._cache.say("Docker is here, but kind's image cannot be pulled; making our own")
            self.down()
            return False
        self._finish(Up(wanted, own_engine=False))
        return True

    def _up_on_own_engine(self, wanted: Wanted) -> None:
        if os.geteuid() != 0:
            raise Failure(
                "A cluster needs Docker and images that can be pulled, or root: then its engine"
                " and its nodes are made here. Run this again with sudo.",
                Exit.NOT_ALLOWED,
            )
        for artefact in FOR_A_CLUSTER:
            self._cache.obtain(artefact)
        engine = self._engine()
        self._begin()
        with self._cache.step("container engine"):
            engine.start()
        with self._cache.step("node image into the engine"):
            settings = (f"ENTRYPOINT {json.dumps(ENTRYPOINT)}", "STOPSIGNAL SIGRTMIN+3")
            changes = [word for setting in settings for word in ("--change", setting)]
            tar = self._cache.obtain(NODE_IMAGE) / "node.tar"
            engine.run("docker", "import", *changes, str(tar), NAME)
        port = _free_port()
        for published in (port, *wanted.ports):
            engine.publish(published)
        self._configure(wanted, INSIDE, port)
        with self._cache.step(f"kind with {wanted.nodes} nodes"):
            self._create(engine.environment, "--image", NAME)
        content = self.kubeconfig.read_text(encoding="utf-8")
        outside = content.replace(f"https://{INSIDE}:", "https://127.0.0.1:")
        self.kubeconfig.write_text(outside, encoding="utf-8")
        self._finish(Up(wanted, own_engine=True))

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "audit").mkdir(exist_ok=True)
        policy = yaml.safe_dump(AUDIT_POLICY)
        (self.folder / "audit" / "policy.yaml").write_text(policy, encoding="ascii")

    def _configure(self, wanted: Wanted, address: str, port: int) -> None:
        content = kind_configuration(
            wanted, address=address, port=port, audit=self.folder / "audit"
        )
        (self.folder / "kind.yaml").write_text(content, encoding="ascii")

    def _create(self, environment: dict[str, str], *options: str) -> None:
        config = ("--config", str(self.folder / "kind.yaml"), "--kubeconfig", str(self.kubeconfig))
        words = ("create", "cluster", "--name", self.name, "--wait", _READY, *config, *options)
        self._kind(environment, *words)

    def _finish(self, up: Up) -> None:
        """See to it that every node takes pods, lay out the tools, and write down what is there."""
        taint = "node-role.kubernetes.io/control-plane:NoSchedule-"
        if up.wanted.nodes > 1:
            self.kubectl("taint", "nodes", "-l", "node-role.kubernetes.io/control-plane", taint)
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", f"--timeout={_READY}")
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        found = {"kubectl": KUBERNETES, "kind": KIND, "helm": HELM}
        for name, artefact in found.items():
            if self._cache.has(artefact):
                (tools / name).symlink_to(self._cache.obtain(artefact) / name)
        if up.own_engine:
            (tools / "docker").symlink_to(self._engine().programs / "docker")
        up.write(self._record)

    def _kind(self, environment: dict[str, str], *words: str) -> str:
        return run([self._cache.obtain(KIND) / "kind", *words], env=environment)

    def _engine(self, *, prepare: bool = True) -> Engine:
        return engines.engine(self._cache, self.folder / "engine", self.name, prepare=prepare)

    def _answers(self) -> bool:
        try:
            return self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
        except Failure:
            return False


def _has_docker() -> bool:
    """Whether Docker is installed here and its engine answers."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return asked.returncode == 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
