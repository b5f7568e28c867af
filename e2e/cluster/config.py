"""What kind is asked for: pure, so that a test can read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DEFAULT_NAME = "porthole"
MOST_NODES = 5
_AUDIT_INSIDE = "/etc/kubernetes/audit"
_AUDIT_FLAGS = {
    "audit-policy-file": f"{_AUDIT_INSIDE}/policy.yaml",
    "audit-log-path": f"{_AUDIT_INSIDE}/log",
}
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # What nodes and controllers tell one another would be most of the log.
        {"level": "None", "userGroups": ["system:nodes"]},
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class Wanted:
    """A cluster as somebody wants it.

    Args:
        name: the cluster's.
        nodes: how many, the control plane's included; pods may run on all.
        ports: port of this machine's 127.0.0.1 -> node port of the cluster.
    """

    name: str = DEFAULT_NAME
    nodes: int = 2
    ports: Mapping[int, int] = field(default_factory=dict)


def kind_configuration(wanted: Wanted, *, address: str, port: int, audit: Path) -> str:
    """Return kind's configuration of a cluster, as YAML.

    Args:
        wanted: the cluster.
        address: where the engine publishes ports.
        port: the API server's port there.
        audit: a folder of this machine with `policy.yaml`; the log is written there.
    """
    first = {
        "role": "control-plane",
        "extraPortMappings": [
            {
                "containerPort": inside,
                "hostPort": outside,
                "listenAddress": address,
                "protocol": "TCP",
            }
            for outside, inside in wanted.ports.items()
        ],
        "extraMounts": [{"hostPath": str(audit), "containerPath": _AUDIT_INSIDE}],
    }
    content = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": wanted.name,
        "networking": {"apiServerAddress": address, "apiServerPort": port},
        "kubeadmConfigPatches": [
            _kubeadm("v1beta3", dict(_AUDIT_FLAGS), address),
            _kubeadm(
                "v1beta4", [{"name": k, "value": v} for k, v in _AUDIT_FLAGS.items()], address
            ),
        ],
        "nodes": [first, *({"role": "worker"} for _ in range(wanted.nodes - 1))],
    }
    return yaml.safe_dump(content, sort_keys=False)


def _kubeadm(version: str, flags: object, address: str) -> str:
    """Return a patch of kubeadm's configuration; only that of the release's own version applies."""
    volume = {
        "name": "audit",
        "hostPath": _AUDIT_INSIDE,
        "mountPath": _AUDIT_INSIDE,
        "pathType": "Directory",
    }
    content: dict[str, Any] = {
        "kind": "ClusterConfiguration",
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "apiServer": {
            "certSANs": sorted({"localhost", "127.0.0.1", address}),
            "extraArgs": flags,
            "extraVolumes": [volume],
        },
    }
    return yaml.safe_dump(content)
