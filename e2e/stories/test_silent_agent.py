"""An agent that is silent, and comes back: nothing is lost, and what runs is not touched.

The promises are 15 seconds until it is noticed and 5 until all is done; a story waits three times
as long.
"""

import asyncio
import os
import signal
import time
from typing import Any

import httpx
import pytest

from e2e.support.instance import Instance
from e2e.support.outside import cgroup_of, processes_of
from e2e.support.viewers import api, create, until_phase, until_reachable, viewer

NOTICED = 45.0
DONE = 15.0


@pytest.mark.timeout(240)
async def test_a_silent_agent_is_waited_for(instance: Instance) -> None:
    async with api(instance.url, instance.admin_token()) as client:
        kept, ending = (
            await create(client, template="desktop"),
            await create(client, template="desktop"),
        )
        before = processes_of(kept)
        pid = instance.parts()["agent"]
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            took = await until_reachable(client, kept, "False", NOTICED)
            print(f"silent: noticed after {took:.1f} s")
            assert (await show(client, kept))["phase"] == "Running"
            assert (await client.delete(f"/sessions/{ending}")).status_code == 202
            made = await client.post("/sessions", json={"template": "desktop"})
            assert (made.status_code, made.json()["reason"]) == (202, "AgentUnreachable")
            new = made.json()["id"]
            listed = (await client.get("/commands")).raise_for_status().json()["items"]
            waiting = sorted(one["kind"] for one in listed if one["state"] == "pending")
            assert waiting == ["ApplySession", "DeleteSession"]
        finally:
            os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
        await until_phase(client, ending, "Terminated", within=DONE)
        print(f"back: ended after {time.monotonic() - began:.1f} s")
        await until_phase(client, new, "Running", within=60)
        await until_reachable(client, kept, "True", DONE)
        await killed(instance, client, kept)
        assert processes_of(kept) == before, "nobody has touched it"
        for session in (kept, new):
            await client.delete(f"/sessions/{session}")
            await until_phase(client, session, "Terminated", within=30)
        assert cgroup_of(ending) is None


async def killed(instance: Instance, client: httpx.AsyncClient, session: str) -> None:
    """Kill the agent, and look at a session as soon as its next process is linked."""
    agent = (await client.get("/agents")).json()["items"][0]
    began = time.monotonic()
    await asyncio.to_thread(instance.kill, "agent")
    while (now := (await client.get(f"/agents/{agent['id']}")).json())["epoch"] == agent["epoch"]:
        assert time.monotonic() < began + DONE, now
        await asyncio.sleep(0.05)
    print(f"killed: linked again after {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    async with viewer(client, session) as seen:
        await seen.refresh()
    print(f"killed: seen again after {time.monotonic() - began:.1f} s more")


async def show(client: httpx.AsyncClient, session: str) -> dict[str, Any]:
    seen: dict[str, Any] = (await client.get(f"/sessions/{session}")).raise_for_status().json()
    return seen
