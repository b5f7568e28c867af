"""Everything that the chart makes, for every way in which it is installed."""

import json
import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
import yaml

from porthole_agent.runtimes.kubernetes import rights as agent_rights
from porthole_agent.settings import Settings as AgentSettings
from porthole_contract.cluster import Scope
from porthole_control.settings import Settings as ControlSettings
from porthole_operator import rights as operator_rights
from porthole_operator.keys import wanted
from porthole_operator.settings import Settings as OperatorSettings
from tests.support import write_chart
from tests.support.chart_values import WAYS
from tests.support.helm import CHART, NAMESPACE, Helm, Manifest, Refused

WORKLOADS = {"Deployment", "StatefulSet", "Job"}
KEPT = "helm.sh/resource-policy"
HOOK = "helm.sh/hook"

every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> dict[str, list[Manifest]]:
    return {way: helm.render(values) for way, values in WAYS.items()}


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in of_kind(manifests, *WORKLOADS):
        yield one["metadata"]["name"], one["spec"]["template"]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container.get("env", ())}


def test_what_the_chart_has_from_elsewhere_is_fresh():
    """Make it anew with `python -m tests.support.write_chart`."""
    files = write_chart.written()
    assert [str(path) for path, text in files.items() if path.read_text() != text] == []
    crds = set((write_chart.FILES / "crds").iterdir())
    assert crds == {path for path in files if path.parent.name == "crds"}


def test_helm_has_nothing_to_say_against_it(helm: Helm):
    said = helm.run("lint", str(CHART), "--strict", "--kube-version", "1.34.0")
    assert "0 chart(s) failed" in said


@every_way
def test_no_object_stands_twice_and_each_says_whose_it_is(rendered, way: str):
    manifests = rendered[way]
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in manifests
    ]
    assert len(names) == len(set(names))
    without = [
        name
        for name, one in zip(names, manifests, strict=True)
        if one["kind"] != "CustomResourceDefinition"
        and one["metadata"]["labels"]["app.kubernetes.io/part-of"] != "porthole"
    ]
    assert without == []


@every_way
def test_every_pod_is_restricted_and_more(rendered, way: str):
    found = list(pods(rendered[way]))
    assert found
    for name, template in found:
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] == 10000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "hostNetwork" not in pod
        assert "hostPID" not in pod
        assert pod["enableServiceLinks"] is False
        assert isinstance(pod["automountServiceAccountToken"], bool)
        for volume in pod["volumes"]:
            (kind,) = set(volume) - {"name"}
            assert kind in {"emptyDir", "secret", "configMap", "projected"}, volume
            assert kind != "emptyDir" or volume["emptyDir"]["sizeLimit"], volume
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]
            mounted = {one["name"] for one in container["volumeMounts"]}
            claims = {"data"} if name == "porthole-database" else set()
            assert mounted == {one["name"] for one in pod["volumes"]} | claims


