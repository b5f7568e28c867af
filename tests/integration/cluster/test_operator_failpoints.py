"""The operator is killed at every step of a session's life; the next one goes on from there.

Nothing is doubled (one pod for each attempt, an attempt is counted once), nothing is lost, and
nothing is left over.
"""

import asyncio
import json
import signal

import pytest

from porthole_kube.kinds import PODS, SESSIONS
from porthole_operator.failpoints import DELETE, LOSE, NAMES, SLEEP, START
from tests.support.operator_cluster import a_place
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(900)

TOGETHER = 3


async def test_a_killed_operator_leaves_nothing_undone_and_does_nothing_twice(cluster, tmp_path):
    wrong = {}

    async def share(first):
        folder = tmp_path / str(first)
        folder.mkdir()
        async with a_place(cluster, folder) as place:
            for name in NAMES[first::TOGETHER]:
                faults = await _told(place, f"s{NAMES.index(name)}", name)
                if faults:
                    wrong[name] = faults

    await asyncio.gather(*(share(first) for first in range(TOGETHER)))
    assert not wrong, json.dumps(wrong, indent=1)


async def _told(place, session, failpoint):
    """Tell one session's life, with the operator killed at `failpoint`; return what is wrong."""
    faults = []
    doomed = await place.start(f"{failpoint}=kill:1")
    # Without a home its failpoint is not passed, so all have one.
    home = {"home": f"home-{session}"}
    restarts, pods = 0, 1
    await place.apply_session(session, **home)
    operator = doomed
    if failpoint in START:
        operator = await _next(place, doomed, faults)
    await place.reaches(session, phase="Running")
    if failpoint in LOSE:
        await place.nodes.end(session, 75)
        operator = await _next(place, doomed, faults)
        restarts, pods = 1, 2
        await place.reaches(session, phase="Running", restarts=1)
    if failpoint in SLEEP:
        await place.apply_session(session, **home, desired="Hibernated")
        operator = await _next(place, doomed, faults)
        await place.reaches(session, phase="Hibernated")
    status = await place.status(session)
    if status.get("restarts", 0) != restarts:
        faults.append(f"{status.get('restarts', 0)} restarts, not {restarts}")
    if place.nodes.begun[session] != pods:
        faults.append(f"{place.nodes.begun[session]} pods, not {pods}")
    # Kept, or the object is gone before anybody could note that it ends, and its pod with it.
    await _keep(place, session, ["example.com/keep"])
    await place.delete(session)
    if failpoint in DELETE:
        operator = await _next(place, doomed, faults)

    async def pod():
        return await place.get(session, PODS)

    await eventually(pod, None, within=60)
    await _keep(place, session, None)
    await place.gone(session)
    code = await place.stop(operator)
    if code != 0:
        faults.append(f"the last one ended with {code}")
    homes = [
        one["metadata"]["annotations"]["porthole.dev/home-name"] for one in await place.homes()
    ]
    if homes.count(f"home-{session}") != 1:
        faults.append(f"homes: {homes}")
    return faults


async def _keep(place, session, finalizers):
    patch = {"metadata": {"finalizers": finalizers}}
    await place.admin.merge(SESSIONS, place.namespace, session, patch)


async def _next(place, doomed, faults):
    """Wait until the one that is to be killed is, and start another."""
    try:
        async with asyncio.timeout(60):
            code = await doomed.wait()
    except TimeoutError:
        faults.append("the failpoint was not passed")
        return doomed
    if code != -signal.SIGKILL:
        faults.append(f"ended with {code}: {place.said()[-2000:]}")
    await place.free_lease()
    process = await place.start()
    await place.leads()
    return process
