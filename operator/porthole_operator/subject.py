"""A Session object as the operator reads it: who it is, what it should be, what it was.

Whatever stands in the object, reading it fails never: a spec that is none is a fault in
words, a status that is none counts as empty, for nobody but us may write it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from porthole_contract.names import (
    ANNOTATION_FILES,
    ANNOTATION_HOME_ID,
    ANNOTATION_ORDER,
    ANNOTATION_ORIGIN,
    ANNOTATION_SESSION_ID,
    ANNOTATION_TEMPLATE_DIGEST,
    ANNOTATION_TRACEPARENT,
    ORIGIN_API,
    ORIGIN_KUBECTL,
    home_id,
)
from porthole_contract.session import ObjectStatus, SessionSpec
from porthole_contract.trace import Traceparent

_ORDER: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Subject:
    """One Session object.

    `namespace_uid`: of the namespace it is in. `deleting_since`: when its end was asked for.
    `finalizers`: those of others, which keep it. `spec` is None if it is none; then `fault`
    says why.
    """

    name: str
    namespace: str
    namespace_uid: UUID
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    deleting_since: datetime | None = None
    finalizers: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: SessionSpec | None = None
    fault: str = ""
    status: ObjectStatus = field(default_factory=ObjectStatus)

    @property
    def id(self) -> UUID:
        """The session's id: the control plane's, or the object's own."""
        return _uuid(self.annotations.get(ANNOTATION_SESSION_ID)) or UUID(self.uid)

    @property
    def origin(self) -> str:
        """Who made it: `api` or `kubectl`."""
        made = self.annotations.get(ANNOTATION_ORIGIN)
        return ORIGIN_API if made == ORIGIN_API else ORIGIN_KUBECTL

    @property
    def order(self) -> int:
        """The number of the desired state that it holds; 0 if nobody counts."""
        text = self.annotations.get(ANNOTATION_ORDER, "")
        return int(text) if _ORDER.fullmatch(text) else 0

    @property
    def digest(self) -> str | None:
        """The template's revision that an agent asks for."""
        return self.annotations.get(ANNOTATION_TEMPLATE_DIGEST)

    @property
    def files_until(self) -> datetime | None:
        """Until when its files are to be served while it sleeps; None if nobody asks."""
        try:
            return read_time(self.annotations[ANNOTATION_FILES])
        except (KeyError, ValueError, OverflowError):
            return None

    @property
    def traceparent(self) -> Traceparent | None:
        """What its order is a part of."""
        return Traceparent.read(self.annotations.get(ANNOTATION_TRACEPARENT))

    def start(self, attempt: int) -> Traceparent | None:
        """Return the place of an attempt to start it, in whose trace it is."""
        order = self.traceparent
        return None if order is None else order.child(self.uid, attempt)

    @property
    def home(self) -> UUID | None:
        """Which home it is about; None if it wants none."""
        if self.spec is None or self.spec.home is None:
            return None
        named = _uuid(self.annotations.get(ANNOTATION_HOME_ID))
        return named or home_id(self.namespace_uid, self.spec.owner, self.spec.home)

    @property
    def reference(self) -> dict[str, Any]:
        """The ownerReference that makes an object its child."""
        return {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "Session",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def read_subject(body: Mapping[str, Any], namespace_uid: UUID) -> Subject:
    """Return what the object says; it was read from the API server."""
    metadata = body["metadata"]
    spec, fault = _spec(body.get("spec"))
    deleted = metadata.get("deletionTimestamp")
    return Subject(
        name=metadata["name"],
        namespace=metadata["namespace"],
        namespace_uid=namespace_uid,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 1),
        created_at=read_time(metadata["creationTimestamp"]),
        deleting_since=None if deleted is None else read_time(deleted),
        finalizers=tuple(
            name
            for name in metadata.get("finalizers") or ()
            if name not in {"foregroundDeletion", "orphan"}
        ),
        annotations=metadata.get("annotations") or {},
        spec=spec,
        fault=fault,
        status=_status(body.get("status")),
    )


def read_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it (RFC 3339, UTC)."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _spec(value: Any) -> tuple[SessionSpec | None, str]:
    try:
        return SessionSpec.model_validate(value), ""
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(("spec", *(str(part) for part in fault["loc"])))
        return None, f"{where}: {fault['msg'].removeprefix('Value error, ')}."


def _status(value: Any) -> ObjectStatus:
    try:
        return ObjectStatus.model_validate(value or {})
    except ValidationError:
        return ObjectStatus()


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text is not None else None
    except ValueError:
        return None
