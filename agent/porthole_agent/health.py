"""How a replica in a cluster is: healthy, and ready (pure).

Healthy is whose loops come round. That others do not answer is no reason for a new process,
which would find them no better; so neither the API server nor the control plane counts. Ready
is who could be relied on now: it has joined, and holds the Lease or sees who does.
"""

from dataclasses import dataclass
from typing import Final

STUCK_AFTER: Final = 60.0
"""Seconds without a look at the Lease; one takes less than five."""
ANSWERED_WITHIN: Final = 15.0
"""Seconds for which the API server may be silent before a replica is not ready any more."""


@dataclass(frozen=True, slots=True)
class Signs:
    """How a replica is.

    Attributes:
        since_look: seconds since it last tried to look at the Lease, or to renew it.
        since_answer: seconds since the API server last answered that.
        joined: whether it knows where it belongs.
        leads: whether it holds the Lease.
        started: whether it has read what there is, and follows it.
        overdue: seconds by which a collection should have been listed anew, if it follows any.
    """

    since_look: float
    since_answer: float
    joined: bool
    leads: bool = False
    started: bool = False
    overdue: float = 0.0


def trouble(signs: Signs) -> str:
    """Return why a new process is needed, in a sentence, or nothing."""
    if signs.since_look > STUCK_AFTER:
        return f"It has not looked at the Lease for {signs.since_look:.0f} s."
    if signs.leads and signs.started and signs.overdue > 0:
        return f"It should have listed the cluster's objects anew {signs.overdue:.0f} s ago."
    return ""


def unready(signs: Signs) -> str:
    """Return why it cannot be relied on now, in a sentence, or nothing."""
    if found := trouble(signs):
        return found
    if signs.since_answer > ANSWERED_WITHIN:
        return f"The API server has not answered for {signs.since_answer:.0f} s."
    if not signs.joined:
        return "It has not joined the control plane yet."
    if signs.leads and not signs.started:
        return "It reads what there is."
    return ""
