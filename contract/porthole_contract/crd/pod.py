"""What a template's `pod` may say, for `kubectl explain`: fields of a pod, in its own words.

The models pass it on as it is, and the operator judges it. Here it is described, and no more
checked than its types: a field that nobody knows reaches the operator, which refuses it with
a condition that people see on their sessions.
"""

from typing import Any, Final

Json = dict[str, Any]

_AS_IT_IS: Final = {"x-kubernetes-preserve-unknown-fields": True}


def described(pod: Json) -> Json:
    """Return the schema of `pod` with its fields."""
    return {**pod, "properties": dict(_FIELDS)}


def _text(description: str) -> Json:
    return {"description": description, "type": "string"}


def _object(description: str) -> Json:
    return {"description": description, "type": "object", **_AS_IT_IS}


def _objects(description: str) -> Json:
    return {
        "description": description,
        "type": "array",
        "items": {"type": "object", **_AS_IT_IS},
        "x-kubernetes-list-type": "atomic",
    }


_FIELDS: Final[dict[str, Json]] = {
    "imagePullSecrets": _objects(
        "Secrets of the namespace with which its image is pulled, each as `{name: ...}`."
    ),
    "nodeSelector": {
        "description": "Labels that a node must have to run it.",
        "type": "object",
        "additionalProperties": {"type": "string"},
    },
    "tolerations": _objects("Taints of nodes that it tolerates."),
    "affinity": _object("Which nodes and which neighbours it prefers or needs."),
    "runtimeClassName": _text("The RuntimeClass that runs its containers."),
    "priorityClassName": _text("The PriorityClass of its pod."),
    "env": _objects(
        "Further variables of the desktop, from Secrets and ConfigMaps too (`valueFrom`)."
    ),
    "envFrom": _objects("Secrets and ConfigMaps whose entries become variables of the desktop."),
    "volumes": _objects("Further volumes, of the kinds that Pod Security `restricted` knows."),
    "volumeMounts": _objects(
        "Where they are in the desktop; never over a folder of Porthole's or the home."
    ),
    "prePull": {
        "description": "Whether its image is kept on every node that may run it, so that nobody"
        " waits for it.",
        "type": "boolean",
    },
    "resources": {
        "description": "Extended resources, such as `nvidia.com/gpu: 1`. CPU, memory and storage"
        " stand in the template's `resources`.",
        "type": "object",
        "additionalProperties": {"x-kubernetes-int-or-string": True},
    },
}
