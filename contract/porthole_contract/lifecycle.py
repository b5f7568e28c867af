"""A session's life, as one table.

Two rules. Everything that may change a phase stands in `TRANSITIONS`; a pair that is not
in it is refused and nothing happens. And this file does not know who is asking: the
operator, the local runtime and the control plane read the same table, and
`docs/lifecycle.md` is drawn from it.

Passing phases do not last: each has a deadline, in `DEADLINES`, and an event that happens
when it passes. `Pending` may last and says why; `Terminating` may last only while the agent
is out of reach.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from porthole_contract.errors import PortholeError


class Phase(StrEnum):
    """Where a session is in its life."""

    PENDING = "Pending"  # accepted; its reason says what it waits for
    STARTING = "Starting"  # its processes have begun, its screen is not painted yet
    RUNNING = "Running"  # somebody can look at it
    HIBERNATING = "Hibernating"  # it is being stopped, its home is kept
    HIBERNATED = "Hibernated"  # nothing of it runs, its home is kept
    WAKING = "Waking"  # as Starting, after hibernation
    FAILED = "Failed"  # given up; its reason says why, a changed spec tries again
    TERMINATING = "Terminating"  # it is being ended; nothing of it but its home will be left
    TERMINATED = "Terminated"  # nothing of it is left but its history


class Event(StrEnum):
    """What can happen to a session."""

    STARTED = "Started"  # its processes (or its pod) were begun
    DRAWN = "Drawn"  # its screen has been painted and its gate is open
    LOST = "Lost"  # what ran is gone and nobody asked for it
    BLOCKED = "Blocked"  # what it needs to begin is not to be had now; it waits
    GAVE_UP = "GaveUp"  # it was begun too often, or took too long
    HIBERNATE = "Hibernate"  # desired became Hibernated
    STOPPED = "Stopped"  # what ran is stopped, its home is kept
    WAKE = "Wake"  # desired became Running again
    CHANGED = "Changed"  # its spec has a newer order
    END = "End"  # somebody deleted it, or its lifetime is over
    GONE = "Gone"  # nothing of it is left
    DEADLINE = "Deadline"  # the passing phase took too long


class Forbidden(PortholeError):
    """The event cannot happen in this phase; nothing was changed."""

    code = "forbidden_transition"

    def __init__(self, phase: Phase, event: Event) -> None:
        super().__init__(f"A session that is {phase} cannot take the event {event}.")
        self.phase = phase
        self.event = event


_P, _E = Phase, Event

TRANSITIONS: Mapping[Phase, Mapping[Event, Phase]] = MappingProxyType(
    {
        _P.PENDING: {
            _E.STARTED: _P.STARTING,
            _E.HIBERNATE: _P.HIBERNATED,
            _E.CHANGED: _P.PENDING,
            _E.GAVE_UP: _P.FAILED,
        },
        _P.STARTING: {
            _E.DRAWN: _P.RUNNING,
            _E.LOST: _P.STARTING,
            _E.BLOCKED: _P.PENDING,
            _E.GAVE_UP: _P.FAILED,
            _E.DEADLINE: _P.FAILED,
            _E.HIBERNATE: _P.HIBERNATING,
        },
        _P.RUNNING: {
            _E.LOST: _P.STARTING,
            _E.HIBERNATE: _P.HIBERNATING,
        },
        _P.HIBERNATING: {
            _E.STOPPED: _P.HIBERNATED,
            _E.LOST: _P.HIBERNATED,  # it is gone: that is what was wanted
            _E.DEADLINE: _P.HIBERNATED,  # stopped the hard way; the home is what is kept
        },
        _P.HIBERNATED: {
            _E.WAKE: _P.WAKING,
            _E.CHANGED: _P.HIBERNATED,
        },
        _P.WAKING: {
            _E.DRAWN: _P.RUNNING,
            _E.LOST: _P.WAKING,
            _E.BLOCKED: _P.PENDING,
            _E.GAVE_UP: _P.FAILED,
            _E.DEADLINE: _P.FAILED,
            _E.HIBERNATE: _P.HIBERNATING,
        },
        _P.FAILED: {
            _E.CHANGED: _P.PENDING,
            _E.WAKE: _P.PENDING,
            _E.HIBERNATE: _P.HIBERNATED,
        },
        _P.TERMINATING: {
            _E.GONE: _P.TERMINATED,
            _E.DEADLINE: _P.TERMINATING,  # killed harder, and again
        },
        _P.TERMINATED: {},
    }
)
"""phase -> event -> next phase. END and GONE are allowed in every phase but the last two,
so they are added by `advance` rather than written nine times."""

DEADLINES: Mapping[Phase, timedelta] = MappingProxyType(
    {
        _P.STARTING: timedelta(seconds=120),
        _P.HIBERNATING: timedelta(seconds=60),
        _P.WAKING: timedelta(seconds=120),
        _P.TERMINATING: timedelta(seconds=30),
    }
)
"""How long a passing phase may take, counted from when its effect has begun."""

LASTING: frozenset[Phase] = frozenset(
    {_P.PENDING, _P.RUNNING, _P.HIBERNATED, _P.FAILED, _P.TERMINATED}
)
"""Phases that may last as long as they like."""

LIVE: frozenset[Phase] = frozenset(Phase) - {_P.TERMINATED}
"""Phases of a session that still exists: its name is taken and its home may be held."""

OCCUPIED: frozenset[Phase] = frozenset(
    {_P.STARTING, _P.RUNNING, _P.HIBERNATING, _P.WAKING, _P.TERMINATING}
)
"""Phases in which something may be running and using CPU and memory."""


def advance(phase: Phase, event: Event) -> Phase:
    """Return the phase after `event`.

    Raises:
        Forbidden: the event cannot happen in this phase.
    """
    if event is Event.END and phase not in {Phase.TERMINATING, Phase.TERMINATED}:
        return Phase.TERMINATING
    if event is Event.GONE and phase is not Phase.TERMINATED:
        return Phase.TERMINATED
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        raise Forbidden(phase, event) from None
