"""The ways in which the chart is installed, as values; each is rendered and checked whole."""

from typing import Any

EXTERNAL_DATABASE: dict[str, Any] = {
    "database": {
        "bundled": {"enabled": False},
        "external": {
            "url": "host=db.example dbname=porthole user=porthole sslmode=verify-full",
            "passwordSecret": {"name": "database-password"},
            "authoritySecret": {"name": "database-authority"},
        },
    },
}

WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a database of one's own": EXTERNAL_DATABASE,
    "below a path, behind an ingress": {
        "publicUrl": "https://desks.example/porthole",
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"},
            "tlsSecret": "desks-example",
        },
        "controlPlane": {"tls": {"secret": "given"}, "allowedHosts": ["desks.internal"]},
    },
    "another registry": {
        "images": {
            "registry": "registry.example:5000/mirror/porthole/",
            "tag": "9.9",
            "pullSecrets": ["pull"],
        },
    },
    "an agent alone": {
        "controlPlane": {"enabled": False},
        "agent": {
            "url": "https://desks.example",
            "joinTokenSecret": "join",
            "authoritySecret": "desks-authority",
            "proxy": "http://proxy.example:3128",
            "cpu": "12",
            "memory": "48Gi",
        },
    },
    "the operator alone": {"controlPlane": {"enabled": False}, "agent": {"enabled": False}},
    "several namespaces": {
        "sessionNamespaces": {"names": ["team-a", "team-b"], "create": False},
        "templates": {"builtIn": ["desktop"]},
    },
    "watched": {
        "controlPlane": {"metrics": True},
        "agent": {"metrics": True},
        "operator": {"metrics": True},
        "monitoring": {"dashboard": {"enabled": True, "annotations": {"folder": "Desktops"}}},
        "traces": {
            "endpoint": "http://collector.example:4318",
            "settings": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"},
        },
    },
    "small, on node ports": {
        "controlPlane": {
            "replicas": 1,
            "settings": {"PORTHOLE_SESSION_RETENTION": "P7D"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "small", "operator": "Exists"}],
            "priorityClassName": "system-cluster-critical",
        },
        "agent": {"replicas": 1},
        "operator": {"replicas": 1},
        "service": {"type": "NodePort", "nodePort": 30443},
        "networkPolicies": {"enabled": False},
        "podAnnotations": {"example.com/seen": "true"},
        "podLabels": {"team": "desks"},
    },
}
