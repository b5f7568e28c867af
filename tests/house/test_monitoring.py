"""What ships for those who watch is fresh, and each alert has a page that says what to do."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import write_monitoring
from tests.support.alerts import ALERTS, Alert
from tests.support.promql import asked, grouped

HEADINGS = ["What it means", "What a user notices", "How to look", "What to do"]
NAMES = [alert.name for alert in ALERTS]


def test_the_files_are_fresh():
    """Make them anew with `python -m tests.support.write_monitoring`."""
    files = write_monitoring.written()
    assert [str(path) for path, text in files.items() if path.read_text() != text] == []


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_each_alert_has_a_runbook_that_says_all_four_things(alert: Alert):
    page = (write_monitoring.RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    assert alert.summary in " ".join(page.split())
    for heading in HEADINGS:
        body = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert len(body.split()) > 5, heading


def test_each_runbook_is_of_an_alert_and_in_the_list():
    pages = {path.stem for path in write_monitoring.RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(NAMES)
    listed = (write_monitoring.RUNBOOKS / "README.md").read_text(encoding="utf-8")
    for alert in ALERTS:
        line = f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {alert.summary} |"
        assert line in listed


def test_each_rule_leads_to_its_runbook():
    rules = [rule for group in write_monitoring.rules()["groups"] for rule in group["rules"]]
    assert [rule["alert"] for rule in rules] == NAMES
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")


def test_panels_do_not_lie_upon_one_another():
    taken: set[tuple[int, int]] = set()
    numbers = set()
    for panel in write_monitoring.dashboard()["panels"]:
        where = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
        numbers.add(panel["id"])
    assert len(numbers) == len(write_monitoring.dashboard()["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_prometheus_own_tool_has_nothing_to_say_against_it(tmp_path: Path):
    panels = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": target["expr"]}
        for panel in write_monitoring.dashboard()["panels"]
        for target in panel.get("targets", ())
    ]
    told = json.dumps({"groups": [{"name": "panels", "rules": panels}]})
    asked_for = tmp_path / "panels.yaml"
    asked_for.write_text(told.replace("$__rate_interval", "5m"), encoding="utf-8")
    command = ["promtool", "check", "rules", str(write_monitoring.FILES / "rules.yaml")]
    done = subprocess.run([*command, str(asked_for)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_expression_is_read_as_it_is_meant():
    (one, other) = asked('sum by (le) (rate(porthole_a_bucket{x="1",y=~"a|b"}[5m])) > porthole_b')
    assert (one.metric, one.labels) == ("porthole_a_bucket", {"x", "y"})
    assert dict(one.values)["y"] == {"a", "b"}
    assert (other.metric, other.labels) == ("porthole_b", frozenset())
    assert grouped("sum by (le, route) (x)") == {"le", "route"}
    with pytest.raises(ValueError, match="matchers"):
        asked("porthole_a{x=1}")
    with pytest.raises(ValueError, match="match"):
        asked("sum(porthole_a")
