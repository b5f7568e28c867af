"""The agent of a cluster is rolled, silent and dead for a while; it takes many, and three share.

The promises are those of `test_agents_come_and_go.py`, and 30 seconds for a rollout; a story waits
three times as long. What takes many sessions is told where `--many-sessions` asks for it.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from e2e.chaos.place import SLEEPER
from e2e.cluster.installing import SYSTEM
from e2e.support.installed import SESSIONS, Installed, a_template
from e2e.support.more_agents import more_agents, sessions_of
from e2e.support.outside import processes_in_pod
from e2e.support.sleepers import (
    agents_by_name,
    all_run,
    ask_for,
    commands_of,
    end_all,
    until_agent,
    until_empty,
    until_offered,
    until_taken,
)
from e2e.support.viewers import until_phase, until_reachable, until_seen

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400, func_only=True)]

BACK = 90.0
DONE = 15.0
SEEN = 6.0
NOTICED = 45.0
AT_ONCE = 5.0  # nobody is waited for, whose absence is noticed after 15
DEPLOYMENT = "deployment/porthole-agent"
AGENTS = ("-l", "app.kubernetes.io/name=porthole-agent")
SLEEPS = a_template("sleeper", image="desktop-vnc", **SLEEPER)


@pytest.fixture
async def client(installed: Installed) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator's, where sessions may sleep."""
    installed.cluster.apply(SLEEPS)
    async with installed.api() as made:
        await until_offered(made, *await agents_by_name(made))
        yield made
    installed.cluster.kubectl("delete", "sessiontemplate", "sleeper", "-n", SESSIONS)


async def test_the_clusters_agent_is_rolled_silent_and_dead_under_sessions_that_go_on(
    installed: Installed, client: httpx.AsyncClient
):
    (name,) = await agents_by_name(client)
    living = await ask_for(client, 5)
    await all_run(client, _ids(living))
    before = _uids(installed, living)
    living += await _is_rolled(installed, client, name, living[0])
    living += await _is_silent(installed, client, name, living[0])
    assert before.items() <= _uids(installed, living).items(), "nobody has touched them"
    await _is_dead_while_all_are_ended(installed, client, name, living)


async def _is_rolled(
    installed: Installed, client: httpx.AsyncClient, name: str, kept: dict[str, Any]
) -> list[dict[str, Any]]:
    """One is seen after it, and another is made then; return that one."""
    agent = (await agents_by_name(client))[name]
    installed.cluster.kubectl("-n", SYSTEM, "rollout", "restart", DEPLOYMENT)
    installed.cluster.kubectl("-n", SYSTEM, "rollout", "status", DEPLOYMENT, "--timeout=90s")
    seen, took = await until_agent(client, name, BACK, linked=True)
    assert seen["epoch"] > agent["epoch"]
    print(f"linked {took:.1f} s after the rollout was over")
    took = await until_seen(client, kept["id"], SEEN, ssl=installed.trust)
    print(f"seen after {took:.1f} s")
    new = await ask_for(client, 1)
    await all_run(client, _ids(new))
    return new


async def _is_silent(
    installed: Installed, client: httpx.AsyncClient, name: str, kept: dict[str, Any]
) -> list[dict[str, Any]]:
    """It is given nothing that is new until it is heard again; return what it is given then."""
    with _stopped(installed):
        _, took = await until_agent(client, name, NOTICED, linked=False)
        print(f"silent: known after {took:.1f} s")
        await until_reachable(client, kept["id"], "False", DONE)
        assert (await client.get(f"/sessions/{kept['id']}")).json()["phase"] == "Running"
        new = await ask_for(client, 1)
        assert new[0]["reason"] == "AgentUnreachable"
    _, took = await until_agent(client, name, BACK, linked=True)
    print(f"heard again: linked after {took:.1f} s")
    await until_reachable(client, kept["id"], "True", DONE)
    await all_run(client, _ids(new))
    return new


