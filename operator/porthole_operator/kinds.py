"""The kinds of objects that the operator has to do with, and their places in the API (pure)."""

from collections.abc import Mapping
from typing import Any, Final

from porthole_contract.cluster import Kind
from porthole_contract.names import GROUP, VERSION

SESSIONS: Final = Kind(GROUP, VERSION, "sessions", "Session")
TEMPLATES: Final = Kind(GROUP, VERSION, "sessiontemplates", "SessionTemplate")
TICKETS: Final = Kind(GROUP, VERSION, "sessiontickets", "SessionTicket")
PODS: Final = Kind("", "v1", "pods", "Pod")
SECRETS: Final = Kind("", "v1", "secrets", "Secret")
SERVICES: Final = Kind("", "v1", "services", "Service")
CLAIMS: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace")
NODES: Final = Kind("", "v1", "nodes", "Node")
CORE_EVENTS: Final = Kind("", "v1", "events", "Event")
EVENTS: Final = Kind("events.k8s.io", "v1", "events", "Event")
POLICIES: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
DAEMON_SETS: Final = Kind("apps", "v1", "daemonsets", "DaemonSet")
REVISIONS: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")

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
