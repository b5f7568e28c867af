"""The chart on a real cluster: installed, used both ways, upgraded, uninstalled."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.support.installed import SESSIONS, SYSTEM, Installed
from e2e.support.real_cluster import RealCluster
from porthole_images import debian
from porthole_images.__main__ import builder, stage
from porthole_images.recipe import IMAGES

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
        release.load_images(tmp_path_factory.mktemp("images"), *IMAGES)
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


def test_viewers_reach_the_desktop_by_either_replica(installed: Installed):
    """Both legs of a stream land where the cluster sends them, and meet."""
    with installed.client() as porthole:
        (session,) = (one for one in porthole.sessions.list() if one.name == "by-api")
        for _ in range(8):
            with porthole.sessions.connect(session.id) as stream:
                assert bytes(stream.recv(timeout=20)).startswith(b"RFB 003.008")


def test_the_browser_runs_under_pod_security_restricted(installed: Installed):
    with installed.client() as porthole:
        # Less than its template asks for: two cores have all of this story to carry.
        small = {"requests": {"cpu": "50m", "memory": "512Mi"}}
        made = porthole.sessions.create(
            "browser", name="browser", start="about:blank", resources=small
        )
        porthole.sessions.wait_ready(made.id, timeout=180)
        porthole.sessions.delete(made.id)
        porthole.sessions.wait_gone(made.id, timeout=120)


def test_docker_builds_the_same_image_from_the_same_lists(installed: Installed, tmp_path: Path):
    """On a Debian that is made here, for there may be none to pull."""
    run, base = installed.cluster.run, "localhost/porthole-test/debian:1"
    debian.with_apt(tmp_path / "base.tar", print)
    run("docker", "import", str(tmp_path / "base.tar"), base)
    stage(builder(), tmp_path / "context", ["desktop-vnc"])
    made = "localhost/porthole-test/desktop-vnc:1"
    run(
        *("docker", "build", "--quiet", "--network=host", "--target=desktop-vnc"),
        *(f"--build-arg=BASE={base}", f"--tag={made}", str(tmp_path / "context")),
    )
    config = json.loads(run("docker", "image", "inspect", made))[0]["Config"]
    ours = builder().image("desktop-vnc").config["config"]
    assert {key: config[key] for key in ("User", "Entrypoint", "WorkingDir")} == {
        key: ours[key] for key in ("User", "Entrypoint", "WorkingDir")
    }
    run("docker", "run", "--rm", "--entrypoint=Xvnc", made, "-version")


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
