"""A session of a cluster is looked after: put back, put to sleep, woken, and ended."""

import json
import time

import pytest

from e2e.support.installed import SESSIONS, Installed, a_session, a_template
from e2e.support.real_cluster import until
from porthole_images.__main__ import builder

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


def patch(installed: Installed, what: str, content: object) -> None:
    words = ("-n", SESSIONS, "--type=merge", "-p", json.dumps(content))
    installed.cluster.kubectl("patch", what, *words)


def until_phase(installed: Installed, name: str, phase: str) -> None:
    condition = f"jsonpath={{.status.phase}}={phase}"
    installed.cluster.wait(f"session/{name}", condition, "-n", SESSIONS)


def test_a_spec_of_the_api_that_was_changed_in_the_cluster_is_put_back_and_told(
    installed: Installed,
):
    with installed.client() as porthole, porthole.sessions.running("desktop", name="kept") as made:
        patch(installed, "session/kept", {"spec": {"locale": "de_DE.UTF-8"}})
        words = ("get", "session", "kept", "-n", SESSIONS, "-o", "jsonpath={.spec.locale}")
        installed.cluster.eventually("", *words)
        told = ("events", "-n", SESSIONS, "--for=session/kept")
        until(lambda: "put back" in installed.cluster.kubectl(*told), "an event tells it")
        assert porthole.sessions.get(made.id).restarts == 0
        assert "Xvnc TigerVNC" in porthole.sessions.logs(made.id)


def test_a_session_that_nobody_uses_sleeps_and_its_files_outlive_it(
    installed: Installed,
):
    cluster = installed.cluster
    cluster.apply(a_session("tired", home="files"))
    until_phase(installed, "tired", "Running")
    cluster.kubectl(
        *("exec", "-n", SESSIONS, "tired", "-c", "desktop", "--"),
        *("sh", "-c", "echo kept > /home/user/file"),
    )
    patch(installed, "session/tired", {"spec": {"idle": {"after": "2s"}}})
    until_phase(installed, "tired", "Hibernated")
    cluster.wait("pod/tired", "delete", "-n", SESSIONS)
    patch(installed, "session/tired", {"spec": {"desired": "Running", "idle": None}})
    until_phase(installed, "tired", "Running")
    assert installed.desktop("tired").read("file") == "kept\n"
    cluster.kubectl("delete", "session", "tired", "-n", SESSIONS)
    cluster.apply(a_session("rested", home="files"))
    until_phase(installed, "rested", "Running")
    assert installed.desktop("rested").read("file") == "kept\n"
    cluster.kubectl("delete", "session", "rested", "-n", SESSIONS)
    # The files stay, until their owner has them deleted.
    with installed.client() as porthole:
        home = next(home for home in porthole.homes.list() if home.name == "files")

        def is_nobodys() -> bool:
            return any(one.id == home.id and one.holder is None for one in porthole.homes.list())

        until(is_nobodys, "nobody has the home")
        porthole.homes.delete(home.id)
    cluster.wait(f"pvc/home-{home.id.hex}", "delete", "-n", SESSIONS)


def test_a_session_ends_when_its_life_is_over(installed: Installed):
    installed.cluster.apply(a_session("short", lifetime="8s"))
    until_phase(installed, "short", "Running")
    begun = time.monotonic()
    installed.cluster.wait("session/short", "delete", "-n", SESSIONS)
    assert time.monotonic() - begun < 30


def test_an_image_is_on_every_node_before_anybody_asks_for_it(installed: Installed):
    cluster, there = installed.cluster, ("-n", SESSIONS)
    early = a_template("early", image="desktop-vnc", pod={"prePull": True})
    cluster.apply(early)
    cluster.wait("daemonset/image-of-early", "create", *there)
    cluster.wait("daemonset/image-of-early", "jsonpath={.status.numberReady}=2", *there)
    cluster.apply(a_template("early", image="desktop-browser", pod={"prePull": True}))
    image = "jsonpath={.spec.template.spec.initContainers[0].image}"
    made = f"localhost/porthole/desktop-browser:{builder().version}"
    cluster.eventually(made, "get", "daemonset", "image-of-early", *there, "-o", image)
    cluster.apply(a_template("early", image="desktop-browser", pod={}))
    cluster.wait("daemonset/image-of-early", "delete", *there)
    cluster.kubectl("delete", "sessiontemplate", "early", *there)
