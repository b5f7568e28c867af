"""The agent is killed at every step of an order, and the next one there again.

Whatever it was doing: the next one, given the same orders, leaves one object or none, and
what it holds is the newest order.
"""

import asyncio
import json
import os
import signal
import sys
from uuid import uuid4

import pytest

from porthole_agent.failpoints import KUBERNETES, KUBERNETES_DELETE
from porthole_contract.names import revision_object
from porthole_kube.kinds import REVISIONS, SESSIONS
from tests.support.kubernetes_runtime import CONTENT, Place

pytestmark = pytest.mark.timeout(600)

TOGETHER = 3
KILLS = 2  # the second, unless the next one does not come by there again


async def test_a_killed_agent_leaves_nothing_undone_and_does_nothing_twice(cluster):
    turns = asyncio.Semaphore(TOGETHER)

    async def story(name):
        async with turns:
            return name, await _told(cluster, name)

    told = dict(await asyncio.gather(*(story(name) for name in KUBERNETES)))
    wrong = {name: faults for name, faults in told.items() if faults}
    assert not wrong, json.dumps(wrong, indent=1)


async def _told(cluster, name):
    """Let agents be killed at `name`; return what is wrong after it."""
    place = Place(cluster)
    await place.prepare()
    session = str(uuid4())
    lives = [["apply", session, 1], ["apply", session, 2]]
    everything = [*lives, ["delete", session, 3], ["apply", session, 2]]
    faults = []
    try:
        if name in KUBERNETES_DELETE:
            await _agent(place, lives, "")
        for number in range(KILLS):
            steps = everything if name in KUBERNETES_DELETE else lives
            code, said = await _agent(place, steps, f"{name}=kill:1")
            if code not in {-signal.SIGKILL, 0} or (number == 0 and code == 0):
                faults.append(f"ended with {code}: {said}")
        last = everything if name in KUBERNETES_DELETE else [*lives, ["kept", session, 0]]
        code, said = await _agent(place, last, "")
        if code:
            faults.append(f"the last one ended with {code}: {said}")
        faults += await (_ended if name in KUBERNETES_DELETE else _lives)(place, session)
        code, said = await _agent(place, everything, "")
        if code:
            faults.append(f"the one that cleans up ended with {code}: {said}")
        faults += await _ended(place, session)
    finally:
        await place.remove()
    return faults


async def _lives(place, session):
    """Return what is wrong with the one session that has to be there."""
    things = await place.admin.list(SESSIONS, place.namespace)
    if len(things) != 1:
        return [f"{len(things)} sessions"]
    marks = things[0]["metadata"]["annotations"]
    faults = []
    if (marks["porthole.dev/session-id"], marks["porthole.dev/order"]) != (session, "2"):
        faults.append(f"it is {marks}")
    if things[0]["spec"]["lifetime"] != "2h":
        faults.append(f"its spec is {things[0]['spec']}")

    name = revision_object(CONTENT.digest(), "one")
    revision = await place.admin.get(REVISIONS, place.namespace, name)
    owners = [] if revision is None else revision["metadata"].get("ownerReferences", [])
    if [owner["uid"] for owner in owners] != [things[0]["metadata"]["uid"]]:
        faults.append(f"its template's revision belongs to {owners}")
    return faults


async def _ended(place, session):
    things = await place.admin.list(SESSIONS, place.namespace)
    faults = [f"left: {thing['metadata']['name']}" for thing in things]
    if session not in await place.tombstones():
        faults.append("nobody remembers that it ended")
    return faults


async def _agent(place, steps, failpoints):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.kubernetes_runtime"),
        *(str(place.server.kubeconfig_of(place.user)), place.namespace, place.system),
        json.dumps(steps),
        env={**os.environ, "PORTHOLE_FAILPOINTS": failpoints},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        return -1, f"took too long: {out.decode()[-2000:]}"
    return process.returncode, out.decode()[-2000:]
