"""Orders as objects: what is written to the cluster, whole (pure)."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from porthole_contract.cluster import Object
from porthole_contract.names import (
    AGENT,
    ANNOTATION_HOME_ID,
    ANNOTATION_ORDER,
    ANNOTATION_ORIGIN,
    ANNOTATION_SESSION_ID,
    ANNOTATION_TEMPLATE_DIGEST,
    ANNOTATION_TRACEPARENT,
    GROUP,
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
    LABEL_TEMPLATE,
    ORIGIN_API,
)
from porthole_contract.session import Desired, SessionSpec
from porthole_contract.template import SessionTemplate, SessionTemplateSpec
from porthole_kube.kinds import CORE_EVENTS, REVISIONS, SESSIONS
from porthole_kube.objects import uid_of, version_of

ANNOTATION_APPLIED: Final = f"{GROUP}/applied-spec"
"""The spec that was last ordered, as JSON: what an edit by somebody else is put back to."""

LONGEST_APPLIED: Final = 192 * 1024
"""Bytes; the API server takes 256 KiB of annotations. A longer spec is kept nowhere else, so
edits of it are reported and not put back."""

NOTHING_YET: Final = "1"
"""A resourceVersion that no object has: an apply that carries it makes an object and changes
none. Without it, an apply would quietly become a part of whatever has that name."""

LONGEST_NAME_OF_AN_EVENT: Final = 63


def session(
    *,
    namespace: str,
    name: str,
    identity: UUID,
    order: int,
    spec: SessionSpec,
    digest: str | None,
    home: UUID | None,
    traceparent: str | None = None,
    before: Object | None = None,
) -> Object:
    """Return what is applied for an order to a session of ours.

    Args:
        namespace: where it is.
        name: what the object is called.
        identity: the session.
        order: the number of the order.
        spec: what it should be.
        digest: of the template's revision that it is pinned to; None: of none that we know.
        home: which of its owner's homes `spec.home` means; None: the one of that name.
        traceparent: what the order is a part of; None: nobody collects that.
        before: the object that is changed, as it was read; None: it is made.
    """
    plain = spec.to_dict()
    applied = json.dumps(plain, separators=(",", ":"), sort_keys=True)
    annotations = {
        ANNOTATION_ORIGIN: ORIGIN_API,
        ANNOTATION_SESSION_ID: str(identity),
        ANNOTATION_ORDER: str(order),
        ANNOTATION_TEMPLATE_DIGEST: digest,
        ANNOTATION_HOME_ID: None if home is None else str(home),
        ANNOTATION_TRACEPARENT: traceparent,
        ANNOTATION_APPLIED: applied if len(applied.encode()) <= LONGEST_APPLIED else None,
    }
    return _session(
        namespace,
        name,
        annotations={key: value for key, value in annotations.items() if value is not None},
        spec=plain,
        before=before,
    )


def wish(before: Object, *, order: int, desired: Desired) -> Object:
    """Return what is applied for an order to a session that was made with kubectl.

    It sets `desired` and the number of the order; all else is its maker's.
    """
    metadata = before["metadata"]
    return _session(
        metadata["namespace"],
        metadata["name"],
        annotations={ANNOTATION_ORDER: str(order)},
        spec={"desired": str(desired)},
        before=before,
    )


def _session(
    namespace: str,
    name: str,
    *,
    annotations: dict[str, str],
    spec: dict[str, Any],
    before: Object | None,
) -> Object:
    metadata: dict[str, Any] = {
        "namespace": namespace,
        "name": name,
        "annotations": annotations,
        "resourceVersion": NOTHING_YET if before is None else version_of(before),
    }
    if before is not None:
        metadata["uid"] = uid_of(before)
    return {
        "apiVersion": SESSIONS.api_version,
        "kind": SESSIONS.name,
        "metadata": metadata,
        "spec": spec,
    }


def revision(
    namespace: str,
    held: str,
    name: str,
    spec: SessionTemplateSpec,
    users: Sequence[Object] = (),
) -> Object:
    """Return the object that holds a revision of the template `name`.

    Args:
        namespace: where the sessions are that use it.
        held: what it is called.
        name: of the template.
        spec: what the revision is.
        users: sessions that use it; when the last one is gone, so is the object.
    """
    metadata: dict[str, Any] = {
        "namespace": namespace,
        "name": held,
        "labels": {
            LABEL_MANAGED_BY: AGENT,
            LABEL_PART_OF: "porthole",
            LABEL_TEMPLATE: name,
        },
    }
    if users:
        metadata["ownerReferences"] = [*map(used_by, users)]
    return {
        "apiVersion": REVISIONS.api_version,
        "kind": REVISIONS.name,
        "metadata": metadata,
        "data": SessionTemplate(name=name, spec=spec).manifest(),
        "revision": 1,
    }


def used_by(thing: Object) -> dict[str, str]:
    """Return the reference that keeps an object for as long as a session is there."""
    return {
        "apiVersion": SESSIONS.api_version,
        "kind": SESSIONS.name,
        "name": thing["metadata"]["name"],
        "uid": uid_of(thing),
    }


def put_back_event(thing: Object, message: str, now: datetime) -> Object:
    """Return the event that tells of an edit that was put back."""
    metadata = thing["metadata"]
    moment = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "apiVersion": CORE_EVENTS.api_version,
        "kind": CORE_EVENTS.name,
        "metadata": {
            "namespace": metadata["namespace"],
            "generateName": f"{metadata['name'][: LONGEST_NAME_OF_AN_EVENT - 1]}.",
        },
        "involvedObject": {
            "apiVersion": SESSIONS.api_version,
            "kind": SESSIONS.name,
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": uid_of(thing),
            "resourceVersion": version_of(thing),
        },
        "type": "Warning",
        "reason": "PutBack",
        "action": "PutBack",
        "message": message,
        "eventTime": moment,
        "firstTimestamp": moment[:19] + "Z",
        "lastTimestamp": moment[:19] + "Z",
        "count": 1,
        "reportingComponent": AGENT,
        "reportingInstance": AGENT,
        "source": {"component": AGENT},
    }
