"""Whatever a session is at, it can be deleted, and nothing of it is left."""

from collections.abc import Iterator

import pytest

from e2e.support.installed import SESSIONS, Installed, a_session, a_template
from e2e.support.real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

KEEP = '{"metadata":{"finalizers":["example.com/keep"]}}'
LET_GO = '{"metadata":{"finalizers":null}}'
PHASES = (
    *("Pending", "Starting", "Running", "Hibernating", "Hibernated", "Waking", "Failed"),
    "Terminating",
)


def patch(cluster: RealCluster, what: str, content: str) -> None:
    cluster.kubectl("patch", what, "-n", SESSIONS, "--type=merge", "-p", content)


def until_phase(cluster: RealCluster, name: str, phase: str) -> None:
    condition = f"jsonpath={{.status.phase}}={phase}"
    cluster.wait(f"session/{name}", condition, "-n", SESSIONS)


@pytest.fixture
def templates(installed: Installed) -> Iterator[None]:
    """Templates whose desktops are never painted (`still`), and end at once (`brief`)."""
    still = a_template("still", image=installed.pause)
    brief = a_template("brief", image="porthole-gate")
    installed.cluster.apply(still, brief)
    yield
    names = ("sessiontemplate/still", "sessiontemplate/brief")
    installed.cluster.kubectl("delete", *names, "-n", SESSIONS)


@pytest.mark.usefixtures("templates")
def test_a_session_is_deleted_in_every_phase_that_it_can_be_in(installed: Installed):
    cluster = installed.cluster
    asleep, still = {"desired": "Hibernated"}, {"template": "still"}
    cluster.apply(
        a_session("pending", template="never"),
        a_session("starting", **still),
        a_session("running"),
        a_session("hibernating"),
        a_session("hibernated", **asleep),
        a_session("waking", **still, **asleep),
        a_session("failed", template="brief"),
        a_session("terminating"),
    )
    until_phase(cluster, "waking", "Hibernated")
    patch(cluster, "session/waking", '{"spec":{"desired":"Running"}}')
    until_phase(cluster, "hibernating", "Running")
    patch(cluster, "pod/hibernating", KEEP)
    patch(cluster, "session/hibernating", '{"spec":{"desired":"Hibernated"}}')
    patch(cluster, "session/terminating", KEEP)
    cluster.kubectl("delete", "session", "terminating", "-n", SESSIONS, "--wait=false")
    for phase in PHASES:
        until_phase(cluster, phase.lower(), phase)

    names = [phase.lower() for phase in PHASES]
    cluster.kubectl("delete", "sessions", *names, "-n", SESSIONS, "--wait=false")
    for name in set(names) - {"hibernating", "terminating"}:
        cluster.wait(f"session/{name}", "delete", "-n", SESSIONS)
    # What others keep is kept, and said; then it goes as well.
    kept = cluster.get("pod", "hibernating", "-n", SESSIONS)
    assert kept["metadata"]["deletionTimestamp"]
    patch(cluster, "pod/hibernating", LET_GO)
    told = cluster.get("session", "terminating", "-n", SESSIONS)["status"]
    assert (told["phase"], told["reason"]) == ("Terminating", "StillEnding")
    assert "kept by finalizers of others: example.com/keep" in told["message"]
    patch(cluster, "session/terminating", LET_GO)
    for what in ("pod/hibernating", "session/terminating", "session/hibernating"):
        if cluster.attempt("kubectl", "get", what, "-n", SESSIONS).returncode == 0:
            cluster.wait(what, "delete", "-n", SESSIONS)
