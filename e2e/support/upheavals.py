"""Stories about replicas and nodes: who takes over, where a desktop goes, what has to wait."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from uuid import uuid4

from e2e.cluster.installing import SESSIONS, SYSTEM
from e2e.support.chronicle import Chronicle
from e2e.support.cluster_life import NOT_YET, Ground, until
from porthole_kube.kinds import NODES, PODS

PLANNED = 2.0
KILLED = 6.0 + 2.0 + 2.0  # the Lease, the link, the viewer
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def _a_name() -> str:
    return f"k{uuid4().hex[:10]}"


# Replicas


async def planned(ground: Ground) -> None:
    """The replica of the agent that works is told to end: viewers are back soon."""
    await _hand_over(ground, lambda: ground.casualties.end("agent"), 3 * PLANNED)


async def killed(ground: Ground) -> None:
    """It is killed: viewers are back as soon as its Lease has run out."""
    await _hand_over(ground, lambda: ground.casualties.kill("agent"), 3 * KILLED)


async def _hand_over(ground: Ground, strike: Callable[[], Any], within: float) -> None:
    name, second = _a_name(), _a_name()
    async with Chronicle.of(ground, name) as first, Chronicle.of(ground, second) as other:
        identity = await ground.create(name)
        await ground.reaches(name, "Running")
        await ground.is_told(identity, "Running")
        await ground.is_looked_at(identity)
        leader = await ground.casualties.leader("agent")
        async with _looking(ground, identity) as frames:
            await until(lambda: _are(len(frames) > 2), "pictures", 60)
            await strike()
            # What is asked for meanwhile is not lost.
            late = await ground.create(second)
            await ground.reaches(second, "Running")
            count = len(frames)
            await until(lambda: _are(len(frames) > count + 2), "pictures again", 60)
        after = await ground.casualties.leader("agent")
        assert leader is not None
        assert after is not None
        assert leader["metadata"]["uid"] != after["metadata"]["uid"]
        gap = max(later - earlier for earlier, later in pairwise(frames))
        assert gap <= within, f"the viewer was back after {gap:.1f} s, not {within} s"
        for one, told in ((name, identity), (second, late)):
            await ground.porthole.sessions.delete(told)
            await ground.is_gone(one, told)
    first.check(restarts=0, starts=1)
    other.check(restarts=0, starts=1)
    ground.figures["seconds without a picture"] = round(gap, 2)


@asynccontextmanager
async def _looking(ground: Ground, identity: str) -> AsyncIterator[list[float]]:
    """Look at a session all the time, and again when it ends; yield when there was a picture."""
    frames: list[float] = []

    async def look() -> None:
        while True:
            with contextlib.suppress(*NOT_YET):
                async with ground.viewer(identity) as seen:
                    while True:
                        async with asyncio.timeout(5):
                            await seen.refresh()
                        frames.append(time.monotonic())
                        await asyncio.sleep(0.2)
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield frames
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _are(told: bool) -> bool:
    return told


async def away(ground: Ground) -> None:
    """Sessions end while no operator runs, and their homes can be used after it."""
    name = _a_name()
    async with Chronicle.of(ground, name) as chronicle:
        identity = await ground.create(name)
        await ground.reaches(name, "Running")
        await _scale(ground, 0)
        try:
            await ground.porthole.sessions.delete(identity)
            await until(lambda: _has_no_pod(ground, name), f"the pod of {name} is gone", 120)
            await ground.is_told(identity, "Terminated")
        finally:
            await _scale(ground, 2)
        identity = await ground.create(name)
        await ground.reaches(name, "Running")
        await ground.porthole.sessions.delete(identity)
        await ground.is_gone(name, identity)
    chronicle.check(restarts=0, starts=2, made=2)


async def _scale(ground: Ground, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/porthole-operator"
    await ground.api.patch(path, {"spec": {"replicas": replicas}})

    async def look() -> bool:
        found = await ground.api.items(
            PODS.path(SYSTEM), "app.kubernetes.io/name=porthole-operator"
        )
        return len(found) == replicas

    await until(look, f"{replicas} operators", 90)


async def _has_no_pod(ground: Ground, name: str) -> bool:
    return await ground.api.get(PODS.path(SESSIONS, name)) is None


# Nodes


async def drained(ground: Ground) -> None:
    """A node is drained: who can goes elsewhere; whose home cannot waits, and comes back."""
    node = f"{ground.cluster.name}-worker"
    async with _two_on(ground, node) as (with_home, without):
        try:
            options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s")
            await _kubectl(ground, "drain", node, *options)
            await ground.reaches(without, "Running", restarts=1)
            await ground.reaches(with_home, "Pending", restarts=1, reason="HomeUnreachable")
        finally:
            await _kubectl(ground, "uncordon", node)
        await ground.reaches(with_home, "Running", restarts=1)
        await ground.reaches(without, "Running", restarts=1)


async def node(ground: Ground) -> None:
    """A node is killed: nothing begins elsewhere before somebody vouches that it is off."""
    name = f"{ground.cluster.name}-worker"
    async with _two_on(ground, name) as (with_home, without):
        await _run(ground, "docker", "kill", name)
        try:
            for one in (with_home, without):
                await ground.reaches(one, "Pending", restarts=1, reason="NodeLost", within=240)
            taint = f"{_OUT_OF_SERVICE}=nodeshutdown:NoExecute"
            await _kubectl(ground, "taint", "node", name, taint)
            await ground.reaches(without, "Running", restarts=1)
            await ground.reaches(with_home, "Pending", restarts=1, reason="HomeUnreachable")
        finally:
            await _run(ground, "docker", "start", name)
            await until(lambda: _answers(ground, name), f"{name} is back", 180)
            # Only if it was put there.
            with contextlib.suppress(AssertionError):
                await _kubectl(ground, "taint", "node", name, f"{_OUT_OF_SERVICE}-")
        await ground.reaches(with_home, "Running", restarts=1, within=180)
        await ground.reaches(without, "Running", restarts=1)


@asynccontextmanager
async def _two_on(ground: Ground, node: str) -> AsyncIterator[tuple[str, str]]:
    """Have two sessions on a node, with a home and without; each is lost once, and then ends."""
    with_home, without = _a_name(), _a_name()
    other = f"{ground.cluster.name}-control-plane"
    async with (
        Chronicle.of(ground, with_home) as first,
        Chronicle.of(ground, without) as second,
    ):
        await _kubectl(ground, "cordon", other)
        try:
            one, two = await ground.create(with_home), await ground.create(without, home=None)
            for name in (with_home, without):
                await ground.reaches(name, "Running")
                pod = await ground.api.get(PODS.path(SESSIONS, name))
                assert pod is not None
                assert pod["spec"]["nodeName"] == node
        finally:
            await _kubectl(ground, "uncordon", other)
        yield with_home, without
        await ground.is_well()
        for name, told in ((with_home, one), (without, two)):
            await ground.is_told(told, "Running")
            await ground.is_looked_at(told)
            await ground.porthole.sessions.delete(told)
            await ground.is_gone(name, told)
    first.check(restarts=1, starts=2)
    second.check(restarts=1, starts=2)


async def _answers(ground: Ground, node: str) -> bool:
    found = await ground.api.get(NODES.path(None, node))
    told = [] if found is None else found["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)


async def _kubectl(ground: Ground, *words: str) -> str:
    return await _run(ground, "kubectl", *words)


async def _run(ground: Ground, *command: str) -> str:
    return await asyncio.to_thread(ground.cluster.run, *command, patience=200)


TOLD = {told.__name__: told for told in (planned, killed, away, drained, node)}
"""The special stories by their names."""
