"""The kinds of objects that the agent has to do with, and their places in the API (pure)."""

from typing import Final

from porthole_contract.cluster import Kind
from porthole_contract.names import GROUP, VERSION

SESSIONS: Final = Kind(GROUP, VERSION, "sessions", "Session")
TEMPLATES: Final = Kind(GROUP, VERSION, "sessiontemplates", "SessionTemplate")
REVISIONS: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
VOLUMES: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PODS: Final = Kind("", "v1", "pods", "Pod")
NODES: Final = Kind("", "v1", "nodes", "Node")
NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace")
CONFIG_MAPS: Final = Kind("", "v1", "configmaps", "ConfigMap")
EVENTS: Final = Kind("", "v1", "events", "Event")
