"""What there is on a cluster and on the machine under it, to be compared before and after.

Pods of programs are replaced while stories are told, so what has a made-up name counts by the
kind of name that it has.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from e2e.cluster.installing import SYSTEM
from e2e.support.real_cluster import RealCluster
from e2e.support.traces import Traces
from porthole_agent.runtimes.kubernetes.rights import TOMBSTONES

_KINDS = (
    *("sessions.porthole.dev", "sessiontickets.porthole.dev", "sessiontemplates.porthole.dev"),
    *("pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts"),
    *("networkpolicies", "controllerrevisions", "endpointslices", "deployments", "statefulsets"),
    *("daemonsets", "jobs", "roles", "rolebindings", "leases"),
    *("persistentvolumes", "nodes", "namespaces", "volumeattachments", "clusterroles"),
)
_KEPT = f"ConfigMap {SYSTEM} {TOMBSTONES}"
"""What the agent makes at the first end of a session, and keeps."""
_MADE_UP = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
    (r"\b[0-9a-f]{12,64}\b", "ID"),
    (r"kube-api-access-[a-z0-9]{5}\b", "kube-api-access"),
    (r"-[0-9a-f]{7,10}-[a-z0-9]{5}\b", "-POD"),
    (r"127\.0\.0\.11:\d+", "NAMES"),  # where the engine answers for names on a node
    (r"--sport \d{4,5}\b", "--sport PORT"),
    (r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
    (r"\bKUBE-(SEP|SVC|EXT|FW)-[A-Z0-9]{16}\b", r"KUBE-\1"),
    (r"--probability 0\.\d+", "--probability P"),
    (r"\b(endpointslice\.discovery\.k8s\.io/\S+)-[a-z0-9]{5}\b", r"\1"),
)
_ON_A_NODE = """
find /var/local/volumes -mindepth 1 -maxdepth 1 -printf 'volume %f\\n' 2>/dev/null
cut -d ' ' -f 2 /proc/self/mounts | grep -E 'kubelet|containerd' | sed 's/^/mount /'
iptables-save | grep -v '^[#:]' | sed 's/^/rule /'
"""


@dataclass(frozen=True)
class Things:
    """What there is, each with how many there are of it."""

    objects: Counter[str]
    volumes: Counter[str]
    mounts: Counter[str]
    rules: Counter[str]
    processes: Counter[str]

    @classmethod
    def of(cls, cluster: RealCluster) -> "Things":
        """Look at all of it: API objects, nodes, this machine."""
        words = ("-A", "-o", "custom-columns=K:.kind,N:.metadata.namespace,M:.metadata.name")
        objects = cluster.kubectl("get", ",".join(_KINDS), *words, "--no-headers").splitlines()
        machine = Traces.of(cluster.place.folder, cluster.name)
        nodes = cluster.kubectl("get", "nodes", "-o", "name").replace("node/", "").split()
        # Pods of programs may have gone from one node to another.
        told = [
            line
            for node in nodes
            for line in cluster.run("docker", "exec", node, "sh", "-c", _ON_A_NODE).splitlines()
        ]
        return cls(
            objects=_counted(set(map(_words, objects)) - {_KEPT}),
            volumes=_counted(one for one in told if one.startswith("volume ")),
            mounts=_counted(one for one in told if one.startswith("mount ")),
            rules=_counted([*(one for one in told if one.startswith("rule ")), *machine.rules]),
            processes=_counted(
                one.partition(" ")[2] for one in machine.processes if "postgres: " not in one
            ),
        )

    def unlike(self, before: "Things") -> dict[str, list[str]]:
        """Return what is more (+) or less (-) than it was, by kind; empty if nothing is."""
        found: dict[str, list[str]] = {}
        for one in fields(self):
            now, then = getattr(self, one.name), getattr(before, one.name)
            lines = [f"+{count} {name}" for name, count in (now - then).items()]
            lines += [f"-{count} {name}" for name, count in (then - now).items()]
            if lines:
                found[one.name] = sorted(lines)
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {one.name: getattr(self, one.name).total() for one in fields(self)}

    def write(self, file: Path) -> None:
        """Keep it in a file."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        file.write_text(json.dumps(kept), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return what was kept in a file."""
        kept = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{name: Counter(things) for name, things in kept.items()})


def _words(line: str) -> str:
    return " ".join(line.split())


def _counted(names: Iterable[str]) -> Counter[str]:
    return Counter(map(_plain, names))


def _plain(name: str) -> str:
    for pattern, word in _MADE_UP:
        name = re.sub(pattern, word, name)
    return name
