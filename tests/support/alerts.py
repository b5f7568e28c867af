"""The alerts that ship with the chart: what is wrong, when, and for how long.

Each has a page of its name in `docs/runbooks`. Thresholds are of what a person would notice, with
time enough for what mends itself: an agent's restart, a replica's, a database's failover.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        name: of the alert and of its runbook.
        expr: in PromQL; what it yields is wrong.
        minutes: how long it has to be so.
        severity: `critical`: people notice now; `warning`: they will.
        summary: what is wrong, in a sentence.
    """

    name: str
    expr: str
    minutes: int
    severity: str
    summary: str


def _share(metric: str, matching: str, of: str, share: float) -> str:
    """Return: more than this share of all, over ten minutes, are those that match."""
    return f"sum(rate({metric}{{{matching}}}[10m])) > {share} * sum(rate({of}[10m]))"


CONTROL_PLANE = (
    Alert(
        "PortholeControlPlaneAbsent",
        "absent(porthole_database_up)",
        5,
        "critical",
        "No process of the control plane tells its metrics.",
    ),
    Alert(
        "PortholeDatabaseDown",
        "min(porthole_database_up) == 0",
        1,
        "critical",
        "The database does not answer a process of the control plane.",
    ),
    Alert(
        "PortholeDatabaseConnectionsUsedUp",
        "max(porthole_database_connections_in_use / porthole_database_connections_limit) > 0.9",
        5,
        "warning",
        "A process of the control plane has used nearly all of its database connections.",
    ),
    Alert(
        "PortholeDatabaseSetBack",
        "sum(increase(porthole_database_set_back_total[15m])) > 0",
        0,
        "critical",
        "The database was put back to an earlier state, or lost what it had written.",
    ),
    Alert(
        "PortholeApiFails",
        _share(
            "porthole_http_request_seconds_count",
            'status=~"5.."',
            "porthole_http_request_seconds_count",
            0.05,
        ),
        5,
        "critical",
        "More than one request in twenty fails.",
    ),
    Alert(
        "PortholeApiSlow",
        "histogram_quantile(0.95, sum by (le) ("
        'rate(porthole_http_request_seconds_bucket{route!~".*(events|logs)"}[10m]))) > 1',
        10,
        "warning",
        "One request in twenty takes longer than a second.",
    ),
    Alert(
        "PortholeCommandsNotSent",
        "max(porthole_command_oldest_due_seconds) > 30",
        2,
        "critical",
        "A command could go out to an agent that is linked, and does not.",
    ),
    Alert(
        "PortholeCommandsUnfinished",
        'max(porthole_command_oldest_age_seconds{state=~"sent|received"}) > 600'
        " and max(porthole_agents_linked) > 0",
        10,
        "warning",
        "An agent has had a command for ten minutes and has not said how it ended.",
    ),
    Alert(
        "PortholeCommandsFail",
        _share(
            "porthole_commands_ended_total",
            'state="failed"',
            "porthole_commands_ended_total",
            0.1,
        ),
        10,
        "warning",
        "More than one command in ten fails.",
    ),
    Alert(
        "PortholeAgentAway",
        'max(porthole_agents{health="away"}) > 0',
        5,
        "critical",
        "An agent is not linked; nothing begins or changes where it is.",
    ),
    Alert(
        "PortholeAgentContested",
        "max(porthole_agents_contested) > 0",
        2,
        "critical",
        "Two processes link as one agent and take the link from each other.",
    ),
    Alert(
        "PortholeLinksFlap",
        "sum(increase(porthole_link_epochs_total[10m])) > 10 * max(porthole_agents_linked) + 10",
        5,
        "warning",
        "Links break and are begun again, over and over.",
    ),
    Alert(
        "PortholeLinksRefused",
        'sum(increase(porthole_links_refused_total{code=~"unproven|revoked|too_old"}[15m])) > 0',
        15,
        "warning",
        "Somebody dials as an agent and is refused.",
    ),
    Alert(
        "PortholeReportsLate",
        "histogram_quantile(0.99, sum by (le) (rate(porthole_report_lag_seconds_bucket[5m]))) > 2",
        5,
        "warning",
        "What agents report is written down late; people see old phases.",
    ),
    Alert(
        "PortholeReportsDropped",
        "sum(increase(porthole_reports_dropped_total[15m])) > 0",
        0,
        "warning",
        "A report could not be used and was dropped.",
    ),
    Alert(
        "PortholeAgentsDisagree",
        "sum by (kind) (increase(porthole_inventory_findings_total{"
        'kind=~"lives_after_its_end|not_its_own|impossible_order|too_many"}[15m])) > 0',
        0,
        "warning",
        "An agent says what cannot be, or has what should have ended.",
    ),
    Alert(
        "PortholeSessionsStuck",
        "max by (phase) (porthole_session_oldest_passing_seconds) > 300",
        2,
        "critical",
        "A session stays in a phase that should have passed.",
    ),
    Alert(
        "PortholeSessionsWait",
        "max(porthole_sessions_unassigned) > 0",
        10,
        "warning",
        "Sessions wait for an agent that can take them.",
    ),
    Alert(
        "PortholeSessionsStartSlowly",
        "histogram_quantile(0.95, sum by (le) (rate(porthole_session_start_seconds_bucket[30m])))"
        " > 60",
        10,
        "warning",
        "One session in twenty takes longer than a minute to its first picture.",
    ),
    Alert(
        "PortholeSessionsFail",
        "sum(increase(porthole_session_failures_total[15m])) > 3",
        0,
        "critical",
        "Sessions cannot be started.",
    ),
    Alert(
        "PortholeDesktopsLost",
        "sum(increase(porthole_session_restarts_total[15m])) > 5",
        0,
        "warning",
        "Desktops that ran are lost and begun again; their users lost their windows.",
    ),
    Alert(
        "PortholeStreamsRefused",
        _share(
            "porthole_streams_refused_total",
            'reason!="ticket_invalid"',
            "porthole_stream_open_seconds_count",
            0.2,
        ),
        5,
        "critical",
        "People ask for their desktops and do not see them.",
    ),
)

AGENT = (
    Alert(
        "PortholeAgentUnlinked",
        "max(porthole_agent_linked) == 0",
        5,
        "critical",
        "No replica of the agent here has a link to its control plane.",
    ),
    Alert(
        "PortholeAgentReportsPileUp",
        "max(porthole_agent_reports_owed) > 1000 and max(porthole_agent_linked) > 0",
        10,
        "warning",
        "The agent owes many reports although it is linked.",
    ),
    Alert(
        "PortholeAgentClusterUnanswered",
        "sum(increase(porthole_agent_cluster_unanswered_total[10m])) > 10",
        5,
        "critical",
        "The cluster's API server does not answer the agent.",
    ),
)

OPERATOR = (
    Alert(
        "PortholeOperatorMissing",
        "sum(porthole_operator_leads) == 0",
        2,
        "critical",
        "No replica is the operator; nothing begins or ends in this cluster.",
    ),
    Alert(
        "PortholeOperatorTrouble",
        'sum(rate(porthole_operator_trouble_total{why=~"cluster|bug"}[10m])) > 0.2',
        10,
        "warning",
        "The operator's looks at Sessions come to nothing, again and again.",
    ),
)

GROUPS = {"control-plane": CONTROL_PLANE, "agent": AGENT, "operator": OPERATOR}
"""By the program whose metrics they are about."""

ALERTS = tuple(alert for alerts in GROUPS.values() for alert in alerts)
