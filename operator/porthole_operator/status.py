"""What the status says besides phase, reason and memory: conditions, gate, viewers (pure).

A start that goes well is told in two writes, begun and painted: what changes in between
(scheduled, gate up) is kept back for `QUIET` and told by itself only if it lasts.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

from porthole_contract.conditions import Condition, ConditionType, Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.session import GateAddress, ObjectStatus
from porthole_operator import checks
from porthole_operator.seen import Pod, Seen
from porthole_operator.subject import Subject

GATE_PORT: Final = 7443
LOOK_AGAIN: Final = timedelta(seconds=5)
"""Between two looks at something that nobody tells us about: a pull, a mount, a node."""
QUIET: Final = timedelta(seconds=4)
ACTIVITY_STEP: Final = timedelta(seconds=60)
"""How much later the last activity must be before it is told."""

_ACTIVE: Final = frozenset({Phase.STARTING, Phase.WAKING, Phase.RUNNING})
HOLDS_HOME: Final = _ACTIVE | {Phase.HIBERNATING, Phase.HIBERNATED, Phase.TERMINATING}

_Untimed = tuple[ConditionType, bool, str, str]


def spoken(
    subject: Subject, seen: Seen, status: ObjectStatus, now: datetime
) -> tuple[ObjectStatus, datetime | None]:
    """Return the whole status, and until when the rest of it is kept back (None: it is not)."""
    before = subject.status
    pod = current(status, seen)
    told = status.model_copy(
        update={
            "gate": _gate(status, pod or _lent(status, seen)),
            "pod_name": subject.name if pod is not None else status.pod_name,
            "viewers": _viewers(status, seen),
            "last_activity_at": _activity(status, seen, now),
            "conditions": _conditions(subject, seen, status, pod, now),
        }
    )
    plain = {"gate", "conditions"}
    same = told.model_copy(update={name: getattr(before, name) for name in plain}) == before
    quiet_until = (status.phase_since or now) + QUIET
    starting = status.phase in {Phase.STARTING, Phase.WAKING}
    if starting and same and told != before and now < quiet_until:
        return before, quiet_until
    return told, None


def current(status: ObjectStatus, seen: Seen) -> Pod | None:
    """Return the pod of the present attempt."""
    pod = seen.pod
    return pod if pod is not None and pod.attempt == status.attempt.number else None


def _lent(status: ObjectStatus, seen: Seen) -> Pod | None:
    """Return the pod that serves its files while it sleeps."""
    pod = seen.pod
    lent = pod is not None and pod.files and pod.ready and status.phase is Phase.HIBERNATED
    return pod if lent else None


def _gate(status: ObjectStatus, pod: Pod | None) -> GateAddress | None:
    if pod is None or pod.address is None or not pod.fingerprint:
        return None
    if status.phase not in _ACTIVE and not pod.files:
        return None
    host = f"[{pod.address}]" if ":" in pod.address else pod.address
    return GateAddress(address=f"{host}:{GATE_PORT}", fingerprint=pod.fingerprint)


def _viewers(status: ObjectStatus, seen: Seen) -> int:
    if status.phase is not Phase.RUNNING:
        return 0
    if seen.gate is None:
        return status.viewers
    return sum(1 for viewer in seen.gate.viewers if viewer.channel != "control")


def _activity(status: ObjectStatus, seen: Seen, now: datetime) -> datetime | None:
    before = status.last_activity_at
    if seen.gate is None or status.phase is not Phase.RUNNING:
        return before
    at = (now - timedelta(seconds=seen.gate.idle_seconds)).replace(microsecond=0)
    return at if before is None or at - before >= ACTIVITY_STEP else before


def _conditions(
    subject: Subject, seen: Seen, status: ObjectStatus, pod: Pod | None, now: datetime
) -> tuple[Condition, ...]:
    before = {condition.type: condition for condition in subject.status.conditions}
    ended = (status.reason, status.message)
    wanted: list[_Untimed] = [_ready(seen, status, pod), _scheduled(status, pod)]
    if pod is not None and pod.begun:
        trouble = checks.gate_trouble(pod)
        words = (trouble.reason, trouble.message) if trouble else (Reason.STARTING, _GATE_IS_UP)
        wanted.append((ConditionType.GATE_READY, trouble is None, *words))
    else:
        wanted.append((ConditionType.GATE_READY, False, *ended))
    if subject.home is not None:
        held = status.phase in HOLDS_HOME
        words = (Reason.ACCEPTED, "It holds its home.") if held else ended
        wanted.append((ConditionType.HOME_READY, held, *words))
    if seen.foreign or ConditionType.CHILDREN_READY in before:
        words = ended if seen.foreign else (Reason.ACCEPTED, "The objects of its name are its own.")
        wanted.append((ConditionType.CHILDREN_READY, not seen.foreign, *words))
    return tuple(_timed(one, before.get(one[0]), now, status.observed_generation) for one in wanted)


_GATE_IS_UP: Final = "Its gate lets viewers in."


def _ready(seen: Seen, status: ObjectStatus, pod: Pod | None) -> _Untimed:
    if status.phase is not Phase.RUNNING or pod is None:
        return ConditionType.READY, False, status.reason, status.message
    if (seen.gate is not None and seen.gate.drawn) or pod.ready:
        return ConditionType.READY, True, status.reason, status.message
    trouble = checks.gate_trouble(pod)
    if trouble is not None:
        return ConditionType.READY, False, trouble.reason, trouble.message
    return ConditionType.READY, False, Reason.STARTING, "Its gate says that it is not well."


def _scheduled(status: ObjectStatus, pod: Pod | None) -> _Untimed:
    if pod is not None and pod.node is not None:
        return ConditionType.SCHEDULED, True, Reason.ACCEPTED, f"It is on the node {pod.node}."
    if status.phase in _ACTIVE and pod is not None:
        return ConditionType.SCHEDULED, False, Reason.STARTING, "Its pod has no node yet."
    return ConditionType.SCHEDULED, False, status.reason, status.message


def _timed(
    wanted: _Untimed, before: Condition | None, now: datetime, generation: int | None
) -> Condition:
    kind, holds, reason, message = wanted
    status: Literal["True", "False"] = "True" if holds else "False"
    kept = before is not None and before.status == status
    return Condition(
        type=kind,
        status=status,
        # A condition always has a reason, also of a session about which nothing was said yet.
        reason=reason or Reason.ACCEPTED,
        message=message,
        last_transition_time=before.last_transition_time if before and kept else now,
        observed_generation=generation,
    )
