"""The chart on a real cluster: installed, used both ways, upgraded, uninstalled."""

import socket
import time
from collections.abc import Iterator

import pytest
import yaml

from e2e.support.installed import SESSIONS, SYSTEM, Installed
from e2e.support.real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NAME = "installed"
SECRETS = ("porthole-administrator", "porthole-agent", "porthole-database", "porthole-tls")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """All of Porthole, as the chart's own values have it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    cluster = RealCluster(NAME)
    try:
        cluster.up("--nodes", "1", "--port", f"{port}:30443")
        release = Installed(cluster, port)
        release.load_images(
            tmp_path_factory.mktemp("images"), "porthole", "porthole-gate", "desktop-vnc"
        )
        try:
            print(release.helm("install", "--create-namespace"))
        except AssertionError:
            print(release.logs())
            raise
        yield release
    finally:
        cluster.porthole("down")


@pytest.fixture(autouse=True)
def logs_of_the_release(request: pytest.FixtureRequest, installed: Installed) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(installed.logs())


def a_session(name: str) -> dict[str, object]:
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {"name": name, "namespace": SESSIONS},
        "spec": {"owner": "admin", "template": {"name": "desktop"}},
    }


def linked(installed: Installed) -> bool:
    with installed.client() as porthole:
        return [agent.linked for agent in porthole.agents.list()] == [True]


def eventually(look, patience: float = 90) -> None:
    until = time.monotonic() + patience
    while not look():
        assert time.monotonic() < until
        time.sleep(0.5)


def test_the_agent_joins_by_its_account(installed: Installed):
    eventually(lambda: linked(installed))
    with installed.client() as porthole:
        (agent,) = porthole.agents.list()
    assert agent.name == "cluster"


def test_a_session_made_by_kubectl_is_ready_and_in_the_control_plane(installed: Installed):
    installed.cluster.apply(a_session("by-kubectl"))
    installed.cluster.wait("session/by-kubectl", "condition=Ready", "-n", SESSIONS)
    eventually(lambda: "by-kubectl" in names(installed))


def test_a_session_made_by_the_api_is_ready_in_the_cluster(installed: Installed):
    with installed.client() as porthole:
        made = porthole.sessions.create("desktop", name="by-api")
        porthole.sessions.wait_ready(made.id, timeout=120)
    installed.cluster.wait("session/by-api", "condition=Ready", "-n", SESSIONS)


def names(installed: Installed) -> set[str]:
    with installed.client() as porthole:
        return {session.name for session in porthole.sessions.list()}


def test_an_upgrade_keeps_keys_and_sessions(installed: Installed):
    def pods() -> dict[str, str]:
        shown = installed.cluster.kubectl("-n", SESSIONS, "get", "pods", "-o", "yaml")
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in yaml.safe_load(shown)["items"]
        }

    before = {name: installed.secret(name) for name in SECRETS}
    running = pods()
    installed.helm("upgrade", values={"podAnnotations": {"example.com/upgraded": "true"}})
    assert {name: installed.secret(name) for name in SECRETS} == before
    eventually(lambda: linked(installed))
    assert pods() == running
    assert {"by-kubectl", "by-api"} <= names(installed)


def test_it_goes_with_live_sessions_and_nothing_hangs(installed: Installed):
    installed.helm("uninstall", "--wait", "--timeout=2m")
    left = installed.cluster.kubectl("-n", SESSIONS, "get", "sessions", "-o", "name")
    assert len(left.split()) == 2
    for namespace in (SESSIONS, SYSTEM):
        installed.cluster.kubectl("delete", "namespace", namespace, "--timeout=120s")
