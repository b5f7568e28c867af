"""Writes what ships for those who watch: `python -m tests.support.write_monitoring`.

A Grafana dashboard and Prometheus rules, into `helm/porthole/files/monitoring`; the rules stand in
`alerts`, the dashboard's panels here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.alerts import GROUPS

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "helm" / "porthole" / "files" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
_HEAD = "# Made by `python -m tests.support.write_monitoring`; change tests/support/alerts.py.\n"
_WIDTH, _HEIGHT = 8, 8
"""Of a panel; a row of a dashboard has 24 columns."""


@dataclass(frozen=True)
class Panel:
    """One panel: its question, what is asked for, and in which unit the answer is."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def _quantiles(metric: str) -> dict[str, str]:
    return {
        f"p{share}": f"histogram_quantile(0.{share}, {_sum(f'{metric}_bucket', 'le')})"
        for share in (50, 95, 99)
    }


def _sum(metric: str, by: str = "") -> str:
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate({metric}[$__rate_interval]))"


def _rates(metric: str, label: str) -> dict[str, str]:
    return {f"{{{{{label}}}}}": _sum(metric, label)}


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel("Is the database there?", {"": "min(porthole_database_up)"}, kind="stat"),
        Panel("Agents", {"{{health}}": "max by (health) (porthole_agents)"}, kind="stat"),
        Panel("Sessions", {"{{phase}}": "max by (phase) (porthole_sessions)"}, kind="stat"),
    ),
    "Sessions": (
        Panel("Sessions by phase", {"{{phase}}": "max by (phase) (porthole_sessions)"}),
        Panel(
            "From creation to the first picture",
            _quantiles("porthole_session_start_seconds"),
            "s",
        ),
        Panel(
            "What goes wrong",
            {
                "failed": _sum("porthole_session_failures_total"),
                "lost": _sum("porthole_session_restarts_total"),
            },
        ),
        Panel("Waiting for an agent", {"": "max(porthole_sessions_unassigned)"}),
        Panel("Given to agents", {"": _sum("porthole_sessions_assigned_total")}),
        Panel(
            "Longest in a passing phase",
            {"{{phase}}": "max by (phase) (porthole_session_oldest_passing_seconds)"},
            "s",
        ),
    ),
    "The queue": (
        Panel("How deep", {"{{state}}": "max by (state) (porthole_commands)"}),
        Panel(
            "How old",
            {
                "{{state}}": "max by (state) (porthole_command_oldest_age_seconds)",
                "due": "max(porthole_command_oldest_due_seconds)",
            },
            "s",
        ),
        Panel("From queued to done", _quantiles("porthole_command_seconds"), "s"),
        Panel("Queued", _rates("porthole_commands_queued_total", "kind")),
        Panel(
            "Sent, and sent again",
            {
                "sent": _sum("porthole_commands_sent_total"),
                **_rates("porthole_commands_resent_total", "why"),
            },
        ),
        Panel("Ended", _rates("porthole_commands_ended_total", "state")),
    ),
    "Links and reports": (
        Panel(
            "Links",
            {"links": "sum(porthole_links)", "contested": "max(porthole_agents_contested)"},
        ),
        Panel(
            "Epochs begun, links ended",
            {
                **_rates("porthole_link_epochs_total", "how"),
                "ended": _sum("porthole_links_ended_total"),
            },
        ),
        Panel("Refused", _rates("porthole_links_refused_total", "code")),
        Panel("From heard to written down", _quantiles("porthole_report_lag_seconds"), "s"),
        Panel(
            "Reports",
            {
                **_rates("porthole_reports_total", "kind"),
                "waiting": "sum(porthole_reports_waiting)",
                "dropped": _sum("porthole_reports_dropped_total"),
            },
        ),
        Panel(
            "What came too late, or was not as we knew it",
            {
                **_rates("porthole_fenced_writes_total", "what"),
                **_rates("porthole_inventory_findings_total", "kind"),
                "inventories": _sum("porthole_inventories_total"),
            },
        ),
    ),
    "Streams": (
        Panel("Streams", {"": "sum(porthole_streams)"}),
        Panel("Until the picture comes", _quantiles("porthole_stream_open_seconds"), "s"),
        Panel(
            "Refused, ended",
            {
                "refused: {{reason}}": _sum("porthole_streams_refused_total", "reason"),
                "ended: {{code}}": _sum("porthole_streams_ended_total", "code"),
            },
        ),
        Panel(
            "Bytes of streams that ended", _rates("porthole_stream_bytes_total", "direction"), "Bps"
        ),
    ),
    "The API and the database": (
        Panel(
            "Requests",
            {"{{status}}": _sum("porthole_http_request_seconds_count", "status")},
            "reqps",
        ),
        Panel("How long requests take", _quantiles("porthole_http_request_seconds"), "s"),
        Panel(
            "Connections to the database",
            {
                "in use": "max(porthole_database_connections_in_use)",
                "the most": "max(porthole_database_connections_limit)",
            },
        ),
        Panel("Live lists", {"": "sum(porthole_event_listeners)"}),
        Panel(
            "Put back to an earlier state",
            {
                "noticed": "sum(porthole_database_set_back_total)",
                "agents that have not told yet": "max(porthole_agents_unheard)",
            },
        ),
    ),
    "Agents of this cluster": (
        Panel(
            "Linked, sessions",
            {
                "linked": "max(porthole_agent_linked)",
                "{{phase}}": "max by (phase) (porthole_agent_sessions)",
            },
        ),
        Panel(
            "Commands carried out",
            {
                "{{kind}} {{outcome}}": _sum("porthole_agent_commands_total", "kind, outcome"),
                "repeated": _sum("porthole_agent_commands_repeated_total"),
                "unfinished": "sum(porthole_agent_commands_unfinished)",
            },
        ),
        Panel("How long a command takes", _quantiles("porthole_agent_command_seconds"), "s"),
        Panel(
            "Links",
            {
                **_rates("porthole_agent_links_total", "how"),
                "failed": _sum("porthole_agent_dials_failed_total"),
                "superseded": _sum("porthole_agent_links_superseded_total"),
                "reports owed": "max(porthole_agent_reports_owed)",
                "inventories": _sum("porthole_agent_inventories_total"),
            },
        ),
        Panel(
            "Streams",
            {
                "open": "sum(porthole_agent_streams)",
                **_rates("porthole_agent_streams_ended_total", "how"),
                "on ports, {{how}}": _sum("porthole_agent_port_connections_total", "how"),
                "bytes, {{direction}}": _sum("porthole_agent_stream_bytes_total", "direction"),
            },
        ),
        Panel(
            "Writes into the cluster that were fenced, unanswered, or undid another's",
            {
                "fenced": _sum("porthole_agent_fenced_writes_total"),
                "unanswered": _sum("porthole_agent_cluster_unanswered_total"),
                "put back": _sum("porthole_agent_put_back_total"),
                "undone": _sum("porthole_agent_undone_total"),
            },
        ),
        Panel(
            "On one machine: what was done", _rates("porthole_agent_local_events_total", "event")
        ),
        Panel(
            "On one machine: from start to picture",
            _quantiles("porthole_agent_local_start_seconds"),
            "s",
        ),
    ),
    "The operator": (
        Panel(
            "Sessions by phase",
            {
                "{{phase}}": "max by (phase) (porthole_operator_sessions)",
                "gates heard": "max(porthole_operator_gates_heard)",
                "replicas that lead": "sum(porthole_operator_leads)",
            },
        ),
        Panel("How long a look takes", _quantiles("porthole_operator_look_seconds"), "s"),
        Panel("From start to picture", _quantiles("porthole_operator_start_seconds"), "s"),
        Panel("Writes", _rates("porthole_operator_writes_total", "action")),
        Panel(
            "Trouble",
            {
                **_rates("porthole_operator_trouble_total", "why"),
                "desktops lost": _sum("porthole_operator_desktops_lost_total"),
                "failed": _sum("porthole_operator_sessions_failed_total"),
            },
        ),
    ),
}