async def _is_dead_while_all_are_ended(
    installed: Installed, client: httpx.AsyncClient, name: str, living: list[dict[str, Any]]
) -> None:
    """The orders wait, are seen to wait, and are done when there is an agent again."""
    scale = ("-n", SYSTEM, "scale", DEPLOYMENT)
    replicas = installed.cluster.get(DEPLOYMENT, "-n", SYSTEM)["spec"]["replicas"]
    installed.cluster.kubectl(*scale, "--replicas=0")
    try:
        # While one of them stops, another takes its place, for as long as there is another.
        installed.cluster.eventually("", "get", "pods", "-n", SYSTEM, *AGENTS, "-o", "name")
        await until_agent(client, name, NOTICED, linked=False)
        for one in _ids(living):
            answer = await client.delete(f"/sessions/{one}")
            assert answer.status_code == httpx.codes.ACCEPTED
            assert answer.elapsed.total_seconds() < AT_ONCE
            assert (await client.get(f"/sessions/{one}")).json()["phase"] == "Terminating"
        waiting = await commands_of(client, state="pending")
        assert {one["kind"] for one in waiting} == {"DeleteSession"}
        assert {one["subject_id"] for one in waiting} == {*_ids(living)}
        assert _pods(installed) == {one["name"] for one in living}, "nobody is there to end them"
    finally:
        installed.cluster.kubectl(*scale, f"--replicas={replicas}")
    await until_agent(client, name, BACK, linked=True)
    began = time.monotonic()
    for one in _ids(living):
        await until_phase(client, one, "Terminated", within=BACK)
    print(f"all ended {time.monotonic() - began:.1f} s after their agent was back")
    assert await commands_of(client, state="pending") == []
    assert _pods(installed) == set()


@pytest.mark.many
async def test_the_clusters_agent_is_given_ten_rapid_sessions_and_five_more_for_five_that_end(
    installed: Installed, client: httpx.AsyncClient
):
    (name,) = await agents_by_name(client)
    made = await ask_for(client, 10)
    assert {one["agent"] for one in made} == {name}
    await all_run(client, _ids(made))
    await until_taken(client, name, 10, DONE)
    await end_all(client, _ids(made[:5]))
    assert _pods(installed) == {one["name"] for one in made[5:]}
    more = await ask_for(client, 5)
    assert {one["agent"] for one in more} == {name}
    await all_run(client, _ids(more))
    await until_taken(client, name, 10, DONE)
    await end_all(client, _ids(made[5:] + more))
    await until_taken(client, name, 0, DONE)


@pytest.mark.many
async def test_three_agents_of_clusters_share_fifteen_rapid_sessions_evenly(
    installed: Installed, client: httpx.AsyncClient
):
    (first,) = await agents_by_name(client)
    places = {first: SESSIONS, **{name: sessions_of(name) for name in ("second", "third")}}
    with installed.client() as porthole, more_agents(installed, porthole, "second", "third"):
        for place in places.values():
            installed.cluster.apply({**SLEEPS, "metadata": {"name": "sleeper", "namespace": place}})
        await until_offered(client, *places)
        await until_empty(client, first, NOTICED)
        made = await ask_for(client, 15)
        given = {one["id"]: one["agent"] for one in made}
        shares = Counter(given.values())
        print(f"given: {dict(shares)}")
        assert max(shares.values()) - min(shares[name] for name in places) < 2
        await all_run(client, given)
        for name, place in places.items():
            own = {one["name"] for one in made if one["agent"] == name}
            assert _pods(installed, place) == own
        await _each_does_its_own(client, given, "ApplySession")
        await end_all(client, given)
        await _each_does_its_own(client, given, "DeleteSession")


async def _each_does_its_own(client: httpx.AsyncClient, given: dict[str, str], kind: str) -> None:
    """Check that orders went to the agent that has the session, and were done there."""
    orders = [one for one in await commands_of(client) if one["kind"] == kind]
    orders = [one for one in orders if one["subject_id"] in given]
    assert {one["subject_id"]: one["agent"] for one in orders} == given
    assert {one["state"] for one in orders} == {"succeeded"}


@contextmanager
def _stopped(installed: Installed) -> Iterator[None]:
    """Have every replica of the agent stand still."""
    pods = installed.cluster.get("pods", "-n", SYSTEM, *AGENTS)
    found = [pid for pod in pods for pid in processes_in_pod(pod["metadata"]["uid"])]
    assert found
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)


def _ids(sessions: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in sessions]


def _pods(installed: Installed, namespace: str = SESSIONS) -> set[str]:
    """Return the names of the pods of sessions that are not on their way out."""
    shown = installed.cluster.get("pods", "-n", namespace)
    return {one["metadata"]["name"] for one in shown if "deletionTimestamp" not in one["metadata"]}


def _uids(installed: Installed, sessions: list[dict[str, Any]]) -> dict[str, str]:
    """Return which pod each of these sessions has."""
    shown = {one["metadata"]["name"]: one for one in installed.cluster.get("pods", "-n", SESSIONS)}
    return {one["name"]: shown[one["name"]]["metadata"]["uid"] for one in sessions}
