"""Porthole on a cluster: its images, made here, and its chart.

Done again, it brings what is there up to date: only images that are other than those on the
nodes are put there, and pods are replaced only if their image is.
"""

import base64
import hashlib
import json
import ssl
from pathlib import Path
from typing import Final

import yaml

from e2e.cluster.cache import Cache
from e2e.cluster.cluster import Cluster
from e2e.cluster.programs import HELM
from e2e.cluster.record import Up
from e2e.cluster.running import run
from porthole_client import Porthole
from porthole_client.cli.exits import Exit, Failure
from porthole_images import archive
from porthole_images.__main__ import PREFIX, builder
from porthole_images.image import Image
from porthole_images.recipe import IMAGES

CHART: Final = Path(__file__).resolve().parents[2] / "helm" / "porthole"
SYSTEM: Final = "porthole-system"
SESSIONS: Final = "porthole-sessions"
CONSOLE: Final = 30443
"""The node port of the console."""
USUAL_PORT: Final = 8443
"""The port of 127.0.0.1 that leads there, if it is free."""

_PATIENCE: Final = "5m"


def console_port(cluster: Cluster) -> int:
    """Return the port of 127.0.0.1 that leads to the console.

    Raises:
        Failure: none does, or there is no such cluster.
    """
    found = Up.read(cluster.place)
    ports = {} if found is None else {inside: here for here, inside in found.wanted.ports.items()}
    if CONSOLE not in ports:
        raise Failure(
            f"Nothing leads to Porthole's console on cluster {cluster.name}. Take it down, and make"
            f" it without --bare, or with --port {USUAL_PORT}:{CONSOLE}.",
            Exit.NOT_FOUND,
        )
    return ports[CONSOLE]


def install(cluster: Cluster, cache: Cache) -> str:
    """Install this checkout on a cluster, or bring it up to date; return a link that signs in.

    Raises:
        Failure: it cannot be done; the sentence has the words of what failed.
    """
    url = f"https://127.0.0.1:{console_port(cluster)}"
    makes = builder()
    images = [makes.image(name) for name in IMAGES]
    _load(cluster, images, makes.version)
    values: dict[str, object] = {
        "publicUrl": url,
        "service": {"type": "NodePort", "nodePort": CONSOLE},
        # Another image of the same tag: by this, pods are replaced.
        "podAnnotations": {"porthole.dev/image": _digest(images[0])},
    }
    record = cluster.place.folder / "installed"
    wanted = _digest_of_chart(values)
    known = record.exists() and record.read_text(encoding="ascii") == wanted
    if not known or not _is_released(cluster):
        file = cluster.place.folder / "values.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        helm = str(cache.obtain(HELM) / "helm")
        where = ("--kubeconfig", str(cluster.place.kubeconfig), "--namespace", SYSTEM)
        what = ("porthole", str(CHART), "--values", str(file), "--create-namespace")
        with cache.step("Porthole on the cluster"):
            run([helm, "upgrade", "--install", *what, *where, "--wait", "--timeout", _PATIENCE])
        record.write_text(wanted, encoding="ascii")
    return _sign_in_link(cluster, url)


def _is_released(cluster: Cluster) -> bool:
    """Whether it is still there: somebody may have uninstalled it."""
    found = cluster.kubectl(
        *("-n", SYSTEM, "get", "secrets", "-o", "name"),
        *("-l", "owner=helm,name=porthole,status=deployed"),
    )
    return found != ""


def _load(cluster: Cluster, images: list[Image], tag: str) -> None:
    """Put onto the nodes what is not there yet; what is there, a file of the cluster says."""
    record = cluster.place.folder / "images.json"
    known = json.loads(record.read_text(encoding="ascii")) if record.exists() else {}
    wanted = {image.name: _digest(image) for image in images}
    if other := [image for image in images if known.get(image.name) != wanted[image.name]]:
        file = cluster.place.folder / "porthole-images.tar"
        try:
            archive.write(other, file, prefix=PREFIX, tag=tag)
            cluster.load(file)
        finally:
            file.unlink(missing_ok=True)
    record.write_text(json.dumps(wanted), encoding="ascii")


def _digest_of_chart(values: dict[str, object]) -> str:
    state = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        state.update(f"{path.relative_to(CHART)}\0".encode() + path.read_bytes())
    return state.hexdigest()


def _digest(image: Image) -> str:
    return hashlib.sha256(json.dumps(image.config, sort_keys=True).encode()).hexdigest()[:16]


def _sign_in_link(cluster: Cluster, url: str) -> str:
    def secret(name: str) -> dict[str, str]:
        shown = cluster.kubectl("-n", SYSTEM, "get", "secret", name, "-o", "json")
        entries: dict[str, str] = json.loads(shown)["data"]
        return {key: base64.b64decode(entry).decode() for key, entry in entries.items()}

    der = ssl.PEM_cert_to_DER_cert(secret("porthole-tls")["tls.crt"])
    fingerprint = hashlib.sha256(der).hexdigest()
    token = secret("porthole-administrator")["token"]
    with Porthole(server=url, token=token, fingerprint=fingerprint) as porthole:
        return porthole.people.sign_in_link().url
