"""The shapes of pods, one maker for each profile; those that are not here are not served.

`restricted` is what Pod Security calls so. `rdp` asks for nothing more: xrdp and its X server
are started by the desktop's own user, without a capability. `sandbox` will stand beside them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from porthole_contract.configuration import hostname
from porthole_contract.names import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_FINGERPRINT,
    ANNOTATION_TEMPLATE_DIGEST,
    LABEL_HOME,
    home_object,
)
from porthole_contract.quantities import format_bytes, format_cores
from porthole_contract.session import Protocol
from porthole_contract.template import Profile
from porthole_operator.desired.gate import gate
from porthole_operator.desired.recipe import (
    DESKTOP_UID,
    GATE_UID,
    STOP_SECONDS,
    Recipe,
    metadata,
    shaped,
)

_HOME: Final = "/home/user"
_MIB: Final = 2**20
_ROOM: Final = 1024 * _MIB
"""The most of /tmp and /dev/shm, bytes; both count as the desktop's memory."""
_LAYER: Final = 256 * _MIB
"""What logs may take of the node's disk, bytes."""
_SMALL: Final = {"emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}
_LOST_NODE_SECONDS: Final = 30
"""How long a node may be silent before its pods are taken off it."""


def restricted(recipe: Recipe) -> dict[str, Any]:
    """Return the pod that satisfies Pod Security `restricted`."""
    subject, extras = recipe.subject, recipe.extras
    assert subject.spec is not None, "who is made has a spec"
    spec: dict[str, Any] = {
        # What ends is lost, noted and begun again by the operator, which counts.
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": STOP_SECONDS + 4,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": hostname(subject.name, subject.spec),
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": GATE_UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [gate(recipe)],
        "containers": [_desktop(recipe)],
        "volumes": [*_volumes(recipe), *extras.volumes],
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{state}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": _LOST_NODE_SECONDS,
            }
            for state in ("not-ready", "unreachable")
        ]
        + list(extras.tolerations),
    }
    wanted = {
        "imagePullSecrets": list(extras.image_pull_secrets),
        "nodeSelector": extras.node_selector,
        "affinity": extras.affinity,
        "runtimeClassName": extras.runtime_class_name,
        "priorityClassName": extras.priority_class_name,
    }
    spec |= {name: value for name, value in wanted.items() if value}
    home = {} if subject.home is None else {LABEL_HOME: subject.home.hex}
    digest = {ANNOTATION_TEMPLATE_DIGEST: recipe.template.pin.digest}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(recipe, digest, **home),
        "spec": spec,
    }


PROFILES: Final[Mapping[Profile, Callable[[Recipe], dict[str, Any]]]] = MappingProxyType(
    {Profile.RESTRICTED: restricted, Profile.RDP: restricted}
)


def pod(recipe: Recipe, attempt: int, fingerprint: str) -> dict[str, Any]:
    """Return the pod of one attempt.

    Args:
        recipe: what it is made from; its template's profile is served.
        attempt: its number.
        fingerprint: of its gate's certificate.
    """
    made = plain_pod(recipe)
    own = {ANNOTATION_ATTEMPT: str(attempt), ANNOTATION_FINGERPRINT: fingerprint}
    head = made["metadata"]
    return {**made, "metadata": {**head, "annotations": {**head["annotations"], **own}}}


def plain_pod(recipe: Recipe) -> dict[str, Any]:
    """Return the pod without what differs from one attempt to the next."""
    return shaped(PROFILES[recipe.template.spec.profile](recipe))


def _desktop(recipe: Recipe) -> dict[str, Any]:
    effective, extras, template = recipe.effective, recipe.extras, recipe.template.spec
    assert template.image is not None, "who is made has an image"
    disk = _LAYER + (effective.storage if recipe.subject.home is None else 0)
    return {
        "name": "desktop",
        "image": recipe.site.image(template.image),
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "HOME", "value": _HOME},
            {"name": "USER", "value": "user"},
            {"name": "LOGNAME", "value": "user"},
            {"name": "SHELL", "value": "/bin/bash"},
            *extras.env,
        ],
        **({"envFrom": list(extras.env_from)} if extras.env_from else {}),
        "workingDir": _HOME,
        "resources": {
            "requests": {
                "cpu": format_cores(effective.cpu_request),
                "memory": format_bytes(effective.memory_request),
                **extras.resources,
            },
            "limits": {
                "cpu": format_cores(effective.cpu_limit),
                "memory": format_bytes(effective.memory_limit),
                "ephemeral-storage": format_bytes(disk),
                **extras.resources,
            },
        },
        "securityContext": {
            "runAsUser": DESKTOP_UID,
            "runAsGroup": DESKTOP_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "desktop-config", "mountPath": "/run/porthole-config", "readOnly": True},
            {"name": "sockets", "mountPath": "/run/porthole"},
            {"name": "home", "mountPath": _HOME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - of the container
            *([{"name": "xrdp", "mountPath": "/run/xrdp"}] if _over_rdp(recipe) else []),
            *extras.volume_mounts,
        ],
    }


def _over_rdp(recipe: Recipe) -> bool:
    return Protocol.RDP in recipe.effective.protocols


def _volumes(recipe: Recipe) -> list[dict[str, Any]]:
    subject, effective = recipe.subject, recipe.effective
    room = format_bytes(min(effective.memory_limit // 2, _ROOM))
    home: dict[str, Any] = (
        {"emptyDir": {"sizeLimit": format_bytes(effective.storage)}}
        if subject.home is None
        else {"persistentVolumeClaim": {"claimName": home_object(subject.home)}}
    )
    return [
        {"name": "home", **home},
        {"name": "sockets", **_SMALL},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": room}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": room}},
        # Where xrdp's programs meet is written into them.
        *([{"name": "xrdp", **_SMALL}] if _over_rdp(recipe) else []),
        {
            "name": "desktop-config",
            "secret": {
                "secretName": subject.name,
                "defaultMode": 0o440,
                "items": [{"key": "desktop.json", "path": "config.json"}],
            },
        },
        {
            "name": "gate-config",
            "secret": {
                "secretName": subject.name,
                "defaultMode": 0o440,
                "items": [
                    {"key": "gate.json", "path": "config.json"},
                    {"key": "tls.crt", "path": "cert.pem"},
                    {"key": "tls.key", "path": "key.pem"},
                ],
            },
        },
    ]
