"""Porthole on a cluster in other ways than `porthole cluster up` puts it there."""

import base64
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from e2e.cluster.installing import CHART, CONSOLE, PREFIX
from e2e.support.installed import RELEASE, SYSTEM, Installed
from e2e.support.proxy import Front
from e2e.support.real_cluster import RealCluster
from porthole_operator.certificates import certificate

ON_A_NODE_PORT = {"type": "NodePort", "nodePort": CONSOLE}

_RECORDS = "records"
_OWNER, _DATABASE = "desks_owner", "desks"
_OTHER_NAMES = f"""\
from porthole_control.db import layout
layout.ROLE, layout.DATABASE = {_OWNER!r}, {_DATABASE!r}
from porthole_control.db import embedded
raise SystemExit(embedded.main())
"""
_SELF = "pe2e0"
ADDRESS = "10.231.7.1"
"""An address of this machine while `reached_by_pods` lasts."""


class Below(Installed):
    """The release as people reach it through a proxy."""

    def __init__(self, cluster: RealCluster, front: Front) -> None:
        super().__init__(cluster)
        self._front = front

    @property
    def url(self) -> str:
        return self._front.url

    @property
    def fingerprint(self) -> str:
        return self._front.fingerprint


def install(release: Installed, **values: Any) -> None:
    """Install this checkout where nothing of Porthole is; return when all of it is ready."""
    file = release.cluster.place.folder / "other-values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    words = (RELEASE, str(CHART), "--values", str(file), "--create-namespace")
    release.helm("install", *words, "--wait", "--timeout=3m")


def namespace(cluster: RealCluster, name: str) -> None:
    """Make a namespace."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def secret(cluster: RealCluster, where: str, name: str, entries: Mapping[str, bytes]) -> None:
    """Make a Secret."""
    data = {key: base64.b64encode(content).decode() for key, content in entries.items()}
    metadata = {"name": name, "namespace": where}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


@contextmanager
def a_database(cluster: RealCluster) -> Iterator[dict[str, Any]]:
    """Run a PostgreSQL of somebody's own, with names of its own; yield what `database` is then.

    What is needed to reach it is in Secrets of the release's namespace.
    """
    files = certificate("Records", [f"postgres.{_RECORDS}.svc"])
    password = secrets.token_hex(16).encode()
    namespace(cluster, _RECORDS)
    namespace(cluster, SYSTEM)
    try:
        secret(cluster, _RECORDS, "server", {"password": password, **files})
        secret(cluster, SYSTEM, "records-password", {"owner": password})
        secret(cluster, SYSTEM, "records-authority", {"authority.pem": files["ca.crt"]})
        cluster.apply(*_postgres())
        cluster.wait("pod/postgres", "condition=Ready", "-n", _RECORDS)
        where = f"{_OWNER}@postgres.{_RECORDS}.svc/{_DATABASE}"
        external = {
            "url": f"postgresql://{where}?sslmode=verify-full",
            "passwordSecret": {"name": "records-password", "key": "owner"},
            "authoritySecret": {"name": "records-authority", "key": "authority.pem"},
        }
        yield {"bundled": {"enabled": False}, "external": external}
    finally:
        cluster.attempt("kubectl", "delete", "namespace", _RECORDS, "--timeout=90s")


def _postgres() -> list[dict[str, Any]]:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    metadata = {"name": "postgres", "namespace": _RECORDS, "labels": {"app": "postgres"}}
    ports = [{"name": "postgres", "containerPort": 5432}]
    container = {
        "name": "postgres",
        "image": f"{PREFIX}/porthole:{version}",
        "command": ["python", "-c", _OTHER_NAMES],
        "args": [
            *("--home=/var/lib/records", "--listen=0.0.0.0", "--password=/run/server/password"),
            *("--certificate=/run/server/tls.crt", "--key=/run/server/tls.key"),
        ],
        "ports": ports,
        "readinessProbe": {"tcpSocket": {"port": "postgres"}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/records"},
            {"name": "server", "mountPath": "/run/server", "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }
    pod = {
        "containers": [container],
        "securityContext": {"runAsUser": 10000, "runAsGroup": 10000, "fsGroup": 10000},
        "terminationGracePeriodSeconds": 5,
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "server", "secret": {"secretName": "server", "defaultMode": 0o440}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        ],
    }
    service = {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


@contextmanager
def reached_by_pods() -> Iterator[str]:
    """Give this machine an address that is not its loopback's, for as long as this lasts."""
    _ip("link", "add", _SELF, "type", "bridge")
    try:
        _ip("address", "add", f"{ADDRESS}/32", "dev", _SELF)
        _ip("link", "set", _SELF, "up")
        yield ADDRESS
    finally:
        _ip("link", "delete", _SELF)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)
