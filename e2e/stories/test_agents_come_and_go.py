"""Agents that are begun again, that are dead for a while, and that fall silent.

The promises are 5 seconds until an agent that was begun again is linked, 2 more until its sessions
are seen, 5 until all that was asked of a dead one is done when it is back, and 15 until a silent
one is known to be; a story waits three times as long.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from e2e.support.instance import Instance
from e2e.support.outside import cgroup_of, processes_of
from e2e.support.planes import control_planes
from e2e.support.sleepers import (
    agent_process,
    agents_by_name,
    all_run,
    ask_for,
    can_sleep,
    commands_of,
    end_all,
    until_agent,
)
from e2e.support.viewers import api, until_phase, until_reachable, until_seen

BACK = 15.0
SEEN = 6.0
DONE = 15.0
NOTICED = 45.0
AT_ONCE = 5.0  # nobody is waited for, whose absence is noticed after 15


@pytest.mark.timeout(240)
async def test_an_agent_is_begun_again_under_five_sessions_that_go_on(alone: Instance) -> None:
    async with api(alone.url, alone.admin_token()) as client:
        await can_sleep(client)
        ids = [one["id"] for one in await ask_for(client, 5)]
        await all_run(client, ids)
        before = {one: processes_of(one) for one in ids}
        ((name, agent),) = (await agents_by_name(client)).items()
        os.kill(agent_process(alone.home), signal.SIGKILL)  # told to end, it ends its desktops
        _, back = await until_agent(client, name, BACK, epoch=agent["epoch"] + 1, linked=True)
        print(f"linked again {back:.1f} s after it was killed")
        took = [await until_seen(client, one, SEEN) for one in ids]
        print(f"all were seen again, each after {max(took):.1f} s at the most")
        (new,) = await ask_for(client, 1)
        running = await all_run(client, [*ids, new["id"]])
        assert {one["restarts"] for one in running} == {0}
        assert {one: processes_of(one) for one in ids} == before, "nobody has touched them"
        await end_all(client, [*ids, new["id"]])
        assert {one["state"] for one in await commands_of(client)} <= {"succeeded", "superseded"}


@pytest.mark.timeout(240)
async def test_a_session_is_ended_while_its_agent_is_dead_and_is_gone_when_it_is_back(
    alone: Instance,
) -> None:
    async with api(alone.url, alone.admin_token()) as client:
        await can_sleep(client)
        ended, kept = await ask_for(client, 2)
        await all_run(client, [ended["id"], kept["id"]])
        before = processes_of(kept["id"])
        (name,) = await agents_by_name(client)
        assert alone.up is not None
        os.kill(alone.up.process.pid, signal.SIGSTOP)  # so that nobody starts the next one
        try:
            os.kill(agent_process(alone.home), signal.SIGKILL)
            answer = await client.delete(f"/sessions/{ended['id']}")
            assert answer.status_code == httpx.codes.ACCEPTED
            assert answer.elapsed.total_seconds() < AT_ONCE
            await until_agent(client, name, NOTICED, linked=False)
            (command,) = await _pending(client)
            assert (command["kind"], command["subject_id"]) == ("DeleteSession", ended["id"])
            shown = (await client.get(f"/sessions/{ended['id']}")).json()
            assert shown["phase"] == "Terminating"
            assert processes_of(ended["id"]), "nobody is there to end it"
        finally:
            os.kill(alone.up.process.pid, signal.SIGCONT)
        await until_agent(client, name, BACK, linked=True)
        began = time.monotonic()
        await until_phase(client, ended["id"], "Terminated", within=DONE)
        print(f"ended {time.monotonic() - began:.1f} s after its agent was back")
        assert cgroup_of(ended["id"]) is None
        assert await _pending(client) == []
        assert processes_of(kept["id"]) == before, "nobody has touched the other one"
        await end_all(client, [kept["id"]])


async def _pending(client: httpx.AsyncClient) -> list[dict[str, object]]:
    return await commands_of(client, state="pending")


@pytest.mark.timeout(240)
async def test_a_silent_agent_is_given_nothing_until_it_is_heard_again(home_folder: Path) -> None:
    machines = {name: home_folder / f"hears-{name}" for name in ("one", "two")}
    async with (
        control_planes(home_folder / "hears", machines) as some,
        api(some.url, some.token) as client,
    ):
        await can_sleep(client)
        (kept,) = await ask_for(client, 1, agent="one")
        await all_run(client, [kept["id"]])
        pid = agent_process(machines["one"])
        os.kill(pid, signal.SIGSTOP)
        try:
            _, took = await until_agent(client, "one", NOTICED, linked=False)
            print(f"silent: known after {took:.1f} s")
            await until_reachable(client, kept["id"], "False", DONE)
            shown = (await client.get(f"/sessions/{kept['id']}")).json()
            assert shown["phase"] == "Running"
            meanwhile = await ask_for(client, 3)
            assert {one["agent"] for one in meanwhile} == {"two"}
        finally:
            os.kill(pid, signal.SIGCONT)
        _, took = await until_agent(client, "one", BACK, linked=True)
        print(f"heard again: linked after {took:.1f} s")
        await until_reachable(client, kept["id"], "True", DONE)
        after = await ask_for(client, 4)
        shares = Counter(one["agent"] for one in (kept, *meanwhile, *after))
        assert shares == {"one": 4, "two": 4}, "the least loaded one is given more"
        living = [one["id"] for one in (kept, *meanwhile, *after)]
        assert {one["restarts"] for one in await all_run(client, living)} == {0}
        await end_all(client, living)
