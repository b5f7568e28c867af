"""Objects as an API server would give them: `a_session()` is one, changed where a test says."""

from typing import Any
from uuid import UUID

from porthole_contract.names import AGENT

NAMESPACE = "porthole-sessions"
SESSION = UUID("0198c000-0000-7000-8000-000000000001")
UID = UUID("11111111-1111-4111-8111-111111111111")


def a_session(
    *,
    name: str = "one",
    uid: UUID = UID,
    version: str = "10",
    ours: bool = True,
    order: int | str | None = 1,
    session: UUID = SESSION,
    applied: str | None = None,
    annotations: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    marks = dict(annotations or {})
    if ours:
        marks |= {"porthole.dev/origin": "api", "porthole.dev/session-id": str(session)}
    if order is not None:
        marks["porthole.dev/order"] = str(order)
    if applied is not None:
        marks["porthole.dev/applied-spec"] = applied
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": str(uid),
            "resourceVersion": version,
            "annotations": marks,
            **(metadata or {}),
        },
        "spec": {"owner": "alice", "template": "desktop", **spec},
        "status": status or {},
    }


def set_by(manager: str = AGENT, *fields: str) -> dict[str, Any]:
    """An entry of managedFields: these fields of the spec were set by that manager."""
    return {"manager": manager, "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}}


def a_template(name: str = "desktop", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "SessionTemplate",
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": "t", "resourceVersion": "1"},
        "spec": {"title": "Desktop", "image": "localhost/porthole/desktop-vnc", **spec},
    }


def a_volume(home: UUID, *, holder: UUID | None = None, **changes: Any) -> dict[str, Any]:
    marks = {"porthole.dev/owner": "alice", "porthole.dev/home-name": "work"}
    if holder is not None:
        marks["porthole.dev/home-holder"] = str(holder)
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"home-{home.hex}",
            "uid": "v",
            "resourceVersion": "1",
            "labels": {"porthole.dev/home": str(home)},
            "annotations": marks,
        },
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"capacity": {"storage": "2Gi"}},
        **changes,
    }
