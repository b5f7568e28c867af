"""What the chart makes for those who watch: nothing unless asked, and then all of it fits."""

import json
from typing import Any

import pytest

from porthole_telemetry.exporting import is_wanted
from tests.support import write_monitoring
from tests.support.alerts import GROUPS
from tests.support.helm import Helm, Manifest

KINDS = {"ServiceMonitor", "PrometheusRule"}
ALL = {
    "controlPlane": {"metrics": True},
    "agent": {"metrics": True},
    "operator": {"metrics": True},
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "rules": {"enabled": True, "runbooks": "https://wiki.example/runbooks"},
        "dashboard": {"enabled": True},
    },
    "traces": {"endpoint": "http://collector:4318"},
}


@pytest.fixture(scope="session")
def watched(helm: Helm) -> list[Manifest]:
    return helm.render(ALL)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] == kind]


def environment(manifest: Manifest) -> dict[str, Any]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container["env"]}


def test_nothing_is_told_unless_it_is_asked_for(helm: Helm):
    manifests = helm.render({})
    assert [one for one in manifests if one["kind"] in KINDS] == []
    assert "dashboard" not in {one["metadata"]["name"] for one in of_kind(manifests, "ConfigMap")}
    for one in of_kind(manifests, "Deployment"):
        assert not is_wanted({name: str(value) for name, value in environment(one).items()})
        assert not any(name.endswith("_METRICS") for name in environment(one))


def test_what_is_scraped_is_there_and_shows_the_token(watched: list[Manifest]):
    (monitor,) = of_kind(watched, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "porthole-metrics", "key": "token"}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [
        one for one in of_kind(watched, "Service") if wanted <= one["metadata"]["labels"].items()
    ]
    assert len(services) == 3
    for service in services:
        (port,) = service["spec"]["ports"]
        assert port["name"] == endpoint["port"]
        (behind,) = [
            one
            for one in of_kind(watched, "Deployment")
            if service["spec"]["selector"].items()
            <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        (container,) = behind["spec"]["template"]["spec"]["containers"]
        assert {"name": "metrics", "containerPort": 8090} in container["ports"]


def test_alerts_are_those_that_are_committed_each_with_its_page(watched: list[Manifest]):
    (made,) = of_kind(watched, "PrometheusRule")
    groups = made["spec"]["groups"]
    assert [group["name"] for group in groups] == [f"porthole-{name}" for name in GROUPS]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        page = rule["annotations"].pop("runbook_url")
        assert page == f"https://wiki.example/runbooks/{rule['alert']}.md"
    committed = [rule for group in write_monitoring.rules()["groups"] for rule in group["rules"]]
    assert rules == committed


def test_alerts_are_about_programs_that_tell_their_metrics(helm: Helm):
    values = {"operator": {"metrics": True}, "monitoring": {"rules": {"enabled": True}}}
    (made,) = of_kind(helm.render(values), "PrometheusRule")
    assert [group["name"] for group in made["spec"]["groups"]] == ["porthole-operator"]
    assert all(
        "runbook_url" not in rule["annotations"] for rule in made["spec"]["groups"][0]["rules"]
    )


def test_the_dashboard_is_the_one_that_is_committed(watched: list[Manifest]):
    (made,) = [
        one
        for one in of_kind(watched, "ConfigMap")
        if one["metadata"]["name"] == "porthole-dashboard"
    ]
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["porthole.json"]) == write_monitoring.dashboard()


def test_every_program_is_told_where_traces_go(watched: list[Manifest]):
    for one in of_kind(watched, "Deployment"):
        assert environment(one)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
