"""Metrics, `porthole_...`; served on the internal port only.

Labels are names that we choose (a route's pattern, a code), never what a caller sends.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "porthole_http_request_seconds",
    "How long requests took.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
COMMANDS = Gauge(
    "porthole_commands", "Commands in the queue, by state.", ("state",), registry=REGISTRY
)
SESSIONS = Gauge("porthole_sessions", "Sessions, by phase.", ("phase",), registry=REGISTRY)
AGENTS_LINKED = Gauge("porthole_agents_linked", "Agents that are linked.", registry=REGISTRY)
LISTENERS = Gauge("porthole_event_listeners", "Open live lists.", registry=REGISTRY)
ASSIGNED = Counter(
    "porthole_sessions_assigned", "Sessions that were given to an agent.", registry=REGISTRY
)
CONFLICTS = Counter(
    "porthole_inventory_findings",
    "What inventories showed to be different from what we knew, by kind.",
    ("kind",),
    registry=REGISTRY,
)
STREAMS = Gauge(
    "porthole_streams",
    "Streams whose viewers this process has, waiting or open.",
    registry=REGISTRY,
)
STREAM_BYTES = Counter(
    "porthole_stream_bytes",
    "Bytes of streams that have ended, to and from their viewers.",
    ("direction",),
    registry=REGISTRY,
)
STREAM_OPENED = Histogram(
    "porthole_stream_open_seconds",
    "From a ticket that was used to the agent's leg.",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STREAMS_ENDED = Counter(
    "porthole_streams_ended",
    "Streams that have ended, by close code.",
    ("code",),
    registry=REGISTRY,
)
COMMANDS_SENT = Counter(
    "porthole_commands_sent", "Commands that were sent to agents.", registry=REGISTRY
)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
