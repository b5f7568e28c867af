"""Further agents of a cluster: releases without a control plane, each in namespaces of its own."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import yaml

from e2e.cluster.installing import CHART
from e2e.support.installed import RELEASE, SYSTEM, Installed
from e2e.support.otherwise import namespace, secret
from porthole_client import Porthole

_HERE = f"https://porthole.{SYSTEM}.svc"


def sessions_of(agent: str) -> str:
    """Return the namespace in which the sessions of such an agent are."""
    return f"{agent}-sessions"


@contextlib.contextmanager
def more_agents(installed: Installed, porthole: Porthole, *names: str) -> Iterator[None]:
    """Have agents of these names that join the control plane which is there."""
    try:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(lambda name: _join(installed, porthole, name), names))
        yield
    finally:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(lambda name: _remove(installed, name), names))
        for agent in porthole.agents.list():
            if agent.name in names:
                porthole.agents.revoke(agent.id)


def _join(installed: Installed, porthole: Porthole, name: str) -> None:
    cluster, token = installed.cluster, porthole.agents.join_token(name).token
    namespace(cluster, name)
    secret(cluster, name, "join", {"token": token.encode()})
    secret(cluster, name, "there", {"ca.crt": installed.secret("porthole-tls")["ca.crt"]})
    joining = {"url": _HERE, "joinTokenSecret": "join", "authoritySecret": "there"}
    values = {
        "sessionNamespaces": {"names": [sessions_of(name)]},
        "controlPlane": {"enabled": False},
        "crds": {"install": False},
        "policies": {"install": False},
        "templates": {"builtIn": []},
        "agent": {**joining, "replicas": 1},
        "operator": {"replicas": 1},
    }
    file = cluster.place.folder / f"values-of-{name}.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    words = (str(CHART), "--values", str(file), "--namespace", name)
    cluster.run("helm", "install", RELEASE, *words, "--timeout=2m")


def _remove(installed: Installed, name: str) -> None:
    cluster = installed.cluster
    # Its agent could join as long as it runs.
    cluster.attempt("helm", "uninstall", RELEASE, "--namespace", name, "--wait", "--timeout=1m")
    gone = ("delete", "namespace", sessions_of(name), name, "--ignore-not-found", "--wait=false")
    cluster.attempt("kubectl", *gone)
