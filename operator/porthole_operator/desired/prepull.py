"""The DaemonSet that has a template's image on every node before anybody asks for a desktop."""

from collections.abc import Mapping
from typing import Any, Final

from porthole_contract.names import LABEL_MANAGED_BY, LABEL_PART_OF, LABEL_TEMPLATE, OPERATOR
from porthole_contract.template import SessionTemplateSpec
from porthole_operator.desired.extras import Extras
from porthole_operator.desired.recipe import DESKTOP_UID, PART_OF, Site, shaped

_TINY: Final = {
    "requests": {"cpu": "1m", "memory": "16Mi"},
    "limits": {"memory": "64Mi", "ephemeral-storage": "16Mi"},
}
_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_PREFIX: Final = "image-of-"
_LABEL_NAME: Final = "app.kubernetes.io/name"


def prepull_name(template: str) -> str:
    """Return the name of the DaemonSet of a template; at most 61 characters."""
    return f"{_PREFIX}{template}"


def prepull(
    site: Site, template: Mapping[str, Any], spec: SessionTemplateSpec, extras: Extras
) -> dict[str, Any]:
    """Return the DaemonSet; it goes with its template.

    Each of its pods runs nothing of the image: having to have it is all it does. What the cluster
    makes of it takes over its annotations and its pods' labels, and only Porthole may write those
    below `porthole.dev/`: so there are none.

    Args:
        site: where images come from.
        template: the metadata of the SessionTemplate.
        spec: what it says; it names an image.
        extras: its `pod`, read.
    """
    assert spec.image is not None, "what is fetched is an image"
    name = template["name"]
    labels = {LABEL_TEMPLATE: name, LABEL_MANAGED_BY: OPERATOR, LABEL_PART_OF: PART_OF}
    own = {_LABEL_NAME: prepull_name(name), LABEL_MANAGED_BY: OPERATOR}
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": DESKTOP_UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            {
                "name": "image",
                "image": site.image(spec.image),
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/true"],
                "resources": _TINY,
                "securityContext": _SECURITY,
            }
        ],
        "containers": [
            {
                "name": "wait",
                "image": site.gate_image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-I", "-c", "import signal; signal.pause()"],
                "resources": _TINY,
                "securityContext": _SECURITY,
            }
        ],
        "tolerations": list(extras.tolerations),
    }
    wanted = {
        "imagePullSecrets": list(extras.image_pull_secrets),
        "nodeSelector": extras.node_selector,
        "affinity": extras.affinity,
    }
    return shaped(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {
                "name": prepull_name(name),
                "namespace": template["namespace"],
                "labels": labels,
                "ownerReferences": [
                    {
                        "apiVersion": "porthole.dev/v1alpha1",
                        "kind": "SessionTemplate",
                        "name": name,
                        "uid": template["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "selector": {"matchLabels": own},
                "updateStrategy": {"rollingUpdate": {"maxUnavailable": "50%"}},
                "template": {
                    "metadata": {"labels": {**own, LABEL_PART_OF: PART_OF}},
                    "spec": pod | {name: value for name, value in wanted.items() if value},
                },
            },
        },
        among="labels",
    )
