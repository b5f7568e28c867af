"""Several control planes behind a balancer: what one of them leaves behind the others take over.

The promises are 5 seconds for the links of one that was killed, 20 for one that stands still or
whose connection is half open, and a viewer's blip of 5 when all are restarted in turn; a story
waits three times as long.
"""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from e2e.chaos.front import Front
from e2e.chaos.place import SLEEPER
from e2e.support.outside import cgroup_of, processes_of
from e2e.support.planes import Planes, control_planes
from e2e.support.viewers import Onlooker, api, create, until_phase, viewer

KILLED = 15.0
SILENT = 60.0
BLIP = 15.0
EVERY = 0.5


def front(ports: list[int]) -> Front:
    return Front(ports, seed=1)


@pytest.mark.parametrize("replicas", [2])
@pytest.mark.timeout(300)
async def test_links_are_taken_over(home_folder: Path, replicas: int) -> None:
    home, machine = home_folder / f"over-{replicas}", home_folder / f"place-{replicas}"
    async with control_planes(home, {"machine": machine}, replicas, front) as some:
        async with api(some.url, some.token) as client:
            await client.post("/templates", json={"name": "sleeper", "spec": SLEEPER})
            session = await create(client, template="sleeper")
        before = processes_of(session)
        await _stopped(some)
        await _half_open(some)
        await _killed(some, session)
        assert processes_of(session) == before, "nobody has touched it"
        async with api(some.url, some.token) as client:
            await client.delete(f"/sessions/{session}")
            await until_phase(client, session, "Terminated", within=30)


async def _stopped(some: Planes[Front]) -> None:
    """Stop the one that has the link; when it goes on, it has nothing to say any more."""
    held = some.linked
    late, other = some.past_the_balancer(held), some.past_the_balancer(held - 1)
    async with late, other:
        epoch = await _epoch(other)
        os.kill(some.planes[held].process.pid, signal.SIGSTOP)
        try:
            took = await _taken_over(other, epoch, SILENT)
            epoch = await _epoch(other)
            # What is asked for meanwhile is done by the one that has taken over.
            meanwhile = await create(other, template="sleeper")
        finally:
            os.kill(some.planes[held].process.pid, signal.SIGCONT)
        print(f"stood still: taken over after {took:.1f} s")
        # It believes for a moment that it has the link, and is asked for something just then.
        made = await create(late, template="sleeper")
        assert await _epoch(late) == epoch, "what comes back late takes nothing over"
        for session in (meanwhile, made):
            assert (await _show(late, session))["restarts"] == 0
            await late.delete(f"/sessions/{session}")
            await until_phase(other, session, "Terminated", within=30)
            assert cgroup_of(session) is None


async def _half_open(some: Planes[Front]) -> None:
    """Let the agent's connection carry nothing any more, with both ends believing in it."""
    async with api(some.url, some.token) as client:
        epoch = await _epoch(client)
        async with some.balancer.spoiling("link-half-open"):
            took = await _taken_over(client, epoch, SILENT)
        print(f"half open: taken over after {took:.1f} s")
        await _until_linked(client)


async def _killed(some: Planes[Front], session: str) -> None:
    """Kill the one that has the link, and look at a session as soon as another has it."""
    held = some.linked
    async with some.past_the_balancer(held - 1) as client:
        epoch = await _epoch(client)
        await asyncio.to_thread(some.planes[held].kill)
        took = await _taken_over(client, epoch, KILLED)
        print(f"killed: taken over after {took:.1f} s")
        began = time.monotonic()
        async with viewer(client, session) as seen:
            await seen.refresh()
        print(f"killed: seen again after {time.monotonic() - began:.1f} s more")
    await some.start(held)


@pytest.mark.parametrize("replicas", [3])
@pytest.mark.timeout(300)
async def test_all_are_restarted_in_turn(home_folder: Path, replicas: int) -> None:
    home, machine = home_folder / f"roll-{replicas}", home_folder / f"rolled-{replicas}"
    async with (
        control_planes(home, {"machine": machine}, replicas) as some,
        api(some.url, some.token) as client,
    ):
        await client.post("/templates", json={"name": "sleeper", "spec": SLEEPER})
        session = await create(client, template="sleeper")
        before = processes_of(session)
        async with Onlooker.looking(client, session) as onlooker, asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(_ask(client))
            for plane in range(replicas):
                code = await asyncio.to_thread(some.planes[plane].interrupt)
                assert code == 0, some.planes[plane].said
                await some.start(plane)
            await asyncio.sleep(2)
            asking.cancel()
        print(f"{replicas} restarted: blind for {onlooker.blind:.1f} s at the most")
        assert onlooker.opened > 1, "nobody has noticed that they were restarted"
        assert onlooker.blind <= BLIP
        assert processes_of(session) == before, "nobody has touched it"
        listed = (await client.get("/sessions", params={"limit": 100})).json()["items"]
        accepted = {one["id"]: one["labels"].get("asked") for one in listed}
        asked = {label for label in accepted.values() if label is not None}
        assert asked == {str(number) for number in range(len(asked))}, "each is there once"
        assert len(asked) == len(accepted) - 1
        for one in accepted:
            running = await until_phase(client, one, "Running", within=60)
            assert running["restarts"] == 0
        for one in accepted:
            await client.delete(f"/sessions/{one}")
        for one in accepted:
            await until_phase(client, one, "Terminated", within=30)


async def _ask(client: httpx.AsyncClient, most: int = 8) -> None:
    """Ask for one session after the other; what was not answered is asked again."""
    for number in range(most):
        body = {"template": "sleeper", "labels": {"asked": str(number)}}
        while True:
            with contextlib.suppress(httpx.TransportError):
                made = await client.post(
                    "/sessions", json=body, headers={"Idempotency-Key": f"asked-{number}"}
                )
                if made.status_code == httpx.codes.ACCEPTED:
                    break
                assert made.status_code == httpx.codes.SERVICE_UNAVAILABLE, made.text
            await asyncio.sleep(0.1)
        await asyncio.sleep(EVERY)


async def _show(client: httpx.AsyncClient, session: str) -> dict[str, object]:
    shown: dict[str, object] = (await client.get(f"/sessions/{session}")).json()
    return shown


async def _epoch(client: httpx.AsyncClient) -> int:
    (agent,) = (await client.get("/agents")).raise_for_status().json()["items"]
    return int(agent["epoch"])


async def _taken_over(client: httpx.AsyncClient, epoch: int, within: float) -> float:
    """Wait until the agent has a newer link; return how long that took."""
    began = time.monotonic()
    while await _epoch(client) == epoch:
        assert time.monotonic() < began + within, "nobody took the link over"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _until_linked(client: httpx.AsyncClient) -> None:
    began = time.monotonic()
    while not (await client.get("/agents")).json()["items"][0]["linked"]:
        assert time.monotonic() < began + SILENT
        await asyncio.sleep(0.1)
