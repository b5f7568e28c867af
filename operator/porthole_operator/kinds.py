"""The kinds of what the operator makes for a session (pure)."""

from collections.abc import Mapping
from typing import Any, Final

from porthole_contract.cluster import Kind
from porthole_kube.kinds import CLAIMS, PODS, POLICIES, REVISIONS, SECRETS, SERVICES

CHILDREN: Final = (SECRETS, SERVICES, POLICIES)
"""What carries a Session's name, besides its pod; made before it."""

MENDABLE: Final = (SERVICES, POLICIES)
"""Those of them that can be made again beside a running pod."""


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of a manifest that one of our makers made."""
    return _BY_NAME[manifest["kind"]]


_BY_NAME: Final = {
    kind.name: kind for kind in (PODS, SECRETS, SERVICES, CLAIMS, POLICIES, REVISIONS)
}
