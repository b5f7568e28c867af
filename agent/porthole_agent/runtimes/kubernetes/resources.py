"""The kinds of objects that the agent has to do with, and their places in the API (pure)."""

from dataclasses import dataclass
from typing import Any, Final

from porthole_contract.names import GROUP, VERSION

Object = dict[str, Any]
"""One object as the API server writes it."""

Key = tuple[str, str]
"""Namespace and name of an object."""


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

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of one object, or of all of them in a namespace."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name is not None else "")


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
