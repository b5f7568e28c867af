"""The pod that serves the files of a Session that sleeps: the desktop's own, and much less of it.

It has the desktop's name, its user, its home and its gate. So whatever keeps two desktops from
one home keeps it from it too, and the API server lets there be one of the two at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from porthole_contract.configuration import FILES_LONGEST
from porthole_contract.names import ANNOTATION_FILES, ANNOTATION_FINGERPRINT
from porthole_operator.desired.profiles import plain_pod
from porthole_operator.desired.recipe import Recipe

_STOP_SECONDS: Final = 2
"""A start waits for its end."""
_MOUNTS: Final = ("desktop-config", "sockets", "home", "tmp")
_CONFIGURATION: Final = {"desktop.json": "files.json", "gate.json": "files-gate.json"}
_SMALL: Final = {
    "requests": {"cpu": "20m", "memory": "48Mi"},
    "limits": {"memory": "256Mi", "ephemeral-storage": "64Mi"},
}


def shelf(recipe: Recipe, fingerprint: str) -> dict[str, Any]:
    """Return the pod; `fingerprint` is that of its gate's certificate.

    It carries the wish that it fulfils, and no number of an attempt: it is none.
    """
    made = plain_pod(recipe)
    wish = recipe.subject.annotations[ANNOTATION_FILES]
    head, spec = made["metadata"], made["spec"]
    own = {ANNOTATION_FILES: wish, ANNOTATION_FINGERPRINT: fingerprint}
    return {
        **made,
        "metadata": {**head, "annotations": {**head["annotations"], **own}},
        "spec": {
            **spec,
            "activeDeadlineSeconds": int(FILES_LONGEST.total_seconds()),
            "terminationGracePeriodSeconds": _STOP_SECONDS,
            "containers": [_small(one) for one in spec["containers"]],
            "volumes": _volumes(spec["volumes"]),
        },
    }


def _small(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the desktop's container without what a template adds and programs need."""
    kept = {name: value for name, value in container.items() if name != "envFrom"}
    plain = [one for one in container["env"] if one["name"] in {"HOME", "USER", "LOGNAME"}]
    mounts = [one for one in container["volumeMounts"] if one["name"] in _MOUNTS]
    return {**kept, "env": plain, "volumeMounts": mounts, "resources": _SMALL}


def _volumes(volumes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept = [one for one in volumes if one["name"] in {*_MOUNTS, "gate-config"}]
    return [{**one, "secret": _told(one["secret"])} if "secret" in one else {**one} for one in kept]


def _told(secret: Mapping[str, Any]) -> dict[str, Any]:
    items = [{**one, "key": _CONFIGURATION.get(one["key"], one["key"])} for one in secret["items"]]
    return {**secret, "items": items}
