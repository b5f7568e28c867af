"""Two control planes behind a balancer: the link of one that dies, or stands still, is taken over.

The promises are 5 seconds for one that was killed and 20 for one that stands still; a story waits
three times as long.
"""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from e2e.stories.test_two_control_planes import Two, two_control_planes
from e2e.support.instance import Program
from e2e.support.outside import processes_of
from e2e.support.viewers import api, create, until_phase, viewer

KILLED = 15.0
STOPPED = 60.0


@pytest.mark.timeout(240)
async def test_links_are_taken_over(home_folder: Path) -> None:
    async with two_control_planes(home_folder / "over", home_folder / "place") as two:
        async with api(two.url, two.token) as client:
            session = await create(client, template="desktop")
            agent = (await client.get("/agents")).json()["items"][0]["id"]
        before = processes_of(session)
        held = _holder(two)
        async with _other(two, held) as client:
            epoch = await _epoch(client, agent)
            os.kill(two.planes[held].process.pid, signal.SIGSTOP)
            try:
                took = await _taken_over(client, agent, epoch, STOPPED)
            finally:
                os.kill(two.planes[held].process.pid, signal.SIGCONT)
            print(f"stood still: taken over after {took:.1f} s")
        held = await _kill_holder(two, agent, session)
        assert processes_of(session) == before, "nobody has touched it"
        async with _other(two, held) as client:
            await client.delete(f"/sessions/{session}")
            await until_phase(client, session, "Terminated", within=30)


def _holder(two: Two) -> int:
    """Return which of the two was the last that the agent has linked to."""

    def linked(plane: Program) -> str:
        lines = [json.loads(line) for line in plane.lines if '"linked"' in line]
        return max((str(line["timestamp"]) for line in lines), default="")

    return max(range(len(two.planes)), key=lambda number: linked(two.planes[number]))


def _other(two: Two, number: int) -> httpx.AsyncClient:
    """Return a client of the other one of the two, past the balancer."""
    return api(f"http://127.0.0.1:{list(two.line.taken)[1 - number]}", two.token)


async def _kill_holder(two: Two, agent: str, session: str) -> int:
    held = _holder(two)
    async with _other(two, held) as client:
        epoch = await _epoch(client, agent)
        await asyncio.to_thread(two.planes[held].kill)
        took = await _taken_over(client, agent, epoch, KILLED)
        print(f"killed: taken over after {took:.1f} s")
        began = time.monotonic()
        async with viewer(client, session) as seen:
            await seen.refresh()
        print(f"killed: seen again after {time.monotonic() - began:.1f} s more")
    return held


async def _epoch(client: httpx.AsyncClient, agent: str) -> int:
    return int((await client.get(f"/agents/{agent}")).raise_for_status().json()["epoch"])


async def _taken_over(client: httpx.AsyncClient, agent: str, epoch: int, within: float) -> float:
    """Wait until the agent has a newer link; return how long that took."""
    began = time.monotonic()
    while await _epoch(client, agent) == epoch:
        assert time.monotonic() < began + within, "nobody took the link over"
        await asyncio.sleep(0.05)
    return time.monotonic() - began
