"""One agent is given all sessions, three are given as many each, and each does its own."""

import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from e2e.support.instance import Instance
from e2e.support.outside import cgroup_of
from e2e.support.planes import control_planes
from e2e.support.sleepers import (
    agents_by_name,
    all_run,
    ask_for,
    can_sleep,
    commands_of,
    end_all,
    until_taken,
)
from e2e.support.viewers import api

TOLD = 15.0
"""Seconds until an agent has told how much of it is taken."""
NAMES = ("one", "two", "three")


@pytest.mark.timeout(300)
async def test_one_agent_is_given_ten_rapid_sessions_and_five_more_for_five_that_end(
    alone: Instance,
) -> None:
    async with api(alone.url, alone.admin_token()) as client:
        await can_sleep(client)
        (name,) = await agents_by_name(client)
        began = time.monotonic()
        made = await ask_for(client, 10)
        print(f"ten were given to an agent within {time.monotonic() - began:.2f} s")
        assert {one["agent"] for one in made} == {name}
        ids = [one["id"] for one in made]
        await all_run(client, ids)
        await until_taken(client, name, 10, TOLD)
        await end_all(client, ids[:5])
        assert all(cgroup_of(one) is None for one in ids[:5])
        await until_taken(client, name, 5, TOLD)
        more = await ask_for(client, 5)
        assert {one["agent"] for one in more} == {name}
        living = [*ids[5:], *(one["id"] for one in more)]
        await all_run(client, living)
        await until_taken(client, name, 10, TOLD)
        assert {one["state"] for one in await commands_of(client)} == {"succeeded"}
        await end_all(client, living)


@pytest.mark.timeout(300)
async def test_fifteen_rapid_sessions_are_shared_by_three_agents_evenly(home_folder: Path) -> None:
    machines = {name: home_folder / f"share-{name}" for name in NAMES}
    async with (
        control_planes(home_folder / "share", machines) as some,
        api(some.url, some.token) as client,
    ):
        await can_sleep(client)
        assert {name for name, one in (await agents_by_name(client)).items() if one["linked"]} == {
            *NAMES
        }
        made = await ask_for(client, 15)
        given = {one["id"]: one["agent"] for one in made}
        shares = Counter(given.values())
        print(f"given: {dict(shares)}")
        assert max(shares.values()) - min(shares[name] for name in NAMES) < 2
        await all_run(client, given)
        await _each_does_its_own(client, given, machines, "ApplySession")
        await end_all(client, given)
        await _each_does_its_own(client, given, machines, "DeleteSession")
        assert all(cgroup_of(one) is None for one in given)


async def _each_does_its_own(
    client: httpx.AsyncClient, given: dict[str, str], machines: dict[str, Path], kind: str
) -> None:
    """Check that orders went to the agent that has the session, and were done there."""
    orders = [one for one in await commands_of(client) if one["kind"] == kind]
    assert {one["subject_id"]: one["agent"] for one in orders} == given
    assert {one["state"] for one in orders} == {"succeeded"}
    for name, machine in machines.items():
        here = {path.name for path in (machine / "agent" / "sessions").glob("*")}
        own = {one for one, agent in given.items() if agent == name}
        assert here & given.keys() == (own if kind == "ApplySession" else set())
