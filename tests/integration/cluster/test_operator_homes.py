"""Two workers of the operator look at one home at once: one of them has to look again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from porthole_contract.lifecycle import Phase
from porthole_contract.stream.grant import SigningKey
from porthole_contract.testing.builders import NOON
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted
from porthole_kube.kinds import PODS, SESSIONS
from porthole_operator.apply import Applier
from porthole_operator.decide import decide
from porthole_operator.desired.recipe import Site
from porthole_operator.gates import Gates
from porthole_operator.observe import Observer, World
from porthole_operator.plan import Begin, Plan
from tests.support.api_server import ApiServer
from tests.support.operator_cluster import Place, a_place
from tests.support.waiting import eventually

AGENT = SigningKey("agent-test", Ed25519PrivateKey.generate()).issuer(["control"], ["observe"])


class Worker:
    """The operator's own parts, one step at a time."""

    def __init__(self, place: Place, cluster: Cluster) -> None:
        site = Site("registry.example", "1", "registry.example/gate:1", place.system, (AGENT,))
        self._place = place
        self.cluster = cluster
        self._observer = Observer(cluster, lambda: site, Gates(0))
        self._applier = Applier(cluster, "test")

    async def looks(self, name: str) -> World:
        """See a session as it is now."""
        world = await self._observer.look(self._place.namespace, name, lambda: None)
        assert world is not None
        return world

    async def does(self, world: World) -> Plan:
        """Decide by what was seen, and carry it out."""
        plan = decide(world.subject, world.seen, NOON)
        return (await self._applier.apply(world, plan)).plan

    async def steps(self, name: str) -> Plan:
        """Look, decide, apply."""
        return await self.does(await self.looks(name))


@pytest.fixture
async def place(cluster: ApiServer, tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(cluster, tmp_path) as made:
        yield made


@pytest.fixture
async def worker(place: Place) -> AsyncIterator[Worker]:
    ours = await Cluster.connect(place.server.kubeconfig_of(place.user), "porthole-operator")
    yield Worker(place, ours)
    await ours.close()


async def failed_with(place: Place, worker: Worker, name: str) -> None:
    """Have a session that held its home and has failed, and a change after which it begins."""
    await place.apply_session(name, home="work")
    assert (await worker.steps(name)).action == Begin()
    pod = await place.get(name, PODS)
    assert pod is not None
    await place.admin.delete(PODS, place.namespace, name, pod["metadata"]["uid"], grace=0)

    async def gone() -> bool:
        return await place.get(name, PODS) is None

    await eventually(gone, True, within=20)
    world = await worker.looks(name)
    number = world.subject.status.attempt.number + 1
    attempt = {"number": number, "begunAt": None}
    status = {"phase": Phase.FAILED.value, "attempt": attempt}
    await worker.cluster.merge(SESSIONS, place.namespace, name, {"status": status}, part="status")
    await place.apply_session(name, home="work", locale="de_DE.UTF-8")


@pytest.mark.parametrize("first", ["failed", "other"])
async def test_of_two_that_begin_with_one_home_one_looks_again(
    place: Place, worker: Worker, first: str
) -> None:
    await failed_with(place, worker, "failed")
    await place.apply_session("other", home="work")
    seen = {"other": await worker.looks("other")}
    noted = await worker.steps("failed")
    assert (noted.action, noted.status.phase) == (None, Phase.PENDING)
    seen["failed"] = await worker.looks("failed")
    second = ({*seen} - {first}).pop()
    assert (await worker.does(seen[first])).action == Begin()
    with pytest.raises(Conflicted):
        await worker.does(seen[second])
    assert await place.get(second, PODS) is None
    waits = await worker.steps(second)
    assert (waits.action, waits.status.reason) == (None, "HomeInUse")
