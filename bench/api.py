"""The API at a steady rate, its process on one core, beside its own `/healthz`."""

import asyncio
import os
import random
import time
from pathlib import Path

import httpx

from bench.agents import a_quick_agent, plenty, until_linked, ws_url
from bench.figures import Figure, percentile
from bench.instance import Instance

_RATE = 350
_FOR = 15.0
_SESSIONS = 40
MIX = (("show", 55), ("list", 25), ("change", 12), ("create and end", 8))
"""Of a hundred requests; creating and ending take turns."""


async def _load(instance: Instance, sessions: list[str]) -> list[float]:
    """Return the seconds that each request took, sent at its time whatever the others do."""
    times: list[float] = []
    rng = random.Random(7)
    made: list[str] = []
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    headers = dict(instance.api.headers)

    async with httpx.AsyncClient(
        base_url=instance.url, headers=headers, limits=limits, timeout=30
    ) as api:

        async def one(kind: str) -> None:
            begun = time.perf_counter()
            path = f"/api/v1/sessions/{rng.choice(sessions)}"
            match kind:
                case "show":
                    answer = await api.get(path)
                case "list":
                    answer = await api.get("/api/v1/sessions?limit=20")
                case "change":
                    answer = await api.patch(path, json={"labels": {"n": str(rng.random())[2:]}})
                case _ if made and rng.random() < 0.5:
                    answer = await api.delete(f"/api/v1/sessions/{made.pop()}")
                case _:
                    body = {"template": "desktop", "agent": "quick"}
                    answer = await api.post("/api/v1/sessions", json=body)
                    if answer.is_success:
                        made.append(answer.json()["id"])
            times.append(time.perf_counter() - begun)
            answer.raise_for_status()

        kinds = [kind for kind, _ in MIX]
        shares = [share for _, share in MIX]
        begun = time.perf_counter()
        tasks = []
        for number in range(int(_RATE * _FOR)):
            await asyncio.sleep(max(0.0, begun + number / _RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(one(rng.choices(kinds, shares)[0])))
        await asyncio.gather(*tasks)
    return times


async def _bare(instance: Instance) -> list[float]:
    """Return the seconds that `/healthz` takes at the same rate."""
    times: list[float] = []

    async def one() -> None:
        begun = time.perf_counter()
        (await instance.api.get("/healthz")).raise_for_status()
        times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    tasks = []
    for number in range(_RATE * 3):
        await asyncio.sleep(max(0.0, begun + number / _RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return times


async def measure(instance: Instance) -> list[Figure]:
    """Measure the 95th percentile at 350 requests a second."""
    process = Path("/proc") / str(await instance.part("control-plane"))
    for task in (process / "task").iterdir():
        os.sched_setaffinity(int(task.name), {0})
    agent = await a_quick_agent(instance)
    async with agent.linked(ws_url(instance)):
        agent.describe(capacity=plenty())
        await until_linked(instance.api, agent)
        sessions = []
        for _ in range(_SESSIONS):
            body = {"template": "desktop", "agent": "quick"}
            made = (await instance.api.post("/api/v1/sessions", json=body)).raise_for_status()
            sessions.append(made.json()["id"])
        bare = await _bare(instance)
        times = await _load(instance, sessions)
    mix = ", ".join(f"{share} % {kind}" for kind, share in MIX)
    return [
        Figure(
            name=f"API at {_RATE} requests/s on one core, p95",
            value=percentile(times, 95) * 1000,
            unit="ms",
            baseline=percentile(bare, 95) * 1000,
            against="/healthz at the same rate",
            better="less",
            goal=50,
            judged="value",
            note=mix,
        )
    ]
