"""The Service: a name in the cluster for a session's gate."""

from typing import Any

from porthole_contract.names import LABEL_SESSION
from porthole_operator.desired.recipe import Recipe, metadata, shaped
from porthole_operator.status import GATE_PORT


def service(recipe: Recipe) -> dict[str, Any]:
    """Return the Service."""
    return shaped(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(recipe),
            "spec": {
                "type": "ClusterIP",
                "selector": {LABEL_SESSION: recipe.subject.name},
                "ports": [
                    {"name": "gate", "port": GATE_PORT, "targetPort": "gate", "protocol": "TCP"}
                ],
            },
        }
    )