def rules() -> dict[str, Any]:
    """Return the rules: the groups of a PrometheusRule."""
    return {
        "groups": [
            {
                "name": f"porthole-{program}",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expr,
                        "for": f"{alert.minutes}m",
                        "labels": {"severity": alert.severity},
                        "annotations": {
                            "summary": alert.summary,
                            "runbook": f"docs/runbooks/{alert.name}.md",
                        },
                    }
                    for alert in alerts
                ],
            }
            for program, alerts in GROUPS.items()
        ]
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
                "panels": [],
            }
        )
        top += 1
        for place, panel in enumerate(row):
            column, line = place % 3, place // 3
            where = {"x": column * _WIDTH, "y": top + line * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append(_panel(panel, len(panels) + 1, where))
        top += ((len(row) + 2) // 3) * _HEIGHT
    return {
        "uid": "porthole",
        "title": "Porthole",
        "tags": ["porthole"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {},
                }
            ]
        },
        "panels": panels,
    }


def _panel(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": source,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": source,
                "expr": query,
                "legendFormat": legend or "__auto",
            }
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def written() -> dict[Path, str]:
    """Return every file and what must be in it."""
    return {
        FILES / "dashboard.json": json.dumps(dashboard(), indent=1) + "\n",
        FILES / "rules.yaml": _HEAD
        + yaml.safe_dump(rules(), sort_keys=False, allow_unicode=True, width=100),
    }


if __name__ == "__main__":
    for path, content in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
