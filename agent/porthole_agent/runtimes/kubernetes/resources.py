"""The kinds of objects that the agent has to do with, and their places in the API (pure)."""

from typing import Final

from porthole_contract.cluster import Kind, Object
from porthole_contract.names import GROUP, VERSION

Key = tuple[str, str]
"""Namespace and name of an object."""


SESSIONS: Final = Kind(GROUP, VERSION, "sessions", "Session")
TEMPLATES: Final = Kind(GROUP, VERSION, "sessiontemplates", "SessionTemplate")
REVISIONS: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
VOLUMES: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PODS: Final = Kind("", "v1", "pods", "Pod")
NODES: Final = Kind("", "v1", "nodes", "Node")
NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace")
CONFIG_MAPS: Final = Kind("", "v1", "configmaps", "ConfigMap")
EVENTS: Final = Kind("", "v1", "events", "Event")
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")


def key_of(thing: Object) -> Key:
    """Return where an object is."""
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def uid_of(thing: Object) -> str:
    """Return who an object is: another one of the same name has another."""
    return str(thing["metadata"]["uid"])


def version_of(thing: Object) -> str:
    """Return which state of an object this is."""
    return str(thing["metadata"]["resourceVersion"])


def is_ending(thing: Object) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in thing["metadata"]


def annotation(thing: Object, name: str) -> str | None:
    """Return one annotation of an object."""
    value = (thing["metadata"].get("annotations") or {}).get(name)
    return None if value is None else str(value)
