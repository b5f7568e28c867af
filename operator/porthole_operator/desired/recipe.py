"""What a Session's objects are made from, and what all of them carry."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from porthole_contract.effective import Effective
from porthole_contract.names import (
    ANNOTATION_OWNER,
    ANNOTATION_SHAPE,
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
    LABEL_SESSION,
    LABEL_TEMPLATE,
    OPERATOR,
)
from porthole_contract.stream.grant import Issuer
from porthole_operator.desired.extras import Extras
from porthole_operator.seen import Template
from porthole_operator.subject import Subject

PART_OF: Final = "porthole"
DESKTOP_UID: Final = 1000
GATE_UID: Final = 10001
"""Also the group that both containers share (the pod's fsGroup)."""
STOP_SECONDS: Final = 6
"""What the supervisor takes at the most to stop its programs and the X server."""


@dataclass(frozen=True, slots=True)
class Site:
    """What is the same for all Sessions of this operator.

    `registry` and `version`: where an image of a bare name comes from. `system_namespace`:
    where the agent and the operator run, who may come to gates. `issuers`: who may sign
    grants.
    """

    registry: str
    version: str
    gate_image: str
    system_namespace: str
    issuers: tuple[Issuer, ...] = ()

    def image(self, name: str) -> str:
        """Return the image that a template's `image` means: a bare name is one of ours."""
        if "/" in name or ":" in name:
            return name
        return f"{self.registry}/{name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that one Session's objects are made from.

    `extras` is what its template adds to its pod, already read.
    """

    site: Site
    subject: Subject
    template: Template
    effective: Effective
    extras: Extras


def metadata(
    recipe: Recipe, annotations: Mapping[str, str] | None = None, **labels: str
) -> dict[str, Any]:
    """Return the metadata of a child that carries its Session's name."""
    subject = recipe.subject
    assert subject.spec is not None, "who is made has a spec"
    return {
        "name": subject.name,
        "namespace": subject.namespace,
        "labels": {
            **subject.spec.labels,
            LABEL_SESSION: subject.name,
            LABEL_TEMPLATE: recipe.template.pin.name,
            LABEL_MANAGED_BY: OPERATOR,
            LABEL_PART_OF: PART_OF,
            **labels,
        },
        "annotations": {ANNOTATION_OWNER: subject.spec.owner, **(annotations or {})},
        "ownerReferences": [subject.reference],
    }


def shaped(manifest: dict[str, Any], *, among: str = "annotations") -> dict[str, Any]:
    """Return the manifest with the digest of itself, by which a later one is compared.

    Numbers of attempts, and what is random, are to be added after this.

    Args:
        manifest: the object.
        among: where the digest stands, `annotations` or `labels` of its metadata.
    """
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    head = manifest["metadata"]
    marks = {**head.get(among, {}), ANNOTATION_SHAPE: digest}
    return {**manifest, "metadata": {**head, among: marks}}


def shape_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest that a manifest carries, or nothing."""
    head = manifest["metadata"]
    marks = {**(head.get("labels") or {}), **(head.get("annotations") or {})}
    return str(marks.get(ANNOTATION_SHAPE, ""))
