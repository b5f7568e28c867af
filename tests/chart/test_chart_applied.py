"""The chart, shown to a real API server: what it admits, and what stays when it goes."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from porthole_contract.stream.channels import SERVED
from porthole_contract.stream.grant import Issuer
from tests.support.api_server import ApiServer
from tests.support.chart_values import WAYS
from tests.support.helm import CHART, NAMESPACE, RELEASE, Helm, Manifest

SESSIONS = "porthole-sessions"
SECRETS = (
    "porthole-administrator",
    "porthole-agent",
    "porthole-database",
    "porthole-database-tls",
    "porthole-metrics",
    "porthole-tls",
)


@pytest.fixture(scope="session")
def system(api_server: ApiServer) -> str:
    """The namespace of the release, under the strictest Pod Security that there is."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api_server.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        }
    )
    return NAMESPACE


def keys(api_server: ApiServer, *arguments: str) -> str:
    """Run the chart's Job as the administrator; return what it said."""
    command = [sys.executable, "-m", "porthole_operator.keys", f"--namespace={NAMESPACE}"]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KUBECONFIG": str(api_server.kubeconfig)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def secret(api_server: ApiServer, name: str) -> dict[str, bytes]:
    found = yaml.safe_load(api_server.kubectl("-n", NAMESPACE, "get", "secret", name, "-o", "yaml"))
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


@pytest.fixture
def installed(helm: Helm, api_server: ApiServer, system: str) -> Iterator[Helm]:
    """A release, without the hooks: there is no node that would run its Jobs."""
    place = ("--namespace", system)
    config = api_server.kubeconfig
    helm.run("install", RELEASE, str(CHART), *place, "--no-hooks", kubeconfig=config)
    yield helm
    helm.run("uninstall", RELEASE, *place, "--no-hooks", "--ignore-not-found", kubeconfig=config)


@pytest.mark.parametrize("way", WAYS)
def test_the_api_server_admits_every_pod_under_pod_security(
    helm: Helm, api_server: ApiServer, system: str, way: str
):
    """Its own admission says what `restricted` means; it warns of a Deployment, refuses a Pod."""
    for manifest in helm.render(WAYS[way]):
        template = manifest["spec"].get("template") if "spec" in manifest else None
        if template is None or "containers" not in template.get("spec", {}):
            continue
        account = template["spec"].pop("serviceAccountName")  # made by the release
        template["spec"].pop("priorityClassName", None)
        _mount_claims(manifest, template)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": account, "namespace": system},
            "spec": template["spec"],
        }
        api_server.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(pod))


def _mount_claims(workload: Manifest, template: dict[str, Any]) -> None:
    """Give a StatefulSet's pod its volumes, as the controller would."""
    for claim in workload["spec"].get("volumeClaimTemplates", ()):
        volume = {"name": claim["metadata"]["name"], "emptyDir": {}}
        template["spec"]["volumes"].append(volume)


def test_keys_are_made_once_and_kept(api_server: ApiServer, system: str):
    names = ("--server=porthole.porthole-system.svc", "--server=127.0.0.1", "--database=db.example")
    said = keys(api_server, *names)
    assert all(f"Secret {name}: made" in said for name in SECRETS)
    made = {name: secret(api_server, name) for name in SECRETS}
    assert keys(api_server, *names) == ""
    assert {name: secret(api_server, name) for name in SECRETS} == made

    words = ("get", "configmap", "porthole-issuers", "-o", "jsonpath={.data.issuers\\.json}")
    (issuer,) = yaml.safe_load(api_server.kubectl("-n", system, *words))
    known = Issuer.model_validate(issuer)
    known.key()
    assert known.key_id.startswith("agent-")
    assert set(known.channels) == set(SERVED)

    # One that lost an entry gets new ones, and no other is touched.
    api_server.kubectl(
        *("-n", system, "patch", "secret", "porthole-tls", "--type=json"),
        '-p=[{"op": "remove", "path": "/data/tls.key"}]',
    )
    assert keys(api_server, *names) == "Secret porthole-tls: made\n"
    assert secret(api_server, "porthole-agent") == made["porthole-agent"]
    assert secret(api_server, "porthole-tls").keys() == made["porthole-tls"].keys()


def test_keys_need_the_rights_of_their_role_and_no_others(
    helm: Helm, api_server: ApiServer, system: str
):
    role, binding = (
        next(one for one in helm.render() if one["kind"] == kind and _name(one) == "porthole-keys")
        for kind in ("Role", "RoleBinding")
    )
    api_server.apply(role, binding)
    account = f"system:serviceaccount:{system}:porthole-keys"
    api_server.kubectl("-n", system, "delete", "secret", "--ignore-not-found", *SECRETS)
    kubeconfig = api_server.kubeconfig_of(account)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "porthole_operator.keys", f"--namespace={system}"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "--server=a", "--database=b"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    foreign = subprocess.run(
        [*command[:-1], "--namespace=default"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert foreign.returncode == 1
    assert "The cluster does not take the keys" in foreign.stderr


def test_a_release_is_upgraded_and_goes_without_what_people_have(
    installed: Helm, api_server: ApiServer, system: str
):
    config = api_server.kubeconfig
    place = ("--namespace", system, "--no-hooks")
    installed.run(
        "upgrade",
        RELEASE,
        str(CHART),
        *place,
        "--set=controlPlane.replicas=3",
        kubeconfig=config,
    )
    api_server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    templates = [one for one in installed.render() if one["kind"] == "SessionTemplate"]
    assert templates
    api_server.apply(*templates)
    session = {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {"name": "first", "namespace": SESSIONS},
        "spec": {"owner": "admin", "template": "desktop"},
    }
    api_server.kubectl(
        *("create", "--as=admin", "--as-group=system:masters", "-f", "-"),
        given=yaml.safe_dump(session),
    )
    installed.run("uninstall", RELEASE, *place, kubeconfig=config)
    assert "first" in api_server.kubectl("-n", SESSIONS, "get", "sessions", "-o", "name")
    left = api_server.kubectl(
        "-n", system, "get", "deploy,sts,role,pdb,networkpolicy", "-o", "name"
    )
    assert "porthole-control-plane" not in left
    # Who comes back finds it all.
    installed.run("install", RELEASE, str(CHART), *place, kubeconfig=config)
    assert "first" in api_server.kubectl("-n", SESSIONS, "get", "sessions", "-o", "name")


def test_the_agent_may_what_it_needs_and_nothing_with_secrets(
    installed: Helm, api_server: ApiServer, system: str
):
    account = f"system:serviceaccount:{system}:porthole-agent"

    def may(verb: str, resource: str, namespace: str) -> bool:
        words = ("auth", "can-i", verb, resource, "-n", namespace, f"--as={account}")
        try:
            return api_server.kubectl(*words).strip() == "yes"
        except subprocess.CalledProcessError:
            return False

    assert may("create", "sessions.porthole.dev", SESSIONS)
    assert may("create", "sessions.porthole.dev/for-others", SESSIONS)
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert not may(verb, "secrets", SESSIONS)
        assert not may(verb, "secrets", system)
    assert not may("create", "pods", SESSIONS)
    assert not may("create", "sessions.porthole.dev", "default")
    assert installed


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
