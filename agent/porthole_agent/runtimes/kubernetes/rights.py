"""What the agent must be allowed in a cluster, all of it; the chart and a test read this.

Nothing here is about Secrets, and nothing lets it make pods or write a session's status.
Each line says what it is for. `names` are the only objects that it may be granted for; a
verb that cannot be granted by name (create, list, watch) is granted for all of the kind.
"""

from typing import Final

from porthole_contract.cluster import Right, Scope
from porthole_contract.names import GROUP

TOMBSTONES: Final = "porthole-agent-ended"
"""The ConfigMap of what has ended."""
LEASE: Final = "porthole-agent"
"""The Lease of whoever has the link."""

RIGHTS: Final = (
    # Orders become Sessions; what is seen of them becomes reports.
    Right(
        Scope.SESSIONS,
        GROUP,
        "sessions",
        ("get", "list", "watch", "create", "patch", "delete"),
    ),
    # Asked by the admission policy of whoever makes a Session for somebody else.
    Right(Scope.SESSIONS, GROUP, "sessions/for-others", ("create",)),
    # What is on offer here.
    Right(Scope.SESSIONS, GROUP, "sessiontemplates", ("list", "watch")),
    # The revision of a template that a session pins.
    Right(
        Scope.SESSIONS,
        "apps",
        "controllerrevisions",
        ("list", "create", "patch", "delete"),
    ),
    # Homes are reported, and deleted when their owner says so.
    Right(
        Scope.SESSIONS,
        "",
        "persistentvolumeclaims",
        ("get", "list", "watch", "delete"),
    ),
    # Whose gate it is that a viewer is taken to; what our sessions take of the nodes.
    Right(Scope.SESSIONS, "", "pods", ("get", "list")),
    Right(Scope.SESSIONS, "", "pods/log", ("get",)),
    # That an edit was put back is told where `kubectl describe` shows it.
    Right(Scope.SESSIONS, "", "events", ("create",)),
    Right(Scope.SYSTEM, "", "configmaps", ("create",)),
    Right(Scope.SYSTEM, "", "configmaps", ("get", "patch"), (TOMBSTONES,)),
    Right(Scope.SYSTEM, "coordination.k8s.io", "leases", ("create",)),
    Right(Scope.SYSTEM, "coordination.k8s.io", "leases", ("get", "update"), (LEASE,)),
    # The cluster's own uid: an inventory of another cluster proves nothing here.
    Right(Scope.CLUSTER, "", "namespaces", ("get",), ("kube-system",)),
    # How much room there is.
    Right(Scope.CLUSTER, "", "nodes", ("list",)),
)


def rules(scope: Scope) -> list[dict[str, list[str]]]:
    """Return the rules of the role for one scope."""
    return [right.rule() for right in RIGHTS if right.scope is scope]
