"""Porthole on a cluster: it joins by itself, serves both ways, and is brought up to date."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from e2e.support.installed import SESSIONS, SYSTEM, Installed, a_session
from e2e.support.real_cluster import until
from e2e.support.window import a_window, look_at, screen_of, types, types_while
from porthole_images import debian
from porthole_images.__main__ import builder, stage

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


def names(installed: Installed) -> set[str]:
    with installed.client() as porthole:
        return {session.name for session in porthole.sessions.list()}


def test_the_agent_joins_by_its_account(installed: Installed):
    with installed.client() as porthole:
        (agent,) = porthole.agents.list()
    assert (agent.name, agent.linked) == ("cluster", True)


def test_a_cluster_that_is_up_is_up_at_once(installed: Installed):
    words = ("pods", "-n", SYSTEM, "-o", "name")
    before, begun = installed.cluster.kubectl("get", *words), time.monotonic()
    installed.cluster.up()
    assert time.monotonic() - begun < 60
    assert installed.cluster.kubectl("get", *words) == before


def test_a_session_made_by_kubectl_is_ready_and_in_the_control_plane(installed: Installed):
    installed.cluster.apply(a_session("by-kubectl"))
    installed.cluster.wait("session/by-kubectl", "condition=Ready", "-n", SESSIONS)
    until(lambda: "by-kubectl" in names(installed), "the control plane has it")
    installed.cluster.kubectl("delete", "session", "by-kubectl", "-n", SESSIONS)
    until(lambda: "by-kubectl" not in names(installed), "the control plane knows that it ended")


def test_viewers_reach_the_desktop_by_either_replica(installed: Installed):
    """Both legs of a stream land where the cluster sends them, and meet."""
    with installed.client() as porthole:
        made = porthole.sessions.create("desktop", name="by-api")
        porthole.sessions.wait_ready(made.id, timeout=90)
        installed.cluster.wait("session/by-api", "condition=Ready", "-n", SESSIONS)
        for _ in range(8):
            with porthole.sessions.connect(made.id) as stream:
                assert bytes(stream.recv(timeout=20)).startswith(b"RFB 003.008")
        porthole.sessions.delete(made.id)
        porthole.sessions.wait_gone(made.id, timeout=60)


def test_the_browser_runs_under_pod_security_restricted(installed: Installed):
    """With what its template asks for: two nodes of two cores have room for it."""
    with installed.client() as porthole:
        made = porthole.sessions.create("browser", name="browser", start="about:blank")
        porthole.sessions.wait_ready(made.id, timeout=120)
        porthole.sessions.delete(made.id)
        porthole.sessions.wait_gone(made.id, timeout=60)


@pytest.mark.timeout(600, func_only=True)
def test_docker_builds_the_same_image_from_the_same_lists(installed: Installed, tmp_path: Path):
    """On a Debian that is made here, for there may be none to pull."""
    run, base = installed.cluster.run, "localhost/porthole-test/debian:1"
    debian.with_apt(tmp_path / "base.tar", print)
    run("docker", "import", str(tmp_path / "base.tar"), base)
    stage(builder(), tmp_path / "context", ["porthole-gate"])
    made = "localhost/porthole-test/porthole-gate:1"
    run(
        *("docker", "build", "--quiet", "--network=host", "--target=porthole-gate"),
        *(f"--build-arg=BASE={base}", f"--tag={made}", str(tmp_path / "context")),
        patience=600,
    )
    config = json.loads(run("docker", "image", "inspect", made))[0]["Config"]
    ours = builder().image("porthole-gate").config["config"]
    assert {key: config[key] for key in ("User", "Entrypoint", "WorkingDir")} == {
        key: ours[key] for key in ("User", "Entrypoint", "WorkingDir")
    }
    run("docker", "run", "--rm", made, "--help")
    run("docker", "image", "rm", made, base)


async def test_an_upgrade_while_somebody_types_keeps_desktop_keys_and_window(
    installed: Installed, tmp_path: Path
):
    async with (
        a_window(installed, "cluster-upgrade") as me,
        installed.async_client() as porthole,
        porthole.sessions.running("desktop", name="typing") as session,
    ):
        await look_at(me, installed, session.id, within=15)
        desktop, pod = installed.desktop("typing"), installed.pod("typing")["metadata"]["uid"]
        await types(me, desktop, "before")
        keys = installed.secrets()
        other = {"example.com/upgraded": str(time.time())}
        upgrading = asyncio.to_thread(installed.upgrade, podAnnotations=other)
        waits = await types_while(upgrading, me, desktop)
        print(f"{len(waits)} lines typed during the upgrade; the slowest took {max(waits):.1f} s")
        await me.until_state("open", within=15)
        await types(me, desktop, "after")
        await me.equals(screen_of(desktop, tmp_path))
        await me.shoot("1-typed-during")
        assert installed.secrets() == keys
        assert installed.pod("typing")["metadata"]["uid"] == pod
        assert (await porthole.sessions.get(session.id)).restarts == 0
    until(lambda: "typing" not in names(installed), "it has ended")
