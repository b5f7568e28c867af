"""Objects of the cluster -> what others are told about them (pure)."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from porthole_agent.runtimes.kubernetes.manifests import ANNOTATION_APPLIED
from porthole_agent.runtimes.port import Capacity, Home, Observation, Offer
from porthole_contract.cluster import Object
from porthole_contract.lifecycle import OCCUPIED, Phase
from porthole_contract.link.reports import Origin
from porthole_contract.names import (
    ANNOTATION_HOME_HOLDER,
    ANNOTATION_HOME_NAME,
    ANNOTATION_ORDER,
    ANNOTATION_ORIGIN,
    ANNOTATION_OWNER,
    ANNOTATION_SESSION_ID,
    ANNOTATION_TRACEPARENT,
    LABEL_HOME,
    ORIGIN_API,
    home_object,
)
from porthole_contract.quantities import parse_quantity
from porthole_contract.session import SessionSpec, SessionStatus
from porthole_contract.template import Profile, SessionTemplate, SessionTemplateSpec
from porthole_contract.trace import Traceparent
from porthole_kube.objects import annotation, is_ending, uid_of

HIGHEST_ORDER: Final = 2**53 - 1
_LEAST_STATUS: Final = ("phase", "reason", "message")
_ENDED_POD: Final = frozenset({"Succeeded", "Failed"})


# Sessions


def is_ours(thing: Object) -> bool:
    """Whether a session was made by an order, not with kubectl."""
    return annotation(thing, ANNOTATION_ORIGIN) == ORIGIN_API


def session_id(thing: Object) -> UUID:
    """Return which session an object is: ours by its annotation, any other by its uid."""
    given = annotation(thing, ANNOTATION_SESSION_ID)
    if is_ours(thing) and given is not None:
        try:
            return UUID(given)
        except ValueError:
            pass
    return UUID(uid_of(thing))


def order_of(thing: Object) -> int:
    """Return the number of the order that an object holds; 0 if it holds none."""
    given = annotation(thing, ANNOTATION_ORDER)
    if given is None or not given.isascii() or not given.isdigit():
        return 0
    return min(int(given[:16]), HIGHEST_ORDER)


def session_spec(thing: Object) -> SessionSpec:
    """Return what a session should be, as it stands in the cluster.

    Raises:
        ValidationError: it is nothing that a session could be.
    """
    return SessionSpec.model_validate(thing.get("spec") or {})


def observation(thing: Object) -> Observation | None:
    """Return what others are told about a session; None if nobody could be told who owns it.

    One that is there must be told, whatever somebody has written into it: left out of an
    inventory, it would be taken for gone.
    """
    spec = _readable_spec(thing)
    if spec is None:
        return None
    status = _readable_status(thing.get("status") or {})
    if is_ending(thing):
        status = status.evolve(phase=Phase.TERMINATING)
    return Observation(
        session=session_id(thing),
        name=thing["metadata"]["name"],
        owner=spec.owner,
        order=order_of(thing),
        spec=spec,
        status=status,
        origin=Origin.API if is_ours(thing) else Origin.KUBECTL,
        traceparent=_traceparent(thing),
    )


def _traceparent(thing: Object) -> str | None:
    """Return what the order of a session is a part of; what cannot be read is nothing."""
    found = Traceparent.read(annotation(thing, ANNOTATION_TRACEPARENT))
    return None if found is None else str(found)


def _readable_spec(thing: Object) -> SessionSpec | None:
    """Return a session's spec, or what was ordered, or the least that every session has."""
    given = thing.get("spec") or {}
    least = {"owner": given.get("owner"), "template": "unknown"}
    for candidate in (given, least):
        try:
            return SessionSpec.model_validate(candidate)
        except ValidationError:
            ordered = applied_spec(annotation(thing, ANNOTATION_APPLIED))
            if ordered is not None:
                return ordered
    return None


def _readable_status(given: Object) -> SessionStatus:
    for candidate in (given, {name: given[name] for name in _LEAST_STATUS if name in given}):
        try:
            return SessionStatus.model_validate(candidate)
        except ValidationError:
            continue
    return SessionStatus(message="What its operator says of it cannot be understood here.")


def occupies(thing: Object) -> bool:
    """Whether something of a session may be running."""
    return str((thing.get("status") or {}).get("phase")) in OCCUPIED


