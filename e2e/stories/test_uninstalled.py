"""Porthole goes from a cluster while people use it. Told last: the next to need it waits."""

import pytest

from e2e.support.installed import RELEASE, SESSIONS, SYSTEM, Installed, a_session

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]


def test_it_goes_with_live_sessions_and_nothing_hangs(release: Installed):
    release.ensure()
    cluster = release.cluster
    cluster.apply(a_session("left"))
    cluster.wait("session/left", "condition=Ready", "-n", SESSIONS)
    with release.client() as porthole:
        made = porthole.sessions.create("desktop", name="left-by-api")
        porthole.sessions.wait_ready(made.id, timeout=90)
    release.helm("uninstall", RELEASE, "--wait", "--timeout=2m")
    assert len(cluster.get("sessions", "-n", SESSIONS)) == 2
    for namespace in (SESSIONS, SYSTEM):
        cluster.kubectl("delete", "namespace", namespace, "--timeout=90s")
