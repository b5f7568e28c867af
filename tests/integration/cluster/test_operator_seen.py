"""An operator at work, seen from outside: its metrics, and its part of a session's trace."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.names import AGENT, ANNOTATION_TRACEPARENT
from porthole_contract.trace import Traceparent
from porthole_kube.cluster import Cluster
from tests.support import kubernetes_runtime
from tests.support.operator_cluster import Place
from tests.support.operator_desks import a_place_with_desks
from tests.support.otlp import Collector, collecting
from tests.support.scraped import Scrape, read
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

ORDER = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
async def place(
    cluster, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with a_place_with_desks(cluster, tmp_path) as made:
        await made.start(
            metrics=f"unix:{tmp_path}/m.sock", metrics_token_file=str(tmp_path / "token")
        )
        yield made


@pytest.fixture
async def agent(place: Place) -> AsyncIterator[kubernetes_runtime.Place]:
    """An agent of the place's own, with the rights and the name that policies know."""
    agent = kubernetes_runtime.Place(place.server)
    agent.namespace, agent.system = place.namespace, place.system
    agent.user = f"agent-{place.mark}"
    agent.admin = await Cluster.connect(place.server.kubeconfig, AGENT)
    roles = kubernetes_runtime.roles(agent.user, agent.namespace, agent.system)
    await asyncio.to_thread(place.server.apply, *roles)
    await agent.open()
    yield agent
    await agent.leave()
    await agent.admin.close()


async def scrape(folder: Path) -> Scrape:
    shown = {"Authorization": f"Bearer {(folder / 'token').read_text().strip()}"}
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "m.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
        answer = await client.get("/metrics", headers=shown)
    return read(answer.raise_for_status().text)


async def test_a_start_is_a_part_of_its_orders_trace_and_so_is_its_gates(
    place: Place, agent: kubernetes_runtime.Place, collector: Collector
):
    session = uuid4()
    await agent.apply(session, 1, traceparent=str(ORDER))
    found = await place.get("one")
    assert found is not None
    assert found["metadata"]["annotations"][ANNOTATION_TRACEPARENT] == str(ORDER)
    told = await agent.told(session, phase=Phase.RUNNING)
    assert told.traceparent == str(ORDER)

    async def names() -> set[str]:
        return {span.name for span in collector.spans}

    await eventually(names, {"start pod", "gate waits for the picture", "desktop paints"})
    trace = collector.of_trace(ORDER.trace)
    start, gate = trace["start pod"], trace["gate waits for the picture"]
    assert (start.parent, start.service) == (ORDER.span, "porthole-operator")
    assert gate.parent == start.span
    assert trace["desktop paints"].parent == gate.span
    assert start.start <= gate.start <= gate.end
    await agent.runtime.delete(session, 2)
    await place.gone("one")


async def test_who_is_no_part_of_a_trace_tells_none_and_metrics_all_the_same(
    place: Place, collector: Collector, tmp_path: Path
):
    await place.apply_session("one")
    await place.reaches("one", phase="Running")

    async def running() -> float:
        return (await scrape(tmp_path)).value("porthole_operator_sessions", phase="Running")

    await eventually(running, 1.0)
    told = await scrape(tmp_path)
    assert told.value("porthole_operator_leads") == 1
    assert told.value("porthole_operator_gates_heard") == 1
    assert told.value("porthole_operator_writes_total", action="Begin") >= 1
    assert told.value("porthole_operator_start_seconds_count") == 1
    assert told.value("porthole_operator_look_seconds_count") > 1
    assert told.value("porthole_operator_trouble_total", why="bug") == 0
    await place.delete("one")
    await place.gone("one")

    async def all_sessions() -> float:
        found = (await scrape(tmp_path)).samples["porthole_operator_sessions"]
        return sum(found.values())

    await eventually(all_sessions, 0.0)
    assert collector.spans == []
