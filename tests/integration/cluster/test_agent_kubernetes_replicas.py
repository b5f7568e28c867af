"""Two replicas, one link: who has the Lease works, and the other takes over."""

import asyncio
import signal
from uuid import UUID

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from porthole_agent.replica import TERMS
from porthole_agent.runtimes.kubernetes.rights import LEASE
from porthole_contract.names import AGENT
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import LEASES, SESSIONS
from porthole_kube.lease import Lease, LeaseLost
from tests.support.agent_replicas import a_cluster_agent, linked
from tests.support.echoing_gate import an_echoing_gate
from tests.support.kubernetes_runtime import Place
from tests.support.ports import free_port
from tests.support.scripted_agent import view
from tests.support.served import served
from tests.support.streaming import closing, ticket
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def control(test_database, tmp_path):
    async with served(test_database, tmp_path / "control") as one:
        yield one


@pytest.fixture
async def pair(control, cluster, tmp_path):
    async with a_cluster_agent(control, cluster, tmp_path, replicas=2) as agents:
        yield agents


async def created(control, count, first=0):
    made = [
        await control.control_plane.admin.post(
            "/api/v1/sessions", json={"template": "desktop", "name": f"s{number}"}
        )
        for number in range(first, first + count)
    ]
    return [one.raise_for_status().json()["id"] for one in made]


async def listed(control):
    items = (await control.control_plane.admin.get("/api/v1/sessions")).json()["items"]
    return {item["id"] for item in items}


async def orders(place):
    things = await place.admin.list(SESSIONS, place.namespace)
    marks = [thing["metadata"]["annotations"] for thing in things]
    return {mark["porthole.dev/session-id"]: mark["porthole.dev/order"] for mark in marks}


async def states(control):
    items = (await control.control_plane.admin.get("/api/v1/commands")).json()["items"]
    return {item["state"] for item in items}


async def test_a_click_becomes_an_object_and_what_becomes_of_it_is_told(control, pair):
    place = pair.place
    agent = await linked(control)
    assert agent["runtime"] == "kubernetes"
    (session,) = await created(control, 1)
    await eventually(lambda: orders(place), {session: "1"}, within=30)
    await place.status("s0", phase="Running", reason="Drawn", message="Its screen is there.")
    shown = await control.control_plane.until(f"/api/v1/sessions/{session}", phase="Running")
    assert shown["origin"] == "api"
    await control.control_plane.admin.delete(f"/api/v1/sessions/{session}")
    await eventually(lambda: orders(place), {}, within=30)
    await control.control_plane.until(f"/api/v1/sessions/{session}", phase="Terminated")


async def test_a_session_made_with_kubectl_shows_up_by_itself_and_can_be_ended(control, pair):
    place = pair.place
    await linked(control)
    session = await place.make("theirs", owner="admin")
    await eventually(lambda: listed(control), {str(session)}, within=30)
    shown = await control.control_plane.until(f"/api/v1/sessions/{session}", name="theirs")
    assert (shown["origin"], shown["owner"]) == ("kubectl", "admin")
    changed = await control.control_plane.admin.patch(
        f"/api/v1/sessions/{session}", json={"desired": "Hibernated"}
    )
    assert changed.status_code == 202, changed.text

    async def desired():
        return (await place.get("theirs"))["spec"]["desired"]

    await eventually(desired, "Hibernated", within=30)
    await place.kubectl("delete", "session", "theirs")
    shown = await control.control_plane.until(f"/api/v1/sessions/{session}", phase="Terminated")
    assert shown["reason"] == "DeletedInCluster"


async def test_a_planned_end_hands_the_link_over_and_no_command_is_lost(control, pair):
    before = await linked(control)
    first = await pair.holder()
    sessions = await created(control, 10)
    clock = asyncio.get_running_loop().time
    begun = clock()
    first.terminate()
    sessions += await created(control, 10, first=10)
    await linked(control, but=[before["linked_at"]])
    took = clock() - begun
    async with asyncio.timeout(20):
        assert await first.wait() == 0
    other = await pair.holder()
    assert other not in {first, None}
    port = free_port()
    waiting = await pair.start(PORTHOLE_AGENT_HEALTH_PORT=str(port))
    await eventually(lambda: probed(port, "/readyz"), 200, within=60)
    waiting.terminate()
    async with asyncio.timeout(20):
        assert await waiting.wait() == 0, "who waits can be told to stop"
    assert await pair.holder() is other
    print(f"handed over in {took:.2f} s")
    assert took < 6, f"the hand-over took {took:.1f} s"
    await eventually(lambda: orders(pair.place), dict.fromkeys(sessions, "1"), within=60)
    await eventually(lambda: states(control), {"succeeded"}, within=60)