@every_way
def test_every_program_is_probed_where_it_answers(rendered, way: str):
    for name, template in pods(of_kind(rendered[way], "Deployment")):
        (container,) = template["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        probes = {kind: container[kind] for kind in container if kind.endswith("Probe")}
        assert "livenessProbe" in probes, name
        for probe in probes.values():
            assert probe["httpGet"]["port"] in ports, name


def test_the_agent_lives_by_its_loops_and_is_ready_when_it_can_be_relied_on(rendered):
    agent = named(rendered["as it is"], "Deployment", "porthole-agent")["spec"]["template"]
    (container,) = agent["spec"]["containers"]
    assert container["ports"] == [{"name": "health", "containerPort": 8080}]
    assert environment(agent)["PORTHOLE_AGENT_HEALTH_PORT"] == "8080"
    paths = {
        kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")
    }
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    budget = named(rendered["as it is"], "PodDisruptionBudget", "porthole-agent")["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@every_way
def test_every_image_is_from_the_registry(rendered, way: str):
    values = WAYS[way].get("images", {})
    registry = values.get("registry", "localhost/porthole").rstrip("/")
    tag = values.get("tag", metadata.version("porthole"))
    for name, template in pods(rendered[way]):
        (container,) = template["spec"]["containers"]
        assert container["image"] == f"{registry}/porthole:{tag}", name
        assert template["spec"].get("imagePullSecrets", []) == [
            {"name": secret} for secret in values.get("pullSecrets", ())
        ]
    told = environment(named(rendered[way], "Deployment", "porthole-operator")["spec"]["template"])
    assert told["PORTHOLE_OPERATOR_GATE_IMAGE"] == f"{registry}/porthole-gate:{tag}"


@every_way
def test_rights_are_those_that_are_listed_and_no_others(rendered, way: str):
    manifests = rendered[way]
    for one in of_kind(manifests, "Role", "ClusterRole"):
        for rule in one["rules"]:
            assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
    sessions = WAYS[way].get("sessionNamespaces", {}).get("names", ["porthole-sessions"])
    places = {None: "cluster", NAMESPACE: "system", **dict.fromkeys(sessions, "sessions")}
    programs: dict[str, Any] = {"porthole-operator": operator_rights}
    if WAYS[way].get("agent", {}).get("enabled", True):
        programs["porthole-agent"] = agent_rights
    for account, rights in programs.items():
        granted = list(_granted_to(manifests, account))
        assert len(granted) == 2 + len(sessions)
        for namespace, rules in granted:
            assert rules == rights.rules(Scope(places[namespace])), account
    resources = [
        name
        for _, rules in _granted_to(manifests, "porthole-agent")
        for rule in rules
        for name in rule["resources"]
    ]
    assert "secrets" not in resources, "the agent has no verb on secrets"
    cluster = [one["rules"] for one in of_kind(manifests, "ClusterRole")]
    small = {"nodes", "namespaces", "tokenreviews"}
    assert {name for rules in cluster for rule in rules for name in rule["resources"]} <= small


def _granted_to(manifests: list[Manifest], account: str):
    for one in of_kind(manifests, "RoleBinding", "ClusterRoleBinding"):
        if one["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]:
            kind, namespace = one["roleRef"]["kind"], one["metadata"].get("namespace")
            role = next(
                role
                for role in of_kind(manifests, kind)
                if role["metadata"]["name"] == one["roleRef"]["name"]
                and role["metadata"].get("namespace") == namespace
            )
            yield namespace, role["rules"]


@every_way
def test_programs_that_ask_no_cluster_have_no_token_for_one(rendered, way: str):
    asks = {
        account
        for one in of_kind(rendered[way], "RoleBinding", "ClusterRoleBinding")
        for account in (subject["name"] for subject in one["subjects"])
    }
    for name, template in pods(rendered[way]):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] == (pod["serviceAccountName"] in asks), name


@every_way
def test_every_secret_is_given_or_made_by_the_keys(rendered, way: str):
    manifests = rendered[way]
    job = named(manifests, "Job", "porthole-keys")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words: dict[str, list[str]] = {"server": [], "database": []}
    for argument in container["args"]:
        name, _, value = argument.removeprefix("--").partition("=")
        words.setdefault(name, []).append(value)
    made = {one.name for one in wanted(server=words["server"], database=words["database"])}
    given = set(re.findall(r"[a-z-]+", str(WAYS[way])))
    for name, template in pods(manifests):
        for volume in template["spec"]["volumes"]:
            sources = volume.get("projected", {}).get("sources", [volume])
            for source in sources:
                secret = source.get("secret", {})
                needed = secret.get("secretName") or secret.get("name")
                assert needed is None or needed in made | given, (name, needed)
    role = named(manifests, "Role", "porthole-keys")
    allowed = next(rule for rule in role["rules"] if "get" in rule["verbs"])["resourceNames"]
    assert made <= set(allowed)


@every_way
def test_every_setting_is_one_that_the_program_knows(rendered, way: str):
    for program, settings, prefix in (
        ("control-plane", ControlSettings, "PORTHOLE_"),
        ("migrate", ControlSettings, "PORTHOLE_"),
        ("agent", AgentSettings, "PORTHOLE_AGENT_"),
        ("operator", OperatorSettings, "PORTHOLE_OPERATOR_"),
    ):
        for name, template in pods(rendered[way]):
            if name == f"porthole-{program}":
                told = environment(template)
                ours = {one for one in told if one.startswith("PORTHOLE_")} - {"PORTHOLE_HOME"}
                known = {f"{prefix}{field.upper()}" for field in settings.model_fields}
                assert ours <= known, program


@every_way
def test_what_people_have_is_kept_when_it_is_uninstalled(rendered, way: str):
    for one in of_kind(rendered[way], "CustomResourceDefinition", "Namespace"):
        assert one["metadata"]["annotations"][KEPT] == "keep", one["metadata"]["name"]
    for one in of_kind(rendered[way], "Namespace"):
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_way
def test_services_lead_to_ports_that_are_there(rendered, way: str):
    for service in of_kind(rendered[way], "Service"):
        selector = service["spec"]["selector"]
        behind = [
            template
            for _, template in pods(rendered[way])
            if selector.items() <= template["metadata"]["labels"].items()
        ]
        assert len(behind) == 1
        ports = {port["name"] for port in behind[0]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_replicas_are_not_taken_all_at_once(rendered):
    guarded = {
        one["metadata"]["name"] for one in of_kind(rendered["as it is"], "PodDisruptionBudget")
    }
    assert guarded == {"porthole-control-plane", "porthole-agent", "porthole-operator"}
    for one in of_kind(rendered["as it is"], "Deployment"):
        assert one["spec"]["replicas"] == 2
        assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert of_kind(rendered["small, on node ports"], "PodDisruptionBudget") == []


def test_keys_come_first_then_tables_then_replicas(rendered):
    def hook(way: str, name: str) -> tuple[str, int]:
        annotations = named(rendered[way], "Job", name)["metadata"]["annotations"]
        return annotations[HOOK], int(annotations["helm.sh/hook-weight"])

    always = "pre-install,pre-upgrade"
    external = "a database of one's own"
    assert hook(external, "porthole-keys") == (always, -10)
    assert hook(external, "porthole-migrate") == (always, -5)
    # The bundled database is not there before the first release is.
    assert hook("as it is", "porthole-migrate") == ("pre-upgrade", -5)
    told = {
        way: environment(dict(pods(rendered[way]))["porthole-control-plane"])["PORTHOLE_MIGRATE"]
        for way in (external, "as it is")
    }
    assert told == {external: "false", "as it is": "true"}


def test_a_database_of_ones_own_is_reached_as_it_is_told(rendered, helm: Helm):
    told = environment(dict(pods(rendered["a database of one's own"]))["porthole-control-plane"])
    assert told["PORTHOLE_DATABASE_URL"] == (
        "host=db.example dbname=porthole user=porthole sslmode=verify-full"
        " sslrootcert=/run/porthole-database/ca.crt"
    )
    url = "postgresql://porthole@db.example/porthole?sslmode=verify-full"
    external = {"url": url, "authoritySecret": {"name": "ca"}}
    values = {"database": {"bundled": {"enabled": False}, "external": external}}
    told = environment(dict(pods(helm.render(values)))["porthole-control-plane"])
    assert told["PORTHOLE_DATABASE_URL"] == f"{url}&sslrootcert=/run/porthole-database/ca.crt"
    assert "PORTHOLE_DATABASE_PASSWORD_FILE" not in told


def test_an_ingress_serves_the_host_and_the_path(rendered):
    (ingress,) = of_kind(rendered["below a path, behind an ingress"], "Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "desks.example"
    assert [path["path"] for path in rule["http"]["paths"]] == ["/porthole"]
    assert ingress["spec"]["tls"] == [{"hosts": ["desks.example"], "secretName": "desks-example"}]


def test_policies_know_the_release(rendered):
    manifests = rendered["several namespaces"]
    for one in of_kind(manifests, "ValidatingAdmissionPolicyBinding"):
        (wanted_in,) = one["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert wanted_in["values"] == ["team-a", "team-b"]
    assert "SESSION-NAMESPACES" not in str(manifests)
    assert "RELEASE-NAMESPACE" not in str(manifests)
    assert f"system:serviceaccount:{NAMESPACE}:porthole-agent" in str(manifests)


def test_built_in_templates_come_after_their_kind(rendered):
    made = of_kind(rendered["as it is"], "SessionTemplate")
    assert {one["metadata"]["name"] for one in made} == {"desktop", "browser", "rdp", "dual"}
    assert {one["metadata"]["annotations"][HOOK] for one in made} == {"post-install,post-upgrade"}
    assert {one["spec"]["image"] for one in made} == {
        "desktop-vnc",
        "desktop-browser",
        "desktop-rdp",
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"imagse": {}}, "imagse"),
        ({"images": {"registry": "https://registry.example"}}, "registry"),
        ({"controlPlane": {"replicas": 0}}, "replicas"),
        ({"publicUrl": "http://desks.example"}, "publicUrl"),
        ({"publicUrl": "https://desks.example/"}, "publicUrl"),
        ({"sessionNamespaces": {"names": []}}, "names"),
        ({"sessionNamespaces": {"names": ["Upper"]}}, "names"),
        ({"sessionNamespaces": {"names": ["porthole-system"]}}, "must not have the namespace"),
        ({"templates": {"builtIn": ["windows"]}}, "builtIn"),
        ({"controlPlane": {"settings": {"HOME": "/"}}}, "'HOME'"),
        ({"database": {"bundled": {"enabled": False}}}, "database.external.url has to say"),
        (
            {"database": {"external": {"url": "postgresql://u:secret@h/d"}}},
            "url",
        ),
        ({"controlPlane": {"enabled": False}}, "agent.url has to say"),
        ({"agent": {"url": "https://desks.example"}}, "agent.joinTokenSecret has to name"),
        ({"ingress": {"enabled": True}}, "publicUrl has to have a host name"),
        ({"monitoring": {"rules": {"enabled": True}}}, "none of the programs tells"),
        ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, "interval"),
        ({"traces": {"endpoint": "collector:4318"}}, "endpoint"),
        ({"traces": {"settings": {"PORTHOLE_X": "1"}}}, "PORTHOLE_X"),
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(helm: Helm, values: Manifest, words: str):
    with pytest.raises(Refused, match=re.escape(words)):
        helm.render(values)


def test_every_value_is_described():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def look(schema: dict[str, Any], values: dict[str, Any], path: str) -> Iterator[str]:
        known = schema.get("properties", {})
        for name, value in values.items():
            here = f"{path}.{name}".lstrip(".")
            if name not in known or not known[name].get("description"):
                yield here
            elif isinstance(value, dict) and "properties" in known[name]:
                yield from look(known[name], value, here)
        if path:
            yield from (f"{path}.{name} (no value)" for name in known if name not in values)

    assert list(look(schema, values, "")) == []
