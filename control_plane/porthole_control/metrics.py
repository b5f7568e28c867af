"""Metrics, `porthole_...`; served on the internal port only.

Labels are names that we choose (a route's pattern, a code), never what a caller sends; no id of a
session, a user or an agent is one. Counters and histograms are of this process; gauges of what
stands in the database are the same in every process, as it was when they were looked at
(`look`).
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from porthole_contract.lifecycle import LASTING, LIVE
from porthole_telemetry.counting import tell_from_the_start

REGISTRY = CollectorRegistry()

_QUICK = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_SLOW = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300)

# -- what people ask -------------------------------------------------------------------------

REQUESTS = Histogram(
    "porthole_http_request_seconds",
    "How long requests took.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=_QUICK,
)
LISTENERS = Gauge("porthole_event_listeners", "Live lists that are open.", registry=REGISTRY)

# -- the database ----------------------------------------------------------------------------

DATABASE_UP = Gauge(
    "porthole_database_up",
    "Whether the database answered when it was looked at last: 1, or 0.",
    registry=REGISTRY,
)
DATABASE_CONNECTIONS = Gauge(
    "porthole_database_connections_in_use",
    "Connections to the database that are in use.",
    registry=REGISTRY,
)
DATABASE_CONNECTIONS_MOST = Gauge(
    "porthole_database_connections_limit",
    "The most connections to the database that may be in use at once.",
    registry=REGISTRY,
)

DATABASE_SET_BACK = Counter(
    "porthole_database_set_back",
    "How often this process found that the database knows less than it did: a backup, a standby.",
    registry=REGISTRY,
)

# -- the queue -------------------------------------------------------------------------------

COMMANDS = Gauge(
    "porthole_commands",
    "Commands that are not finished, by state; no more than 20000 of a state are counted.",
    ("state",),
    registry=REGISTRY,
)
OLDEST_COMMAND = Gauge(
    "porthole_command_oldest_age_seconds",
    "How long ago the oldest unfinished command was queued, by state; 0 where there is none.",
    ("state",),
    registry=REGISTRY,
)
WAITING_FOR_LINKED = Gauge(
    "porthole_command_oldest_due_seconds",
    "How long the oldest command that could go out now, for its agent is linked, has been due.",
    registry=REGISTRY,
)
COMMANDS_QUEUED = Counter(
    "porthole_commands_queued", "Commands that were queued.", ("kind",), registry=REGISTRY
)
COMMANDS_SENT = Counter(
    "porthole_commands_sent", "Commands that were sent to agents.", registry=REGISTRY
)
COMMANDS_RESENT = Counter(
    "porthole_commands_resent",
    "Commands that were put back to be sent again, by why.",
    ("why",),
    registry=REGISTRY,
)
COMMANDS_ENDED = Counter(
    "porthole_commands_ended",
    "Commands that have ended, by the state in which they did.",
    ("state",),
    registry=REGISTRY,
)
COMMAND_SECONDS = Histogram(
    "porthole_command_seconds",
    "From the moment a command was queued to the result of its agent.",
    ("kind",),
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

# -- agents and their links ------------------------------------------------------------------

AGENTS = Gauge(
    "porthole_agents",
    "Agents that are not revoked, by health: linked, draining, or away.",
    ("health",),
    registry=REGISTRY,
)
AGENTS_LINKED = Gauge("porthole_agents_linked", "Agents that are linked.", registry=REGISTRY)
IDENTITIES_SHARED = Gauge(
    "porthole_agents_contested",
    "Agents as which two processes link in turns.",
    registry=REGISTRY,
)
AGENTS_UNHEARD = Gauge(
    "porthole_agents_unheard",
    "Agents that may know more than a database that was put back, and have not told it yet.",
    registry=REGISTRY,
)
LINKS = Gauge("porthole_links", "Links that this process has.", registry=REGISTRY)
EPOCHS = Counter(
    "porthole_link_epochs",
    "Links that were begun, each in an epoch of its own: resumed, or anew.",
    ("how",),
    registry=REGISTRY,
)
LINKS_ENDED = Counter(
    "porthole_links_ended", "Links of this process that have ended.", registry=REGISTRY
)
LINKS_REFUSED = Counter(
    "porthole_links_refused",
    "Links that were refused or ended in words, by code.",
    ("code",),
    registry=REGISTRY,
)
FENCED = Counter(
    "porthole_fenced_writes",
    "What came too late to be believed, for a newer epoch is there: reports, inventories, streams.",
    ("what",),
    registry=REGISTRY,
)

# -- what agents say -------------------------------------------------------------------------

REPORTS = Counter(
    "porthole_reports", "Reports of agents that were dealt with.", ("kind",), registry=REGISTRY
)
REPORTS_DROPPED = Counter(
    "porthole_reports_dropped",
    "Reports that nobody could do anything with.",
    ("kind",),
    registry=REGISTRY,
)
REPORTS_WAITING = Gauge(
    "porthole_reports_waiting",
    "Reports that this process has heard and not dealt with yet.",
    registry=REGISTRY,
)
REPORT_LAG = Histogram(
    "porthole_report_lag_seconds",
    "From the moment a report was heard to the commit of what follows from it.",
    registry=REGISTRY,
    buckets=_QUICK,
)
INVENTORIES = Counter(
    "porthole_inventories", "Complete inventories that were dealt with.", registry=REGISTRY
)
CONFLICTS = Counter(
    "porthole_inventory_findings",
    "What agents showed to be different from what we knew, by kind.",
    ("kind",),
    registry=REGISTRY,
)

# -- sessions --------------------------------------------------------------------------------

SESSIONS = Gauge(
    "porthole_sessions", "Sessions that have not ended, by phase.", ("phase",), registry=REGISTRY
)
SESSIONS_WAITING = Gauge(
    "porthole_sessions_unassigned",
    "Sessions that wait for an agent that can take them.",
    registry=REGISTRY,
)
SESSIONS_OVERDUE = Gauge(
    "porthole_session_oldest_passing_seconds",
    "How long ago the longest session in a phase that must pass was last told of, by phase.",
    ("phase",),
    registry=REGISTRY,
)
ASSIGNED = Counter(
    "porthole_sessions_assigned", "Sessions that were given to an agent.", registry=REGISTRY
)
FAILURES = Counter(
    "porthole_session_failures", "Sessions that came to the phase Failed.", registry=REGISTRY
)
RESTARTS = Counter(
    "porthole_session_restarts", "Desktops that were lost and begun again.", registry=REGISTRY
)
STARTED = Histogram(
    "porthole_session_start_seconds",
    "From the creation of a session to its first picture.",
    registry=REGISTRY,
    buckets=_SLOW,
)

# -- streams ---------------------------------------------------------------------------------

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
STREAMS_REFUSED = Counter(
    "porthole_streams_refused",
    "Streams that were never opened, by reason.",
    ("reason",),
    registry=REGISTRY,
)

_KINDS = ("ApplySession", "DeleteSession", "DeleteHome")
tell_from_the_start(
    (
        (COMMANDS, ("pending", "sent", "received")),
        (OLDEST_COMMAND, ("pending", "sent", "received")),
        (COMMANDS_QUEUED, _KINDS),
        (COMMAND_SECONDS, _KINDS),
        (COMMANDS_RESENT, ("new_link", "forgotten", "failed")),
        (COMMANDS_ENDED, ("succeeded", "failed", "superseded", "expired")),
        (AGENTS, ("linked", "draining", "away")),
        (EPOCHS, ("resumed", "anew")),
        (
            LINKS_REFUSED,
            ("revoked", "too_many", "too_many_links", "too_old", "unavailable", "unproven"),
        ),
        (FENCED, ("report", "inventory", "stream")),
        (
            REPORTS,
            ("SessionObserved", "CommandResult", "HomeObserved", "AgentObserved", "Snapshot"),
        ),
        (REPORTS_DROPPED, ("SessionObserved", "CommandResult", "Snapshot")),
        (
            CONFLICTS,
            (
                *(
                    "adopted",
                    "behind",
                    "ended_elsewhere",
                    "impossible_order",
                    "lives_after_its_end",
                ),
                *("not_its_own", "sent_again", "too_many"),
            ),
        ),
        (SESSIONS, [str(phase) for phase in LIVE]),
        (SESSIONS_OVERDUE, [str(phase) for phase in LIVE - LASTING]),
        (STREAM_BYTES, ("to_viewer", "from_viewer")),
        (STREAMS_ENDED, ("1000", "1001", "other")),
        (STREAMS_REFUSED, ("agent_unreachable", "session_not_running", "ticket_invalid", "other")),
    )
)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
