"""The agent's runtime and the operator on one API server: they meet in the object alone."""

import asyncio
from uuid import uuid4

import pytest

from porthole_contract.lifecycle import Phase
from porthole_contract.names import (
    AGENT,
    ANNOTATION_FILES,
    ANNOTATION_FINGERPRINT,
    revision_object,
)
from porthole_contract.session import Desired
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import PODS, REVISIONS, SESSIONS
from tests.support import kubernetes_runtime
from tests.support.operator_cluster import Place, a_place
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def place(cluster, tmp_path):
    async with a_place(cluster, tmp_path) as made:
        await made.start()
        yield made


@pytest.fixture
async def agent(place: Place):
    """An agent of the place's own, with the rights and the name that policies know."""
    agent = kubernetes_runtime.Place(place.server)
    agent.namespace, agent.system = place.namespace, place.system
    agent.user = f"agent-{place.mark}"
    agent.admin = await Cluster.connect(place.server.kubeconfig, AGENT)
    roles = kubernetes_runtime.roles(agent.user, agent.namespace, agent.system)
    await asyncio.to_thread(place.server.apply, *roles)
    await agent.open()
    yield agent
    await agent.leave()
    await agent.admin.close()


async def test_an_order_becomes_a_desktop_and_is_told_all_the_way(place, agent):
    session = uuid4()
    home = uuid4()
    await agent.apply(session, 1, home_id=home, home="work")
    told = await agent.told(session, phase=Phase.RUNNING)
    assert (told.order, told.status.order, told.status.home) == (1, 1, home)
    assert told.status.gate is not None
    pod = await place.get("one", PODS)
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == f"home-{home.hex}"
    (revision,) = await place.admin.list(REVISIONS, place.namespace)
    digest = pod["metadata"]["annotations"]["porthole.dev/template-digest"]
    assert revision["metadata"]["name"] == revision_object(digest, "one")
    status = await place.status()
    assert status["template"]["revision"] == 1

    await agent.apply(session, 2, home_id=home, home="work", desired="Hibernated")
    told = await agent.told(session, phase=Phase.HIBERNATED)
    assert (told.spec.desired, told.status.order) == (Desired.HIBERNATED, 2)

    # Its files are served while it sleeps, in its place, until nobody uses them.
    gate = await agent.runtime.lend_files(session)
    assert gate == await agent.runtime.lend_files(session)
    pod = await place.get("one", PODS)
    assert pod["metadata"]["annotations"][ANNOTATION_FINGERPRINT] == gate
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    told = await agent.told(session, phase=Phase.HIBERNATED)
    assert told.status.gate is not None
    await place.nodes.end("one", 0)

    async def pods() -> int:
        return len(await place.admin.list(PODS, place.namespace))

    await eventually(pods, 0, within=20)

    async def lent() -> tuple[bool, bool]:
        body = await place.get("one", SESSIONS)
        return ANNOTATION_FILES in body["metadata"]["annotations"], "gate" in body["status"]

    await eventually(lent, (False, False), within=20)
    # A start comes first, whoever uses them.
    await agent.runtime.lend_files(session)
    await agent.apply(session, 3, home_id=home, home="work")
    told = await agent.told(session, phase=Phase.RUNNING, order=3)
    assert told.status.restarts == 0

    await place.nodes.end("one", 75)
    await agent.told(session, phase=Phase.RUNNING, restarts=1)
    await agent.runtime.delete(session, 4)
    await place.gone()
    assert place.nodes.begun["one"] == 5
    assert len(await place.homes()) == 1


async def test_a_session_of_kubectl_is_told_as_any_other(place, agent):
    await place.apply_session("mine")

    async def told():
        inventory = await agent.runtime.inventory()
        return [(one.name, one.status.phase) for one in inventory.sessions]

    await place.reaches("mine", phase="Running")
    deadline = asyncio.get_running_loop().time() + 30
    while await told() != [("mine", Phase.RUNNING)]:
        assert asyncio.get_running_loop().time() < deadline, await told()
        await asyncio.sleep(0.1)
    await place.delete("mine")
    await place.gone("mine")