# Templates


def template(thing: Object) -> SessionTemplate | None:
    """Return the template that an object is; None if it cannot be understood."""
    try:
        return SessionTemplate.from_manifest(thing)
    except ValidationError:
        return None


def offer(thing: Object) -> Offer | None:
    """Return the template that an object is, with whether it can be run here."""
    found = template(thing)
    if found is None:
        return None
    reason = _why_not(found.spec)
    return Offer(found, offered=not reason, reason=reason)


def _why_not(spec: SessionTemplateSpec) -> str:
    if spec.image is None:
        return "It names no image, and a cluster runs images."
    if spec.profile is not Profile.RESTRICTED:
        return f"Its profile is {spec.profile}, and this cluster runs none but restricted."
    return ""


def revision_spec(thing: Object) -> SessionTemplateSpec | None:
    """Return the revision of a template that an object holds; None if it is none."""
    data = thing.get("data")
    if not isinstance(data, dict):
        return None
    found = template(data)
    return None if found is None else found.spec


# Homes


def home_id(thing: Object) -> UUID | None:
    """Return which home a volume is; None if it is not one that is named as a home is."""
    labels = thing["metadata"].get("labels") or {}
    text = str(labels.get(LABEL_HOME, ""))
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if thing["metadata"]["name"] == home_object(found) else None


def home(thing: Object, sessions: Mapping[str, UUID]) -> Home | None:
    """Return the home that a volume is; None if it is none.

    Args:
        thing: the volume claim.
        sessions: the living sessions by the uids of their objects.
    """
    found = home_id(thing)
    owner = annotation(thing, ANNOTATION_OWNER)
    if found is None or owner is None:
        return None
    holder = annotation(thing, ANNOTATION_HOME_HOLDER)
    given = (thing.get("status") or {}).get("capacity") or {}
    asked = ((thing.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return Home(
        home=found,
        owner=owner,
        name=annotation(thing, ANNOTATION_HOME_NAME) or "",
        size=int(_amount(given.get("storage") or asked.get("storage"))),
        used=None,  # nobody can say it without looking inside
        holder=None if holder is None else sessions.get(holder),
    )


# Room


def capacity(
    nodes: Iterable[Object],
    pods: Iterable[Object],
    *,
    sessions: int,
    sessions_used: int,
    cpu: float | None,
    memory: int | None,
) -> Capacity:
    """Return what there is for sessions and what of it is taken.

    Args:
        nodes: of the cluster.
        pods: of the namespaces of sessions.
        sessions: how many may be running.
        sessions_used: how many are.
        cpu: cores for sessions; None: what the nodes can give.
        memory: bytes for sessions; None: what the nodes can give.
    """
    usable = [node["status"].get("allocatable") or {} for node in nodes if _is_usable(node)]
    taken = [_requests(pod["spec"]) for pod in pods if not _has_ended(pod)]
    return Capacity(
        sessions=sessions,
        sessions_used=sessions_used,
        cpu=float(sum(_amount(one.get("cpu")) for one in usable)) if cpu is None else cpu,
        cpu_used=float(sum(cores for cores, _ in taken)),
        memory=int(sum(_amount(one.get("memory")) for one in usable)) if memory is None else memory,
        memory_used=int(sum(size for _, size in taken)),
    )


def _is_usable(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable", False)


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in _ENDED_POD


def _requests(spec: Object) -> tuple[Decimal, Decimal]:
    """Return the cores and bytes that a pod has asked for; sidecars count, initializers not."""
    sidecars = [
        one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"
    ]
    asked = [
        (one.get("resources") or {}).get("requests") or {}
        for one in [*(spec.get("containers") or []), *sidecars]
    ]
    return (
        sum((_amount(one.get("cpu")) for one in asked), Decimal(0)),
        sum((_amount(one.get("memory")) for one in asked), Decimal(0)),
    )


def _amount(text: object) -> Decimal:
    """Return a quantity's amount; what cannot be read counts as nothing."""
    try:
        return parse_quantity(str(text))
    except ValueError:
        return Decimal(0)


# What is remembered


def applied_spec(text: str | None) -> SessionSpec | None:
    """Return the spec that was last ordered, from its annotation; None if it says none."""
    try:
        return None if text is None else SessionSpec.model_validate(json.loads(text))
    except ValueError:
        return None
