"""A record and what is seen of it -> what others are told (pure)."""

from datetime import datetime
from typing import Final, Literal

from porthole_agent.runtimes.local.decide import Seen
from porthole_agent.runtimes.local.record import Record
from porthole_agent.runtimes.port import Observation
from porthole_contract.conditions import Condition, ConditionType, Reason
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import StreamSeen
from porthole_contract.session import GateAddress, SessionStatus

GATE_ADDRESS: Final = "local"
"""Where a local gate listens is nobody's business but the runtime's own."""

_ACTIVE: Final = frozenset({Phase.STARTING, Phase.WAKING, Phase.RUNNING})
_HOLDS_HOME: Final = _ACTIVE | {Phase.HIBERNATING, Phase.HIBERNATED, Phase.TERMINATING}


def holds_home(record: Record) -> bool:
    """Whether the session keeps others from its home."""
    return record.home is not None and record.phase in _HOLDS_HOME


def with_conditions(record: Record, seen: Seen, now: datetime) -> Record:
    """Return the record with its conditions as they are now; times of change are kept."""
    drawn = record.phase is Phase.RUNNING
    ready = drawn and seen.gate and seen.desktop
    wanted = [
        _condition(ConditionType.SCHEDULED, True, Reason.ACCEPTED, ""),
        _condition(ConditionType.GATE_READY, _lets_in(seen), *_gate_words(record, seen)),
        _condition(ConditionType.READY, ready, record.reason, record.message),
    ]
    if record.home is not None:
        blocked = record.reason in {Reason.HOME_IN_USE, Reason.HOME_UNREACHABLE}
        held = record.phase in _HOLDS_HOME and not blocked
        why = (record.reason, record.message) if blocked else (Reason.ACCEPTED, "")
        wanted.append(_condition(ConditionType.HOME_READY, held, *why))
    if record.exposed is not None:
        wanted.append(_condition(ConditionType.EXPOSED, seen.listens, *_port_words(record, seen)))
    before = {condition.type: condition for condition in record.conditions}
    return record.evolve(
        conditions=tuple(_timed(condition, before.get(condition[0]), now) for condition in wanted)
    )


def observation(record: Record, viewers: int, streams: tuple[StreamSeen, ...] = ()) -> Observation:
    """Return what others are told about the session; `streams` came in on its port."""
    gate = (
        GateAddress(address=GATE_ADDRESS, fingerprint=record.fingerprint)
        if record.fingerprint is not None and record.phase in _ACTIVE
        else None
    )
    return Observation(
        session=record.session,
        name=record.name,
        owner=record.owner,
        order=record.order,
        spec=record.spec,
        status=SessionStatus(
            phase=record.phase,
            reason=record.reason,
            message=record.message,
            order=record.order,
            conditions=record.conditions,
            gate=gate,
            started_at=record.started_at,
            last_activity_at=record.last_activity_at,
            viewers=viewers if record.phase is Phase.RUNNING else 0,
            restarts=record.restarts,
            home=record.home,
        ),
        traceparent=record.traceparent,
        streams=streams,
    )


_Untimed = tuple[ConditionType, Literal["True", "False"], str, str]


def _condition(kind: ConditionType, status: bool, reason: str, message: str) -> _Untimed:
    return kind, "True" if status else "False", reason, message


def _lets_in(seen: Seen) -> bool:
    return seen.gate and seen.lent is None  # while it sleeps there is nothing to be seen


def _gate_words(record: Record, seen: Seen) -> tuple[str, str]:
    if _lets_in(seen):
        return Reason.STARTING, "Its gate lets viewers in."
    return record.reason, "Its gate is not running."


def _port_words(record: Record, seen: Seen) -> tuple[str, str]:
    if seen.port_trouble is not None:
        return Reason.PORT_UNAVAILABLE, seen.port_trouble
    if seen.listens:
        return Reason.LISTENING, "RDP programs reach it on its port, with its password."
    return record.reason, "Its port is listened on while it runs."


def _timed(wanted: _Untimed, before: Condition | None, now: datetime) -> Condition:
    kind, status, reason, message = wanted
    same = before is not None and before.status == status
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=before.last_transition_time if before and same else now,
    )
