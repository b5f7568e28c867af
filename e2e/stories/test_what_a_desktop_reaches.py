"""From inside a desktop of a cluster whose network keeps nobody apart: what of ours answers."""

import re

import pytest

from e2e.support.doors import heard_from, listening
from e2e.support.installed import SESSIONS, SYSTEM, Installed, a_session

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240, func_only=True)]

GATE, HEALTH, HTTPS, REPLICAS, POSTGRES, PROBES = 7443, 7080, 8443, 8444, 5432, 8080
PORTS = {
    "session": {GATE, HEALTH},
    "control-plane": {HTTPS, REPLICAS},
    "database": {POSTGRES},
    "operator": {PROBES},
    "agent": {PROBES},
}
"""All that listens beyond a pod's loopback."""
BARE = re.compile(r"HTTP/1\.1 (200 OK|503 Service Unavailable|404 Not Found)\r\n(.+\r\n)*\r\n")
SCRAM = re.compile(r"SR.{4}\0\0\0\x0a(SCRAM-SHA-256(-PLUS)?\0)+\0", re.DOTALL)
"""Postgres speaks TLS ("S"), then asks to be shown that one knows the password."""


@pytest.mark.usefixtures("two_sessions")
def test_only_doors_that_stay_shut_answer_a_desktop(installed: Installed):
    running = ("pods", "-n", SYSTEM, "--field-selector=status.phase=Running")
    pods = [
        (pod, pod["metadata"]["labels"]["app.kubernetes.io/name"].removeprefix("porthole-"))
        for pod in installed.cluster.get(*running)
    ]
    pods.append((installed.pod("other"), "session"))
    places: list[tuple[str, int]] = []
    for pod, kind in pods:
        ports = listening(pod["metadata"]["uid"])
        assert ports == PORTS[kind], pod["metadata"]["name"]
        places += [(pod["status"]["podIP"], port) for port in sorted(ports)]
    for (address, port), heard in zip(
        places, heard_from(installed, "curious", places), strict=True
    ):
        print(address, port, heard)
        CHECKS[port](heard)


def says_nothing(words: str) -> None:
    """Nothing, the end of the connection, or TLS's own refusal."""
    assert words in {"", "ConnectionResetError", "BrokenPipeError"} or words.startswith(
        "\x15\x03"
    ), words


def gate(heard: dict[str, str]) -> None:
    for how in ("silence", "plain", "plain, other", "tls, silence", "tls", "postgres"):
        says_nothing(heard[how])


def health(heard: dict[str, str]) -> None:
    says_nothing(heard["silence"])
    for how in ("plain", "plain, other"):
        assert BARE.fullmatch(heard[how])


def https(heard: dict[str, str]) -> None:
    for how in ("silence", "plain", "plain, other", "tls, silence", "postgres"):
        says_nothing(heard[how])
    assert heard["tls"].startswith("HTTP/1.1 200 OK")


def replicas(heard: dict[str, str]) -> None:
    """Who has no certificate of this installation is not spoken to."""
    for how in ("silence", "plain", "plain, other", "tls, silence", "tls", "postgres"):
        if not heard[how].startswith("SSL"):
            says_nothing(heard[how])


def postgres(heard: dict[str, str]) -> None:
    for how in ("silence", "plain", "tls"):
        assert "HTTP" not in heard[how]
    assert heard["postgres"].startswith("E")
    assert "reached with TLS only" in heard["postgres"]
    assert SCRAM.fullmatch(heard["postgres, tls"])


CHECKS = {
    GATE: gate,
    HEALTH: health,
    HTTPS: https,
    REPLICAS: replicas,
    POSTGRES: postgres,
    PROBES: health,
}


@pytest.fixture
def two_sessions(installed: Installed):
    names = ("curious", "other")
    installed.cluster.apply(*(a_session(name) for name in names))
    for name in names:
        installed.cluster.wait(f"session/{name}", "condition=Ready", "-n", SESSIONS)
    yield
    installed.cluster.kubectl("delete", "sessions", *names, "-n", SESSIONS, "--timeout=60s")
