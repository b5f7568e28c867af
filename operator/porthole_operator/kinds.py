"""The kinds of objects that the operator has to do with, and their places in the API (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from porthole_contract.names import GROUP, VERSION

Object = dict[str, Any]
"""One object as the API server writes it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects: `group` is empty for the core's, `plural` is its name in paths."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """What stands in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, part: str = "") -> str:
        """Return the path of one object (or of one part of it), or of all in a namespace."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = "" if namespace is None else f"/namespaces/{namespace}"
        return f"{root}{inside}/{self.plural}" + "".join(f"/{one}" for one in (name, part) if one)


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
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")

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
