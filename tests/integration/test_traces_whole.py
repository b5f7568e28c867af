"""One session, one trace: from the call of the API to the gate and back, into a real collector."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.local_runtime import CANNOT
from tests.support.otlp import Collector, collecting
from tests.support.postgres import TestDatabase
from tests.support.processes import Process
from tests.support.scraped import Scrape, read
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{CLIENT}-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def to(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


def metrics_at(folder: Path) -> dict[str, str]:
    return {"PORTHOLE_AGENT_METRICS": f"unix:{folder}/m.sock"}


def scrape(folder: Path) -> Scrape:
    """Scrape the agent, with the token that it has made."""
    token = (folder / "a" / "agent" / "metrics-token").read_text().strip()
    transport = httpx.HTTPTransport(uds=str(folder / "m.sock"))
    with httpx.Client(transport=transport, base_url="http://it") as client:
        assert client.get("/metrics").status_code == 401
        shown = {"Authorization": f"Bearer {token}"}
        return read(client.get("/metrics", headers=shown).raise_for_status().text)


def _the_agent_has_counted(told: Scrape) -> None:
    assert told.value("porthole_agent_linked") == 1
    assert told.value("porthole_agent_links_total", how="anew") == 1
    for kind in ("ApplySession", "DeleteSession"):
        done = {"kind": kind, "outcome": "succeeded"}
        assert told.value("porthole_agent_commands_total", **done) == 1
    assert told.value("porthole_agent_local_events_total", event="started") == 1
    assert told.value("porthole_agent_local_events_total", event="ended") == 1
    assert told.value("porthole_agent_local_start_seconds_count") == 1
    assert told.value("porthole_agent_inventories_total") >= 1
    assert told.value("porthole_agent_commands_unfinished") == 0
    assert sum(told.samples["porthole_agent_sessions"].values()) == 0


@contextmanager
def control_plane(
    database: TestDatabase, home: Path, **environment: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a control plane; yield its URL and its administrator's headers."""
    process = Process(database, home, **environment)
    try:
        process.start()
        token = (home / "secrets" / "admin-token").read_text().strip()
        yield f"http://127.0.0.1:{process.port}", {"Authorization": f"Bearer {token}"}
        assert process.stop() == 0
    finally:
        process.close()


@contextmanager
def agent(home: Path, url: str, headers: dict[str, str], **environment: str) -> Iterator[Path]:
    """Let an agent of this machine join, and run it; yield its log."""
    command = [sys.executable, "-m", "porthole_agent"]
    told = {**os.environ, "PORTHOLE_HOME": str(home), **environment}
    made = httpx.post(f"{url}/api/v1/agents/join-tokens", json={"name": "one"}, headers=headers)
    joined = subprocess.run(
        [*command, "enrol", url],
        input=made.raise_for_status().json()["token"],
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert joined.returncode == 0, joined.stderr
    log = home.parent / "agent.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**told, "PORTHOLE_AGENT_END_DESKTOPS": "true"}, stderr=output
        )
    try:
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
        subprocess.run([*command, "end"], env=told, check=False, capture_output=True)


@pytest.mark.skipif(bool(CANNOT), reason=f"no desktops here: {CANNOT}")
def test_a_session_is_one_trace_from_the_call_to_the_gate_and_back(
    test_database: TestDatabase, tmp_path: Path, collector: Collector
):
    otlp = to(collector)
    told = []
    with (
        control_plane(test_database, tmp_path / "c", **otlp) as (url, headers),
        agent(tmp_path / "a", url, headers, **otlp, **metrics_at(tmp_path)) as log,
        httpx.Client(base_url=url, headers=headers) as api,
    ):

        def offered() -> bool:
            listed = api.get("/api/v1/templates").json()["items"]
            return any(one["name"] == "desktop" and one["available"] for one in listed)

        wait_until(offered, 60)
        made = api.post(
            "/api/v1/sessions", json={"template": "desktop"}, headers={"traceparent": GIVEN}
        )
        session = made.raise_for_status().json()
        path = f"/api/v1/sessions/{session['id']}"
        wait_until(lambda: api.get(path).json()["phase"] in {"Running", "Failed"}, 90)
        assert api.get(path).json()["phase"] == "Running", log.read_text()
        wanted = {"session runs", "start desktop", "gate waits for the picture"}
        wait_until(lambda: wanted <= {span.name for span in collector.spans}, 30)
        api.delete(path).raise_for_status()
        wait_until(lambda: api.get(path).json()["phase"] == "Terminated", 60)
        told.append(scrape(tmp_path))
    _the_agent_has_counted(told[0])
    trace = collector.of_trace(CLIENT)
    way = [
        ("POST /api/v1/sessions", "porthole-control-plane"),
        ("send ApplySession", "porthole-control-plane"),
        ("carry out ApplySession", "porthole-agent"),
        ("start desktop", "porthole-agent"),
        ("gate waits for the picture", "porthole-agent"),
        ("desktop paints", "porthole-agent"),
    ]
    above = GIVEN.split("-")[2]
    for name, service in way:
        span = trace[name]
        assert (span.parent, span.service, span.error) == (above, service, ""), name
        assert span.start <= span.end
        above = span.span
    back = trace["session runs"]
    assert (back.parent, back.service) == (
        trace["carry out ApplySession"].span,
        "porthole-control-plane",
    )
    assert set(trace) == {name for name, _ in way} | {"session runs"}
    starts = [trace[name].start for name, _ in way]
    # A command's id knows when it was queued to the millisecond.
    assert all(later >= sooner - 2_000_000 for sooner, later in itertools.pairwise(starts))
    assert trace["gate waits for the picture"].end <= trace["start desktop"].end + 1_000_000_000
    assert back.end >= trace["start desktop"].end - 1_000_000_000
    assert session["id"] in trace["carry out ApplySession"].attributes["porthole.subject"]
    # Its end is a trace of its own, for it was another call.
    (ended,) = [s for s in collector.spans if s.name == "carry out DeleteSession"]
    assert ended.trace != CLIENT
    assert {s.name for s in collector.spans if s.trace == ended.trace} == {
        "DELETE /api/v1/sessions/{session_id:uuid}",
        "send DeleteSession",
        "carry out DeleteSession",
    }
    assert collector.paths == {"/v1/traces"}


def test_nothing_is_sent_or_imported_where_no_collector_is_named(
    test_database: TestDatabase, tmp_path: Path, collector: Collector
):
    with control_plane(test_database, tmp_path / "c") as (url, headers):
        api = httpx.Client(base_url=url, headers=headers)
        with api:
            assert api.post("/api/v1/sessions", json={"template": "no"}).status_code == 404
    assert collector.spans == []
    program = (
        "import sys; import porthole_control.program, porthole_agent.__main__;"
        " import porthole_operator.__main__; from porthole_telemetry import exporting;"
        " assert not exporting.tracer('one').on;"
        " sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_collector_that_is_away_keeps_nobody_from_anything(
    test_database: TestDatabase, tmp_path: Path
):
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with control_plane(test_database, tmp_path / "c", **away) as (url, headers):
        for _ in range(20):
            answer = httpx.post(f"{url}/api/v1/sessions", json={"template": "no"}, headers=headers)
            assert answer.status_code == 404
