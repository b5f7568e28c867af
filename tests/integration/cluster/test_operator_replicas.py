"""Two replicas, one operator: the Lease says which, and whoever loses it ends.

And what happened while nobody was there is found when somebody is again.
"""

import asyncio
import signal

import pytest

from porthole_kube.kinds import LEASES, PODS, SECRETS
from tests.support.operator_cluster import a_place
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def place(cluster, tmp_path):
    async with a_place(cluster, tmp_path, lease_seconds="6") as made:
        yield made


async def holder(place):
    lease = await place.admin.get(LEASES, place.system, "porthole-operator")
    return None if lease is None else lease["spec"]["holderIdentity"]


async def test_the_second_takes_over_from_one_that_ends_and_from_one_that_is_killed(place):
    first = await place.start()
    await place.leads()
    second = await place.start()
    await place.apply_session("one")
    await place.reaches("one", phase="Running")
    before = await holder(place)
    assert await place.stop(first) == 0
    await place.leads(within=20)
    assert await holder(place) not in {before, ""}

    third = await place.start()
    await asyncio.sleep(1)
    second.kill()
    await second.wait()
    await place.apply_session("two")
    await place.reaches("two", phase="Running")
    assert place.nodes.begun == {"one": 1, "two": 1}
    assert third.returncode is None


async def test_one_that_slept_too_long_ends_instead_of_going_on(place):
    first = await place.start()
    await place.leads()
    await place.start()
    first.send_signal(signal.SIGSTOP)
    await place.leads(within=30)
    await place.apply_session("one")
    await place.reaches("one", phase="Running")
    first.send_signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        assert await first.wait() == 75
    status = await place.status("one")
    assert (status["phase"], place.nodes.begun["one"]) == ("Running", 1)


async def test_what_happened_while_nobody_was_there_is_found(place):
    operator = await place.start()
    await place.leads()
    for name in ("deleted", "ended", "asleep", "kept"):
        await place.apply_session(name)
        await place.reaches(name, phase="Running")
    assert await place.stop(operator) == 0
    await place.delete("deleted")
    await place.nodes.end("ended", 75)
    await place.apply_session("asleep", desired="Hibernated")
    await place.apply_session("new")
    await place.gone("deleted")
    kept = await place.get("kept", PODS)
    await place.start()
    await place.reaches("ended", phase="Running", restarts=1)
    await place.reaches("asleep", phase="Hibernated")
    await place.reaches("new", phase="Running")
    assert (await place.status("kept"))["phase"] == "Running"
    assert (await place.get("kept", PODS))["metadata"]["uid"] == kept["metadata"]["uid"]


async def test_secrets_are_read_by_name_and_never_listed(place):
    await place.start()
    await place.apply_session("one")
    await place.reaches("one", phase="Running")

    async def verbs() -> set[str]:
        return {
            event["verb"]
            for event in place.server.audited()
            if event["user"]["username"] == place.user
            and (event.get("objectRef") or {}).get("resource") == "secrets"
        }

    await eventually(verbs, {"get", "create"}, within=10)
    assert await place.get("one", SECRETS) is not None
