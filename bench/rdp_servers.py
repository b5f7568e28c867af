"""RDP servers: one from idle to usable, twenty together, and one of twenty that run.

Usable is a server whose screen was drawn over RDP, on the way that viewers take. Beside it stand
as many xrdp, xrdp-sesman and Xorg, started by hand, until they have painted their screens.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import httpx

from bench.bare_rdp import bare_starts
from bench.figures import Figure
from bench.instance import Instance
from bench.onlookers import Chromium
from bench.screens import across, moving

_COUNT = int(os.environ.get("PORTHOLE_BENCH_SERVERS", "20"))
_TRIES = 3
_SECONDS = 3.0
_WITHIN = 235.0
_SERVERS = "/api/v1/rdp/servers"
_ASKED = {
    "configuration": {"resolution": "1280x720"},
    "resources": {"cpu_limit": 2, "memory_limit": 1024, "disk_limit": 1024},
}


@dataclass
class Seen:
    """Seconds until one or each was usable, or painted by hand; frames a second."""

    single: list[float] = field(default_factory=list)
    bare_single: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    together: float = 0.0
    bare: list[float] = field(default_factory=list)
    alone: float = 0.0
    among: float = 0.0


async def measure(instance: Instance) -> list[Figure]:
    """Measure the three, and the same by hand when nothing else runs any more."""
    seen = Seen()
    async with asyncio.timeout(_WITHIN), Chromium.of(instance) as chromium:
        instance.api.timeout = httpx.Timeout(90)
        servers = [await _make(instance.api, f"bench-{number}") for number in range(_COUNT)]
        await _measure_servers(instance, chromium, servers, seen)
        for _ in range(_TRIES):
            async with bare_starts(1) as took:
                seen.bare_single += took
        async with bare_starts(_COUNT) as took:
            seen.bare = took
    print(f"  usable after {_said(seen.each)} s; by hand {_said(seen.bare)} s", flush=True)
    if len(seen.bare) < _COUNT:
        print(f"  by hand {_COUNT - len(seen.bare)} never painted anything")
    return _figures(seen)


async def _measure_servers(
    instance: Instance, chromium: Chromium, servers: Sequence[str], seen: Seen
) -> None:
    first = servers[0]
    for number in range(_TRIES + 1):
        took = await _until_usable(instance.api, first)
        if number:  # the first one also makes the home
            seen.single.append(took)
        if number < _TRIES:
            await _stop(instance.api, [first])
    seen.alone = await _frames(instance, chromium, first)
    await _stop(instance.api, [first])
    begun = time.perf_counter()
    seen.each = await asyncio.gather(*(_until_usable(instance.api, one) for one in servers))
    seen.together = time.perf_counter() - begun
    seen.among = await _frames(instance, chromium, first)
    await _stop(instance.api, servers)


def _said(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in sorted(values))


async def _make(api: httpx.AsyncClient, name: str) -> str:
    made = await api.post(_SERVERS, json={"name": name, **_ASKED})
    return str(made.raise_for_status().json()["server_id"])


async def _until_usable(api: httpx.AsyncClient, server: str) -> float:
    """Start a server; return the seconds until its screen was drawn over RDP."""
    begun = time.perf_counter()
    path = f"{_SERVERS}/{server}"
    seen = (await api.post(f"{path}/start?wait=60")).raise_for_status().json()
    while seen["status"] == "starting":
        await asyncio.sleep(0.2)
        seen = (await api.get(path)).raise_for_status().json()
    if seen["status"] != "running":
        raise RuntimeError(f"The server is {seen['status']}: {seen}")
    while True:
        seen = (await api.post(f"{path}/test-connection")).raise_for_status().json()
        if seen["connection_available"]:
            return time.perf_counter() - begun


async def _stop(api: httpx.AsyncClient, servers: Sequence[str]) -> None:
    async def one(server: str) -> None:
        (await api.post(f"{_SERVERS}/{server}/stop?wait=60")).raise_for_status()

    await asyncio.gather(*(one(server) for server in servers))


async def _frames(instance: Instance, chromium: Chromium, server: str) -> float:
    """Return the frames a second of a window that moves on a server, in Chromium."""
    found = (await instance.api.get(f"{_SERVERS}/{server}")).raise_for_status().json()
    session = str(found["session_id"])
    async with chromium.showing(session) as looking, moving(session):
        await asyncio.sleep(1)
        band = await across(session)
        return median([await looking.frames(band, _SECONDS) for _ in range(_TRIES)])


def _figures(seen: Seen) -> list[Figure]:
    several = f"{_COUNT} RDP servers started together"
    by_hand = "bare xrdp, sesman, Xorg and programs, painted"
    return [
        Figure(
            name="an RDP server, from idle to usable",
            value=median(seen.single),
            unit="s",
            baseline=median(seen.bare_single),
            against=by_hand,
            better="less",
            goal=5,
            judged="value",
        ),
        Figure(
            name=f"{several}, usable",
            value=len(seen.each),
            unit="servers",
            baseline=_COUNT,
            against="what was started",
            better="more",
            goal=1,
        ),
        Figure(
            name=f"{several}, until the last is usable",
            value=seen.together,
            unit="s",
            baseline=max(seen.bare),
            against=f"{_COUNT} {by_hand}",
            better="less",
            note=f"the middle one {median(seen.each):.1f} s, by hand {median(seen.bare):.1f} s",
        ),
        Figure(
            name=f"frames of one of {_COUNT} RDP servers",
            value=seen.among,
            unit="frames/s",
            baseline=seen.alone,
            against="the same server alone",
            better="more",
        ),
    ]
