"""Metrics as Prometheus reads them: one scrape, as samples by name and labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from porthole_control.probes import internal_app

_TOKEN = "a-token-for-metrics"


@dataclass(frozen=True)
class Scrape:
    """One answer.

    Attributes:
        samples: name -> labels, as sorted pairs -> value.
        help: name of a family -> what it says it is.
    """

    samples: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]
    help: Mapping[str, str]

    def value(self, name: str, **labels: str) -> float:
        """Return a sample's value; 0 where there is none."""
        return self.samples.get(name, {}).get(tuple(sorted(labels.items())), 0.0)

    def labels(self, name: str) -> set[str]:
        """Return the names of the labels that a sample has."""
        return {label for pairs in self.samples.get(name, {}) for label, _ in pairs}


def read(text: str) -> Scrape:
    """Return what a scrape's text says."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    told = {}
    for family in text_string_to_metric_families(text):
        if not family.name.endswith("_created"):  # what the library adds to each counter
            told[family.name] = family.documentation
        for sample in family.samples:
            pairs = tuple(sorted(sample.labels.items()))
            samples.setdefault(sample.name, {})[pairs] = sample.value
    return Scrape(samples, told)


class Collector:
    """Scrapes one control plane, as often as it is told to."""

    def __init__(self, app: FastAPI) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(internal_app(app, _TOKEN)),
            base_url="http://internal",
            headers={"Authorization": f"Bearer {_TOKEN}"},
        )

    async def scrape(self) -> Scrape:
        """Return what is told now."""
        answer = await self._client.get("/metrics")
        return read(answer.raise_for_status().text)

    async def close(self) -> None:
        """Scrape no more."""
        await self._client.aclose()
