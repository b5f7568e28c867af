"""The kinds of objects that Porthole has to do with, and their places in the API (pure)."""

from typing import Final

from porthole_contract.cluster import Kind
from porthole_contract.names import GROUP, VERSION

SESSIONS: Final = Kind(GROUP, VERSION, "sessions", "Session")
TEMPLATES: Final = Kind(GROUP, VERSION, "sessiontemplates", "SessionTemplate")
TICKETS: Final = Kind(GROUP, VERSION, "sessiontickets", "SessionTicket")
PODS: Final = Kind("", "v1", "pods", "Pod")
SECRETS: Final = Kind("", "v1", "secrets", "Secret")
SERVICES: Final = Kind("", "v1", "services", "Service")
CONFIG_MAPS: Final = Kind("", "v1", "configmaps", "ConfigMap")
CLAIMS: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace")
NODES: Final = Kind("", "v1", "nodes", "Node")
CORE_EVENTS: Final = Kind("", "v1", "events", "Event")
EVENTS: Final = Kind("events.k8s.io", "v1", "events", "Event")
POLICIES: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
DAEMON_SETS: Final = Kind("apps", "v1", "daemonsets", "DaemonSet")
REVISIONS: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
