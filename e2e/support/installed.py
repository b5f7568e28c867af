"""Porthole on a cluster, as somebody installs it: images made here, and helm."""

import base64
import contextlib
import hashlib
import ssl
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from e2e.support.real_cluster import RealCluster
from porthole_client import Porthole
from porthole_images import archive
from porthole_images.__main__ import PREFIX, builder

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "porthole"
SYSTEM = "porthole-system"
SESSIONS = "porthole-sessions"
RELEASE = "porthole"
NODE_PORT = 30443


class Installed:
    """A release on a cluster, whose node port `NODE_PORT` is `port` of this machine.

    Args:
        cluster: where it is, or will be.
        port: of 127.0.0.1.
    """

    def __init__(self, cluster: RealCluster, port: int) -> None:
        self.cluster = cluster
        self.url = f"https://127.0.0.1:{port}"

    def load_images(self, folder: Path, *names: str) -> None:
        """Make images of this checkout and put them onto every node."""
        makes = builder()
        file = folder / "images.tar"
        archive.write(map(makes.image, names), file, prefix=PREFIX, tag=makes.version)
        self.cluster.porthole("load", str(file))
        file.unlink()

    def helm(self, verb: str, *words: str, values: dict[str, Any] | None = None) -> str:
        """Run helm for the release; `values` are besides those that lead to it."""
        if verb in {"install", "upgrade"}:
            service = {"type": "NodePort", "nodePort": NODE_PORT}
            given = {"publicUrl": self.url, "service": service, **(values or {})}
            file = self.cluster_file("values.yaml", yaml.safe_dump(given))
            words = (str(CHART), "--values", str(file), "--wait", "--timeout=4m", *words)
        return self.cluster.run("helm", verb, RELEASE, *words, "--namespace", SYSTEM)

    def cluster_file(self, name: str, content: str) -> Path:
        """Return a file that programs of this cluster are given."""
        file = Path(self.cluster.environment["KUBECONFIG"]).parent / name
        file.write_text(content, encoding="utf-8")
        return file

    def secret(self, name: str) -> dict[str, bytes]:
        """Return the entries of a Secret of the release."""
        shown = self.cluster.kubectl("-n", SYSTEM, "get", "secret", name, "-o", "yaml")
        return {
            key: base64.b64decode(value) for key, value in yaml.safe_load(shown)["data"].items()
        }

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that it shows."""
        pem = self.secret("porthole-tls")["tls.crt"].decode("ascii")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    @contextlib.contextmanager
    def client(self) -> Iterator[Porthole]:
        """Yield a client that is the administrator."""
        token = self.secret("porthole-administrator")["token"].decode("ascii")
        with Porthole(server=self.url, token=token, fingerprint=self.fingerprint) as client:
            yield client

    def logs(self) -> str:
        """Return what there is, and what each program said last."""
        words = (
            ("get", "pods,jobs,sessions,events", "-A", "-o", "wide"),
            *(
                ("-n", SYSTEM, "logs", f"deployment/porthole-{name}", "--tail=40", "--prefix")
                for name in ("control-plane", "agent", "operator")
            ),
            ("-n", SYSTEM, "logs", "statefulset/porthole-database", "--tail=20"),
            ("-n", SYSTEM, "logs", "job/porthole-keys", "--tail=20"),
        )
        shown = []
        for one in words:
            done = subprocess.run(
                ["kubectl", *one],
                env=self.cluster.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            shown.append(f"$ kubectl {' '.join(one)}\n{done.stdout}{done.stderr}")
        return "\n".join(shown)
