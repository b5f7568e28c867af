"""The volume claim of a home: it belongs to its owner and outlives every Session."""

from typing import Any
from uuid import UUID

from porthole_contract.names import (
    ANNOTATION_HOME_HOLDER,
    ANNOTATION_HOME_NAME,
    ANNOTATION_OWNER,
    LABEL_HOME,
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
    OPERATOR,
    home_object,
)
from porthole_contract.quantities import format_bytes
from porthole_operator.desired.recipe import PART_OF, Recipe


def home_claim(recipe: Recipe, home: UUID) -> dict[str, Any]:
    """Return the claim of a home that is not there yet, held by its first Session.

    It has no owner among objects; its name does not contain the home's.
    """
    subject = recipe.subject
    assert subject.spec is not None
    assert subject.spec.home is not None, "who holds a home asked for one"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": home_object(home),
            "namespace": subject.namespace,
            "labels": {
                LABEL_HOME: home.hex,
                LABEL_MANAGED_BY: OPERATOR,
                LABEL_PART_OF: PART_OF,
            },
            "annotations": {
                ANNOTATION_HOME_NAME: subject.spec.home,
                ANNOTATION_OWNER: subject.spec.owner,
                ANNOTATION_HOME_HOLDER: subject.uid,
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": format_bytes(recipe.effective.storage)}},
        },
    }
