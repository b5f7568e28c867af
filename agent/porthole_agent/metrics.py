"""Metrics of an agent, `porthole_agent_...`; told where PORTHOLE_AGENT_METRICS says, if anywhere.

Labels are names that we choose; no id of a session or a user is one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from porthole_contract.lifecycle import LIVE
from porthole_contract.link.reports import Outcome
from porthole_telemetry.counting import tell_from_the_start

REGISTRY = CollectorRegistry()

# -- the link --------------------------------------------------------------------------------

LINKED = Gauge("porthole_agent_linked", "Whether there is a link: 1, or 0.", registry=REGISTRY)
LINKS = Counter(
    "porthole_agent_links",
    "Links that were begun, each in an epoch of its own: resumed, or anew.",
    ("how",),
    registry=REGISTRY,
)
DIALS_FAILED = Counter(
    "porthole_agent_dials_failed",
    "Dials that came to no link, and links that broke.",
    registry=REGISTRY,
)
SUPERSEDED = Counter(
    "porthole_agent_links_superseded",
    "Links that ended because another process of this agent has linked.",
    registry=REGISTRY,
)
OWED = Gauge(
    "porthole_agent_reports_owed",
    "Reports that are owed to the control plane and were not said yet.",
    registry=REGISTRY,
)
INVENTORIES = Counter(
    "porthole_agent_inventories", "Complete inventories that were taken.", registry=REGISTRY
)

# -- commands --------------------------------------------------------------------------------

COMMANDS = Counter(
    "porthole_agent_commands",
    "Commands that were carried out, by kind and outcome.",
    ("kind", "outcome"),
    registry=REGISTRY,
)
COMMANDS_AGAIN = Counter(
    "porthole_agent_commands_repeated",
    "Commands that came again when they were done, and were not begun a second time.",
    registry=REGISTRY,
)
COMMAND_SECONDS = Histogram(
    "porthole_agent_command_seconds",
    "How long it took to carry out a command.",
    ("kind",),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
UNFINISHED = Gauge(
    "porthole_agent_commands_unfinished",
    "Commands that are being carried out or wait for others of their subject.",
    registry=REGISTRY,
)

# -- sessions and what holds them ------------------------------------------------------------

SESSIONS = Gauge(
    "porthole_agent_sessions", "Sessions of this agent, by phase.", ("phase",), registry=REGISTRY
)
HAPPENED = Counter(
    "porthole_agent_local_events",
    "What the local runtime did to sessions: started, lost, stopped, mended, ended.",
    ("event",),
    registry=REGISTRY,
)
STARTED = Histogram(
    "porthole_agent_local_start_seconds",
    "From the start of a session's processes on this machine to its first picture.",
    registry=REGISTRY,
    buckets=(0.25, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60, 120),
)
FENCED = Counter(
    "porthole_agent_fenced_writes",
    "Writes that the cluster did not take, for the object was not as it was seen.",
    registry=REGISTRY,
)
UNANSWERED = Counter(
    "porthole_agent_cluster_unanswered",
    "Orders that waited because the cluster's API server did not answer.",
    registry=REGISTRY,
)
PUT_BACK = Counter(
    "porthole_agent_put_back",
    "Sessions that somebody else had changed, and that were made again what was ordered.",
    registry=REGISTRY,
)
UNDONE = Counter(
    "porthole_agent_undone",
    "Sessions that were made after their deletion, and deleted again.",
    registry=REGISTRY,
)

# -- streams ---------------------------------------------------------------------------------

STREAMS = Gauge("porthole_agent_streams", "Streams that are open.", registry=REGISTRY)
STREAMS_ENDED = Counter(
    "porthole_agent_streams_ended",
    "Streams that have ended: done, refused, failed, or crashed.",
    ("how",),
    registry=REGISTRY,
)
STREAM_BYTES = Counter(
    "porthole_agent_stream_bytes",
    "Bytes that streams have carried, to and from viewers.",
    ("direction",),
    registry=REGISTRY,
)
DOORS = Counter(
    "porthole_agent_port_connections",
    "Connections on the ports of sessions that are exposed: done, cut, failed, or turned away.",
    ("how",),
    registry=REGISTRY,
)

tell_from_the_start(
    (
        (LINKS, ("resumed", "anew")),
        (COMMAND_SECONDS, ("ApplySession", "DeleteSession", "DeleteHome")),
        (SESSIONS, [str(phase) for phase in LIVE]),
        (HAPPENED, ("started", "lost", "stopped", "gate_mended", "network_mended", "ended")),
        (STREAMS_ENDED, ("done", "refused", "failed", "crashed")),
        (STREAM_BYTES, ("to_viewer", "from_viewer")),
        (DOORS, ("done", "cut", "failed", "turned_away")),
    )
)
for _kind in ("ApplySession", "DeleteSession", "DeleteHome"):
    for _outcome in Outcome:
        COMMANDS.labels(_kind, str(_outcome))


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
