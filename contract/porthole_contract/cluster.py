"""What every program that speaks to a Kubernetes API server says: kinds, and rights (pure)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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

    def path(self, namespace: str | None = None, name: str | None = None, part: str = "") -> str:
        """Return the path of one object (or of one part of it), or of all in a namespace.

        An empty name never stands for all of them; an empty namespace is none.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        one = "" if name is None else f"/{name}"
        return f"{root}{inside}/{self.plural}{one}" + (f"/{part}" if part else "")


class Scope(StrEnum):
    """Where something is granted."""

    SESSIONS = "sessions"  # a Role in each namespace of sessions
    SYSTEM = "system"  # a Role in the program's own namespace
    CLUSTER = "cluster"  # the small ClusterRole


@dataclass(frozen=True, slots=True)
class Right:
    """One rule of a role."""

    scope: Scope
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def rule(self) -> dict[str, list[str]]:
        """Return it as it stands in a Role."""
        rule = {
            "apiGroups": [self.group],
            "resources": [self.resource],
            "verbs": list(self.verbs),
        }
        return {**rule, "resourceNames": list(self.names)} if self.names else rule
