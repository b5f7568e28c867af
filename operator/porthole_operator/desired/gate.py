"""The container of the gate: a native sidecar, so that it outlives the desktop's last word."""

from typing import Any, Final

from porthole_operator.desired.recipe import GATE_UID, Recipe
from porthole_operator.status import GATE_PORT

HEALTH_PORT: Final = 7080


def gate(recipe: Recipe) -> dict[str, Any]:
    """Return the gate's container.

    It mounts nothing of the desktop but the folder of sockets, read-only.
    """
    return {
        "name": "gate",
        "image": recipe.site.gate_image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "ports": [
            {"name": "gate", "containerPort": GATE_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        # 200 when the screen has been painted and the desktop answers. Never a probe of the
        # RFB server itself: it would count as an attack. And no startup probe: it would keep
        # the desktop from beginning, for which this one waits.
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "health"},
            "periodSeconds": 2,
            "timeoutSeconds": 3,
            "failureThreshold": 3,
        },
        "resources": {
            "requests": {"cpu": "20m", "memory": "48Mi"},
            "limits": {"memory": "256Mi", "ephemeral-storage": "64Mi"},
        },
        "securityContext": {
            "runAsUser": GATE_UID,
            "runAsGroup": GATE_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "gate-config", "mountPath": "/run/gate-config", "readOnly": True},
            {"name": "sockets", "mountPath": "/run/porthole", "readOnly": True},
        ],
    }