async def seen_again(control, session):
    """Open a session until its desktop answers, as a viewer does; return how long that took."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    while True:
        try:
            async with asyncio.timeout(2), view(await ticket(control, session)) as viewer:
                await viewer.send(b"who is there?")
                assert await viewer.recv() == b"who is there?"
                return clock() - begun
        except (TimeoutError, OSError, ConnectionClosed, httpx.HTTPStatusError):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("planned", [True, False])
async def test_a_viewer_sees_its_desktop_again_through_the_other_replica(
    control, pair, tmp_path, planned
):
    place = pair.place
    await linked(control)
    (session,) = await created(control, 1)
    await eventually(lambda: orders(place), {session: "1"}, within=30)
    address = f"127.77.1.{1 + planned}"
    async with an_echoing_gate(tmp_path, address, UUID(session), pair.issuer()) as gate:
        uid = (await place.get("s0"))["metadata"]["uid"]
        await place.pod(address, owner=uid, whose="s0", name="s0")
        there = {"address": f"{address}:7443", "fingerprint": gate.fingerprint}
        await place.status("s0", phase="Running", gate=there)
        await control.control_plane.until(f"/api/v1/sessions/{session}", phase="Running")
        async with view(await ticket(control, {"id": session})) as viewer:
            await viewer.send(b"hello")
            assert await viewer.recv() == b"hello"
            first = await pair.holder()
            (first.terminate if planned else first.kill)()
            code, why = await closing(viewer)
            assert code == 4010, f"the viewer is to come again: {code} {why}"
            if planned:
                assert await pair.holder() not in {first, None}, "there is somewhere to come to"
        took = await seen_again(control, {"id": session})
        print(f"seen again after {took:.2f} s")
        assert took < 3 * (2 if planned else 6 + 2 + 2)
        assert {mode for channel, mode in gate.admitted if channel == "vnc"} == {"control"}


async def test_after_a_kill_the_other_takes_over_within_the_lease(control, pair):
    before = await linked(control)
    first = await pair.holder()
    sessions = await created(control, 10)
    clock = asyncio.get_running_loop().time
    begun = clock()
    first.kill()
    sessions += await created(control, 10, first=10)
    await linked(control, but=[before["linked_at"]])
    took = clock() - begun
    print(f"taken over in {took:.2f} s")
    assert took < 3 * (6 + 2), f"taking over took {took:.1f} s"
    await eventually(lambda: orders(pair.place), dict.fromkeys(sessions, "1"), within=60)
    await eventually(lambda: states(control), {"succeeded"}, within=60)


async def test_one_that_wakes_up_after_another_took_over_ends(control, pair):
    before = await linked(control)
    first = await pair.holder()
    first.send_signal(signal.SIGSTOP)
    agent = await linked(control, but=[before["linked_at"]])
    first.send_signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        assert await first.wait() == 75
    assert "Lease is held by" in pair.log(first)
    await asyncio.sleep(1)
    assert (await linked(control))["linked_at"] == agent["linked_at"], "the link was not taken back"


# The Lease by itself


@pytest.fixture
async def place(cluster):
    one = Place(cluster)
    await one.prepare()
    one.api = await Cluster.connect(cluster.kubeconfig_of(one.user), AGENT)
    yield one
    await one.api.close()
    await one.remove()


async def test_of_many_who_want_the_lease_one_gets_it(place):
    leases = [
        Lease(place.api, place.system, LEASE, f"replica-{number}", TERMS) for number in range(5)
    ]
    tasks = [asyncio.create_task(lease.acquire()) for lease in leases]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    await asyncio.sleep(1)
    assert sum(task.done() for task in tasks) == 1
    first = tasks.index(next(iter(done)))
    clock = asyncio.get_running_loop().time
    begun = clock()
    await leases[first].release()
    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert clock() - begun < TERMS.good_for, "what was let go of needs no waiting"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_lost_the_lease_is_told_so(place):
    lease = Lease(place.api, place.system, LEASE, "one", TERMS)
    await lease.acquire()
    await lease.confirm()
    keeping = asyncio.create_task(lease.keep())
    await place.admin.merge(
        LEASES, place.system, "porthole-agent", {"spec": {"holderIdentity": "another"}}
    )
    with pytest.raises(LeaseLost, match="another"):
        async with asyncio.timeout(20):
            await keeping
    with pytest.raises(LeaseLost):
        await lease.confirm()
    await lease.release()
    thing = await place.admin.get(LEASES, place.system, "porthole-agent")
    assert thing["spec"]["holderIdentity"] == "another"


async def test_probes_are_answered_by_who_works_and_who_stands_by(control, cluster, tmp_path):
    async with a_cluster_agent(control, cluster, tmp_path, replicas=0) as agents:
        ports = [free_port() for _ in range(3)]
        for port in ports[:2]:
            await agents.start(PORTHOLE_AGENT_HEALTH_PORT=str(port))
        await linked(control)
        # Where nobody answers there is nothing to join: it lives, and waits for that.
        nowhere = {"PORTHOLE_AGENT_URL": f"http://127.0.0.1:{free_port()}"}
        await agents.start(PORTHOLE_AGENT_HEALTH_PORT=str(ports[2]), **nowhere)

        async def said():
            paths = ("/healthz", "/readyz")
            return [tuple([await probed(port, path) for path in paths]) for port in ports]

        await eventually(said, [(200, 200), (200, 200), (200, 503)], within=60)


async def probed(port, path):
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code
    except httpx.HTTPError:
        return None
