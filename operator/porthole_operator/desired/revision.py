"""The revision of a template that Sessions are held to, kept as long as one of them lives."""

from typing import Any

from porthole_contract.names import (
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
    LABEL_TEMPLATE,
    OPERATOR,
    revision_object,
)
from porthole_contract.template import SessionTemplate
from porthole_operator.desired.recipe import PART_OF
from porthole_operator.seen import Template
from porthole_operator.subject import Subject


def owner(subject: Subject) -> dict[str, Any]:
    """Return the ownerReference that keeps a revision for a Session, one among several."""
    kept = {"controller": False, "blockOwnerDeletion": False}
    return {**subject.reference, **kept}


def revision(subject: Subject, template: Template) -> dict[str, Any]:
    """Return the ControllerRevision that holds the template as it is now."""
    whole = SessionTemplate(name=template.pin.name, spec=template.spec)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": revision_object(template.pin.digest, subject.name),
            "namespace": subject.namespace,
            "labels": {
                LABEL_TEMPLATE: template.pin.name,
                LABEL_MANAGED_BY: OPERATOR,
                LABEL_PART_OF: PART_OF,
            },
            "ownerReferences": [owner(subject)],
        },
        "data": whole.manifest(),
        "revision": template.pin.revision or 1,
    }
