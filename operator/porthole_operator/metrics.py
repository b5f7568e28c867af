"""Metrics of the operator, `porthole_operator_...`; told where PORTHOLE_OPERATOR_METRICS says.

Labels are names that we choose; no name of a session, an owner or a template is one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from porthole_contract.lifecycle import LIVE
from porthole_telemetry.counting import tell_from_the_start

REGISTRY = CollectorRegistry()

LEADS = Gauge(
    "porthole_operator_leads",
    "Whether this replica is the operator: 1, or 0.",
    registry=REGISTRY,
)
SESSIONS = Gauge(
    "porthole_operator_sessions",
    "Sessions of the cluster that have not ended, by phase.",
    ("phase",),
    registry=REGISTRY,
)
LOOK_SECONDS = Histogram(
    "porthole_operator_look_seconds",
    "How long one look at a Session took, with what was done about it.",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WRITES = Counter(
    "porthole_operator_writes",
    "Steps that wrote something, by what was done: a status alone is a note.",
    ("action",),
    registry=REGISTRY,
)
TROUBLE = Counter(
    "porthole_operator_trouble",
    "Looks that came to nothing, by why: fenced (not as it was seen), cluster, bug.",
    ("why",),
    registry=REGISTRY,
)
STARTED = Histogram(
    "porthole_operator_start_seconds",
    "From the start of an attempt to the first picture.",
    registry=REGISTRY,
    buckets=(0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120),
)
LOST = Counter(
    "porthole_operator_desktops_lost",
    "Desktops that were lost and have to be begun again.",
    registry=REGISTRY,
)
FAILED = Counter(
    "porthole_operator_sessions_failed",
    "Sessions that came to the phase Failed.",
    registry=REGISTRY,
)
GATES = Gauge(
    "porthole_operator_gates_heard",
    "Gates that are listened to and say how they are.",
    registry=REGISTRY,
)

tell_from_the_start(
    (
        (SESSIONS, [str(phase) for phase in LIVE]),
        (WRITES, ("note", "Begin", "Mend", "EndPod", "Sleep", "DeleteSession")),
        (TROUBLE, ("fenced", "cluster", "bug")),
    )
)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
