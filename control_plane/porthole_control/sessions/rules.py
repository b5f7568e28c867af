"""What a session is made of, and what a change makes of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from porthole_contract.conditions import ConditionType, Reason
from porthole_contract.errors import Invalid
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import SessionObserved
from porthole_contract.model import merge_patch
from porthole_contract.names import check_name, session_name
from porthole_contract.quantities import format_duration, parse_quantity
from porthole_contract.session import ResourceList, SessionFields, SessionSpec, SessionStatus
from porthole_contract.template import Limits, SessionTemplateSpec
from porthole_control.errors import Conflict
from porthole_control.sessions.repository import Session

HIGHEST_ORDER: Final = 2**52
"""Orders stay below what the wire can carry. An agent that reports a higher one is not
believed: it could leave no number for the next order."""

PATCHABLE: Final = ("desired", "display", "labels", "idle", "lifetime")


def name_of(wanted: str | None, template: str, identity: UUID) -> str:
    """Return the name of a new session.

    Raises:
        Invalid: the wanted one cannot be a name.
    """
    return session_name(template, identity) if wanted is None else check_name(wanted)


def resolve(asked: Mapping[str, Any], template: SessionTemplateSpec) -> SessionSpec:
    """Return the whole spec of a session: what was asked for on top of its template.

    Args:
        asked: JSON of a SessionSpec with whatever fields its caller cares about.
        template: where all the others come from.

    Raises:
        Conflict: it asks for more than the template allows.
        Invalid: a field is not what it must be.
    """
    defaults = template.defaults.to_dict()
    # The template's own idle and resources hold where its defaults say nothing of them.
    base = {
        "protocol": str(template.protocols[0]),
        "idle": template.idle.to_dict(),
        "resources": template.resources.to_dict(),
        **defaults,
    }
    asked = {key: value for key, value in asked.items() if value is not None}
    merged = {**base, **asked}
    for key in ("display", "resources", "idle"):
        if isinstance(asked.get(key), Mapping) and isinstance(base.get(key), Mapping):
            merged[key] = merge_patch(base[key], asked[key])
    if isinstance(asked.get("env"), list | tuple) and base.get("env"):
        own = {variable["name"] for variable in asked["env"]}
        inherited = [variable for variable in base["env"] if variable["name"] not in own]
        merged["env"] = [*inherited, *asked["env"]]
    try:
        spec = SessionSpec.model_validate(merged)
    except ValidationError as error:
        raise _invalid(error) from None
    if spec.protocol not in template.protocols:
        offered = " or ".join(template.protocols)
        raise Conflict(
            "protocol_not_offered", f"The template speaks {offered}, not {spec.protocol}."
        )
    check_limits(spec, template.limits)
    return spec


def patched(
    spec: Mapping[str, Any], patch: Mapping[str, Any], template: SessionTemplateSpec | None
) -> SessionSpec:
    """Return a session's spec after a merge patch; what it takes away the template gives.

    Args:
        spec: JSON of the spec as it is.
        patch: JSON merge patch of some of `PATCHABLE`.
        template: what the session was created with; None if it is not known here.

    Raises:
        Conflict: it asks for more than the template allows.
        Invalid: a field is not what it must be.
    """
    merged = merge_patch(spec, patch)
    if template is not None:
        return resolve(merged, template)
    try:
        return SessionSpec.model_validate(merged)
    except ValidationError as error:
        raise _invalid(error) from None


def check_limits(spec: SessionFields, limits: Limits) -> None:
    """Check that a session asks for no more than its template allows.

    Raises:
        Conflict: it does.
    """
    for name in ("cpu", "memory", "storage"):
        _check_resource(name, spec, limits.resources)
    _check_time("lifetime", spec.lifetime, limits.lifetime)
    idle = spec.idle.after if spec.idle is not None else None
    _check_time("idle.after", idle, limits.idle_after)


def _check_resource(name: str, spec: SessionFields, most: ResourceList) -> None:
    limit = getattr(most, name)
    if limit is None or spec.resources is None:
        return
    for kind in ("requests", "limits"):
        asked = getattr(getattr(spec.resources, kind), name)
        if asked is not None and _amount(asked) > _amount(limit):
            raise Conflict(
                "limit_exceeded",
                f"resources.{kind}.{name}: the template allows at most {limit}, not {asked}.",
            )


def _check_time(name: str, asked: timedelta | None, most: timedelta | None) -> None:
    if most is None:
        return
    if asked is None or asked > most:
        said = "without end" if asked is None else format_duration(asked)
        raise Conflict(
            "limit_exceeded",
            f"{name}: the template allows at most {format_duration(most)}, not {said}.",
        )


def _amount(quantity: str) -> Decimal:
    return parse_quantity(quantity)


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])[:200]
    return Invalid(field or "body", first["msg"].removeprefix("Value error, "))


@dataclass(frozen=True, slots=True)
class Told:
    """What follows from a report about a living session.

    Attributes:
        values: columns that change.
        phase_sentence: what its story says of its new phase; None: it is the same.
        adopted: the spec that its runtime holds it to by its own decision, to be ordered.
        order_again: its end has to be ordered again, with a higher order.
    """

    values: dict[str, Any]
    phase_sentence: str | None
    adopted: dict[str, Any] | None
    order_again: bool


def status_values(status: SessionStatus) -> dict[str, Any]:
    """Return the columns that mirror a status."""
    return {
        "phase": str(status.phase),
        "reason": status.reason,
        "message": status.message,
        "conditions": [condition.to_dict() for condition in status.conditions],
        "gate": None if status.gate is None else status.gate.to_dict(),
        "pod_name": status.pod_name,
        "started_at": status.started_at,
        "last_activity_at": status.last_activity_at,
        "viewers": status.viewers,
        "restarts": status.restarts,
    }


def told(session: Session, seen: SessionObserved, epoch: int, now: datetime) -> Told:
    """Return what follows from a report about a session that has not ended.

    * While it is ending, it is ending, whatever its agent still sees.
    * An order above ours means that we are a restored copy: the agent's is the newer wish.
    * Under our own order, another `desired` is its runtime's decision (idle): adopted.
    * What was made with kubectl is as its cluster says, unless our order is on its way.
    """
    values = status_values(seen.status)
    ending = session.delete_requested_at is not None
    if ending or seen.status.phase is Phase.TERMINATED:
        # Nothing left is told by `gone`; until then it is on its way there.
        values["phase"] = str(Phase.TERMINATING)
    if ending:
        values["reason"], values["message"] = session.reason, session.message
    values["reported_order"] = seen.order
    values["report_epoch"] = epoch
    adopted: dict[str, Any] | None = None
    order_again = False
    if seen.order > session.order_no:
        values["order_no"] = seen.order + 1 if ending else seen.order
        order_again = ending
    if not ending and seen.order >= session.order_no:
        if session.origin == "kubectl" or seen.order > session.order_no:
            theirs = seen.spec.to_dict() if seen.spec is not None else dict(session.spec)
            values["spec"] = {**theirs, "desired": str(seen.desired)}
            values["desired"] = str(seen.desired)
        elif seen.desired != session.desired:
            adopted = {**session.spec, "desired": str(seen.desired)}
    changed = {name: value for name, value in values.items() if getattr(session, name) != value}
    if changed.keys() - {"report_epoch"} or session.observed_at is None:
        changed["observed_at"] = now
    else:
        changed = {}
    sentence = None
    if "phase" in changed:
        sentence = seen.status.message or _SENTENCES[Phase(values["phase"])]
    return Told(changed, sentence, adopted, order_again)


_SENTENCES: Final = {
    Phase.PENDING: "It waits.",
    Phase.STARTING: "Its programs are being started.",
    Phase.RUNNING: "Its screen has been drawn.",
    Phase.HIBERNATING: "It is being stopped; its home is kept.",
    Phase.HIBERNATED: "It sleeps; its home is kept.",
    Phase.WAKING: "It is being started again on its home.",
    Phase.FAILED: "It could not be started.",
    Phase.TERMINATING: "It is being ended.",
    Phase.TERMINATED: "It has ended.",
}


def message_of(session: Session) -> str:
    """Return why a session is as it is; of one that waits for room, its place in the queue."""
    if session.queue_place is None:
        return session.message
    place = f"It is number {session.queue_place} of those that wait for room."
    return f"{session.message} {place}".strip()


def all_conditions(session: Session) -> list[dict[str, Any]]:
    """Return what the agent reported and what only we know: one condition of each type."""
    reported = {condition["type"]: condition for condition in session.conditions}
    # What the agent says of a type stands: it has looked, we have only decided.
    ours = {condition["type"]: condition for condition in own_conditions(session)}
    return list({**ours, **reported}.values())


def own_conditions(session: Session) -> list[dict[str, Any]]:
    """Return the conditions of a session that the control plane knows and no agent could."""
    if session.ended:
        return []
    found = [
        _condition(
            ConditionType.SCHEDULED,
            session.agent_id is not None,
            Reason.ACCEPTED if session.agent_id is not None else session.reason,
            "" if session.agent_id is not None else message_of(session),
            session.created_at,
        )
    ]
    if session.agent_id is not None:
        linked = session.agent_linked is not None
        since = session.agent_linked_at if linked else session.agent_last_seen_at
        found.append(
            _condition(
                ConditionType.REACHABLE,
                linked,
                "Linked" if linked else Reason.AGENT_UNREACHABLE,
                "" if linked else f"The agent {session.agent!r} is not linked.",
                since or session.created_at,
            )
        )
    if session.foreign_owner is not None:
        found.append(
            _condition(
                ConditionType.FOREIGN,
                True,
                "Foreign",
                f"Its agent says that it belongs to {session.foreign_owner!r}, which it may not"
                " say.",
                session.created_at,
            )
        )
    return found


def _condition(
    kind: ConditionType, holds: bool, reason: str, message: str, since: datetime
) -> dict[str, Any]:
    return {
        "type": str(kind),
        "status": "True" if holds else "False",
        "reason": reason or str(kind),
        "message": message,
        "lastTransitionTime": since,
    }
