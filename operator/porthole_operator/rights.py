"""What the operator must be allowed in a cluster, all of it; the chart and a test read this.

Each line says what it is for. `names` are the only objects that it may be granted for; a verb
that cannot be granted by name (create, list, watch) is granted for all of the kind.
"""

from typing import Final

from porthole_contract.cluster import Right, Scope
from porthole_contract.names import GROUP

LEASE: Final = "porthole-operator"
"""The Lease of whichever replica is the operator."""

RIGHTS: Final = (
    # What is to be; `patch` puts idle ones to sleep, `delete` ends what lived long enough.
    Right(Scope.SESSIONS, GROUP, "sessions", ("get", "list", "watch", "patch", "delete")),
    Right(Scope.SESSIONS, GROUP, "sessions/status", ("patch",)),
    # To make children that a Session waits for when it is deleted.
    Right(Scope.SESSIONS, GROUP, "sessions/finalizers", ("update",)),
    Right(Scope.SESSIONS, GROUP, "sessiontemplates", ("get", "list", "watch")),
    # Tickets are answered and cleared away; `create` is only ever a dry run.
    Right(
        Scope.SESSIONS,
        GROUP,
        "sessiontickets",
        ("list", "watch", "create", "patch", "delete"),
    ),
    Right(Scope.SESSIONS, GROUP, "sessiontickets/status", ("patch",)),
    # The children; a pod is never changed, the others are never deleted.
    Right(Scope.SESSIONS, "", "pods", ("get", "list", "watch", "create", "delete")),
    Right(Scope.SESSIONS, "", "secrets", ("get", "create", "patch")),
    Right(Scope.SESSIONS, "", "services", ("get", "create", "patch")),
    Right(Scope.SESSIONS, "networking.k8s.io", "networkpolicies", ("get", "create", "patch")),
    Right(Scope.SESSIONS, "apps", "controllerrevisions", ("get", "create", "patch")),
    Right(
        Scope.SESSIONS,
        "",
        "persistentvolumeclaims",
        ("get", "list", "watch", "create", "patch"),
    ),
    # Images of templates that are to be on every node beforehand.
    Right(Scope.SESSIONS, "apps", "daemonsets", ("get", "create", "patch", "delete")),
    # What the kubelet says about a pod that does not begin; what we say about Sessions.
    Right(Scope.SESSIONS, "", "events", ("list",)),
    Right(Scope.SESSIONS, "events.k8s.io", "events", ("create",)),
    # The namespace's own uid, of which ids of homes are made.
    Right(Scope.SESSIONS, "", "namespaces", ("get",)),
    Right(Scope.SYSTEM, "coordination.k8s.io", "leases", ("create",)),
    Right(Scope.SYSTEM, "coordination.k8s.io", "leases", ("get", "update"), (LEASE,)),
    # Whether a node that does not answer is fenced.
    Right(Scope.CLUSTER, "", "nodes", ("get",)),
)


def rules(scope: Scope) -> list[dict[str, list[str]]]:
    """Return the rules of the role for one scope."""
    return [right.rule() for right in RIGHTS if right.scope is scope]
