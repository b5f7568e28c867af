"""Every metric that a panel or an alert names is there, with those labels, in a real scrape."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from porthole_agent import metrics as agent_metrics
from porthole_operator import metrics as operator_metrics
from porthole_telemetry.exposition import Exposition, token
from tests.support import write_monitoring
from tests.support.alerts import ALERTS
from tests.support.control_plane import ControlPlane
from tests.support.promql import asked, grouped
from tests.support.scraped import Collector, Scrape, read

EXPRESSIONS = {
    **{alert.name: alert.expr for alert in ALERTS},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in write_monitoring.dashboard()["panels"]
        for target in panel.get("targets", ())
    },
}


async def over_a_socket(tell, folder: Path) -> Scrape:
    """Scrape a program's metrics as they are told: on a socket, to who has the token."""
    file = folder / "token"
    exposition = Exposition(tell, token(file))
    where = folder / "metrics.sock"
    await exposition.open(f"unix:{where}")
    try:
        transport = httpx.AsyncHTTPTransport(uds=str(where))
        async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
            stranger = await client.get("/metrics")
            assert (stranger.status_code, stranger.text) == (401, "")
            shown = {"Authorization": f"Bearer {file.read_text().strip()}"}
            answer = await client.get("/metrics", headers=shown)
    finally:
        exposition.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert where.stat().st_mode & 0o777 == 0o600
    return read(answer.raise_for_status().text)


@pytest.fixture
async def scrapes(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[list[Scrape]]:
    await control_plane.admin.get("/api/v1/sessions")
    collector = Collector(control_plane.app)
    found = [await collector.scrape()]
    for name, tell in (
        ("agent", agent_metrics.exposition),
        ("operator", operator_metrics.exposition),
    ):
        folder = tmp_path / name
        folder.mkdir()
        found.append(await over_a_socket(tell, folder))
    yield found
    await collector.close()


async def test_every_metric_that_is_named_is_told(scrapes: list[Scrape]):
    wrong = []
    for name, expression in EXPRESSIONS.items():
        found = asked(expression)
        assert found, name
        labels: set[str] = set()
        for one in found:
            scrape = next((s for s in scrapes if one.metric in s.samples), None)
            if scrape is None:
                wrong.append(f"{name}: nobody tells {one.metric}")
                continue
            has = scrape.labels(one.metric)
            labels |= has
            wrong += [
                f"{name}: {one.metric} has no label {label}" for label in sorted(one.labels - has)
            ]
            for label, values in one.values:
                told = {dict(pairs)[label] for pairs in scrape.samples[one.metric]}
                wrong += [
                    f"{name}: {one.metric} has no {label}={value}"
                    for value in sorted(values - told)
                ]
        wrong += [
            f"{name}: nothing has the label {label}"
            for label in sorted(grouped(expression) - labels)
        ]
    assert wrong == []


async def test_every_metric_of_ours_is_in_a_panel(scrapes: list[Scrape]):
    shown = {one.metric for expression in EXPRESSIONS.values() for one in asked(expression)}
    unseen = [
        name
        for scrape in scrapes
        for name in scrape.help
        if not any(metric.startswith(name) for metric in shown)
    ]
    assert unseen == []


async def test_helps_are_sentences_and_names_are_ours(scrapes: list[Scrape]):
    for scrape in scrapes:
        for name, words in scrape.help.items():
            assert name.startswith("porthole_"), name
            assert words[0].isupper(), name
            assert words.endswith("."), name
