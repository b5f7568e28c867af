"""Two ways to make a cluster: kind on the machine's Docker, and kind on an engine of our own."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping

import yaml

from e2e.cluster import engine
from e2e.cluster.artefacts import obtain_for_a_cluster
from e2e.cluster.cache import Cache
from e2e.cluster.config import AUDIT_POLICY, Wanted, kind_configuration
from e2e.cluster.enclosure import ADDRESS
from e2e.cluster.kubernetes import KUBERNETES
from e2e.cluster.node_image import ENTRYPOINT, NAME, NODE_IMAGE
from e2e.cluster.programs import KIND
from e2e.cluster.record import Place
from e2e.cluster.running import run
from porthole_client.cli.exits import Exit, Failure

READY = "180s"
_LOCALHOST = "127.0.0.1"


def has_docker() -> bool:
    """Whether Docker is installed here and its engine answers."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return asked.returncode == 0


def on_docker(cache: Cache, place: Place, wanted: Wanted) -> bool:
    """Make it as everybody does, from released images; return False if none can be pulled.

    Raises:
        Failure: it cannot be made for another reason.
    """
    _begin(place, wanted, _LOCALHOST, _free_port())
    place.on_docker.touch()
    try:
        with cache.step("kind with released images"):
            kind(cache, os.environ, *create(place))
    except Failure as failure:
        if "pull" not in str(failure):
            raise
        kind(cache, os.environ, "delete", "cluster", *named(place))
        place.on_docker.unlink()
        return False
    # The node's own kubectl is of the cluster's release.
    node = f"{wanted.name}-control-plane"
    run(["docker", "cp", f"{node}:/usr/bin/kubectl", place.programs / "kubectl"])
    return True


def on_own_engine(cache: Cache, place: Place, wanted: Wanted) -> None:
    """Make it from what is compiled and put together here.

    Raises:
        Failure: it cannot be made; the sentence says why.
    """
    if os.geteuid() != 0:
        raise Failure(
            "A cluster needs Docker and images that can be pulled, or root: then its engine"
            " and its nodes are made here. Run this again with sudo.",
            Exit.NOT_ALLOWED,
        )
    obtain_for_a_cluster(cache)
    engine.prepare(cache)
    port = _free_port()
    _begin(place, wanted, ADDRESS, port)
    own = engine.engine_of(cache, place.engine, wanted.name)
    with cache.step("container engine"):
        own.start()
    with cache.step("node image into the engine"):
        settings = (f"ENTRYPOINT {json.dumps(ENTRYPOINT)}", "STOPSIGNAL SIGRTMIN+3")
        changes = [word for setting in settings for word in ("--change", setting)]
        own.run("import", *changes, cache.obtain(NODE_IMAGE) / "node.tar", NAME)
    for published in (port, *wanted.ports):
        own.enclosure.publish(published)
    with cache.step(f"kind with {wanted.nodes} nodes"):
        kind(cache, own.environment, *create(place), "--image", NAME)
    content = place.kubeconfig.read_text(encoding="utf-8")
    outside = content.replace(f"https://{ADDRESS}:", f"https://{_LOCALHOST}:")
    place.kubeconfig.write_text(outside, encoding="utf-8")
    (place.programs / "kubectl").symlink_to(cache.obtain(KUBERNETES) / "kubectl")
    (place.programs / "docker").symlink_to(own.client)


def create(place: Place) -> tuple[str, ...]:
    """Return kind's words that make a cluster."""
    config = ("--config", str(place.folder / "kind.yaml"), "--wait", READY)
    return ("create", "cluster", *named(place), *config)


def named(place: Place) -> tuple[str, ...]:
    """Return kind's words that say which cluster is meant."""
    return ("--name", place.name, "--kubeconfig", str(place.kubeconfig))


def kind(cache: Cache, environment: Mapping[str, str], *words: str) -> str:
    """Run kind and return what it printed.

    Raises:
        Failure: kind's words.
    """
    return run([cache.obtain(KIND) / "kind", *words], env=environment)


def _begin(place: Place, wanted: Wanted, address: str, port: int) -> None:
    """Write what kind and the API server are told."""
    place.audit.mkdir(parents=True, exist_ok=True)
    place.programs.mkdir(exist_ok=True)
    policy = yaml.safe_dump(AUDIT_POLICY)
    (place.audit / "policy.yaml").write_text(policy, encoding="ascii")
    content = kind_configuration(wanted, address=address, port=port, audit=place.audit)
    (place.folder / "kind.yaml").write_text(content, encoding="ascii")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((_LOCALHOST, 0))
        return int(taken.getsockname()[1])
