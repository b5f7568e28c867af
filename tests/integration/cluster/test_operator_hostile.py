"""What is wrong, on purpose or not: a condition with a sentence, nothing overwritten, nothing
leaked, and recovery when it is corrected."""

import asyncio
import json
import subprocess

import pytest
import pytest_asyncio

from porthole_contract.cluster import Object
from porthole_kube.kinds import (
    CLAIMS,
    PODS,
    POLICIES,
    SECRETS,
    SERVICES,
)
from tests.support.operator_cluster import Nodes, an_operator
from tests.support.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(cluster, tmp_path_factory):
    async with an_operator(cluster, tmp_path_factory.mktemp("operator")) as running_place:
        yield running_place


async def remove(place, name):
    await place.delete(name)
    await place.gone(name)


async def test_an_unknown_template_is_waited_for(place):
    await place.apply_session("early", template="late")
    status = await place.reaches("early", phase="Pending", reason="TemplateUnknown")
    assert "no SessionTemplate 'late'" in status["message"]
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "TemplateUnknown")
    await place.apply(
        {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "SessionTemplate",
            "metadata": {"name": "late"},
            "spec": {"title": "Late", "image": "desktop-vnc"},
        }
    )
    await place.reaches("early", phase="Running")
    await remove(place, "early")


FOREIGN: dict[str, Object] = {
    "secret": {"apiVersion": "v1", "kind": "Secret", "stringData": {"mine": "all mine"}},
    "service": {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}},
    "policy": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "spec": {"podSelector": {}},
    },
    "pod": {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "mine",
                    "image": "mine",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    },
}
KINDS = {"secret": SECRETS, "service": SERVICES, "policy": POLICIES, "pod": PODS}


@pytest.mark.parametrize("what", FOREIGN)
async def test_an_object_of_its_name_that_is_not_ours_is_not_touched(place, what):
    name = f"taken-{what}"

    async def leave(_nodes: Nodes, _pod: Object) -> None:
        """Nothing runs there: it is somebody's."""

    place.nodes.behave[name] = leave
    await place.apply({**FOREIGN[what], "metadata": {"name": name}})
    before = await place.get(name, KINDS[what])
    await place.apply_session(name)
    status = await place.reaches(name, phase="Pending", reason="ForeignObject")
    assert f"The {KINDS[what].name} {name}" in status["message"]
    children = next(one for one in status["conditions"] if one["type"] == "ChildrenReady")
    assert children["status"] == "False"
    assert await place.get(name, KINDS[what]) == before
    if what != "pod":
        assert await place.get(name, PODS) is None
    del place.nodes.behave[name]
    await place.admin.delete(KINDS[what], place.namespace, name, before["metadata"]["uid"], grace=0)
    status = await place.reaches(name, phase="Running")
    children = next(one for one in status["conditions"] if one["type"] == "ChildrenReady")
    assert children["status"] == "True"
    await remove(place, name)


async def test_a_volume_of_the_homes_name_that_is_not_ours_is_not_used(place):
    await place.apply_session("probe", home="files")
    await place.reaches("probe", phase="Running")
    home = next(
        one
        for one in await place.homes()
        if one["metadata"]["annotations"]["porthole.dev/home-name"] == "files"
    )
    await remove(place, "probe")
    await asyncio.to_thread(
        place.server.kubectl,
        *("delete", "pvc", home["metadata"]["name"], "-n", place.namespace, "--wait=false"),
    )
    await asyncio.to_thread(
        place.server.kubectl,
        *("patch", "pvc", home["metadata"]["name"], "-n", place.namespace, "--type=merge"),
        *("-p", '{"metadata":{"finalizers":null}}'),
    )

    async def claim() -> Object | None:
        return await place.get(home["metadata"]["name"], CLAIMS)

    await eventually(claim, None, within=20)
    await place.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": home["metadata"]["name"]},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
    )
    await place.apply_session("probe", home="files")
    status = await place.reaches("probe", phase="Pending", reason="ForeignObject")
    assert "not made by Porthole" in status["message"]
    assert "annotations" not in (await claim())["metadata"]
    await remove(place, "probe")


async def test_absurd_sizes_are_told_and_recover(place):
    await place.apply(
        {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "SessionTemplate",
            "metadata": {"name": "limited"},
            "spec": {
                "title": "Limited",
                "image": "desktop-vnc",
                "limits": {"resources": {"memory": "4Gi"}},
            },
        }
    )
    huge = {"limits": {"memory": "900Ti"}}
    await place.apply_session("huge", template="limited", resources=huge)
    status = await place.reaches("huge", phase="Pending", reason="LimitExceeded")
    assert "more memory than its template allows" in status["message"]
    await place.apply_session("huge", template="limited", resources={"limits": {"memory": "1Gi"}})
    await place.reaches("huge", phase="Running")
    await remove(place, "huge")


async def test_a_quota_is_told_and_recovers(place):
    none = {"hard": {"pods": "0"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    await place.apply({**quota, "spec": none})
    # Its controller does not run here; it would do this.
    counted = json.dumps({"status": {**none, "used": {"pods": "0"}}})
    await asyncio.to_thread(
        place.server.kubectl,
        *("patch", "quota", "few", "-n", place.namespace, "--subresource=status"),
        *("--type=merge", "-p", counted),
    )
    await place.apply_session("poor")
    status = await place.reaches("poor", phase="Pending", reason="NoCapacity")
    assert "quota" in status["message"]
    await asyncio.to_thread(place.server.kubectl, "delete", "quota", "few", "-n", place.namespace)
    await place.reaches("poor", phase="Running")
    await remove(place, "poor")


@pytest.mark.parametrize("length", [52, 53, 253])
async def test_names_are_as_long_as_their_children_can_be(place, length):
    name = ("a" * 60 + ".") * 4 + "b" * 9 if length == 253 else "a" * length
    assert len(name) == length
    if length > 52:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            await place.apply_session(name)
        assert "name" in refused.value.stderr
        return
    await place.apply_session(name)
    await place.reaches(name, phase="Running")
    await remove(place, name)


async def test_a_status_written_by_a_user_is_refused(place):
    await place.apply_session("honest")
    await place.reaches("honest", phase="Running")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        await asyncio.to_thread(
            place.server.kubectl,
            *("patch", "session", "honest", "-n", place.namespace, "--subresource=status"),
            *("--type=merge", "-p", '{"status":{"phase":"Failed"}}'),
        )
    assert "only Porthole's operator writes it" in refused.value.stderr
    assert (await place.status("honest"))["phase"] == "Running"
    await remove(place, "honest")


async def test_a_spec_that_changes_while_it_starts_is_no_second_start(place):
    place.nodes.behave["hasty"] = Nodes.only_run
    await place.apply_session("hasty")
    await place.reaches("hasty", phase="Starting")
    for number in range(5):
        await place.apply_session("hasty", display={"width": 1000 + number, "height": 700})
    pod = await place.get("hasty", PODS)
    await place.nodes.ready(pod)
    status = await place.reaches("hasty", phase="Running", observedGeneration=6)
    assert status.get("restarts", 0) == 0
    assert place.nodes.begun["hasty"] == 1
    await remove(place, "hasty")


async def test_finalizers_of_others_keep_the_object_and_nothing_else(place):
    await place.apply_session("kept")
    await place.reaches("kept", phase="Running")
    patch = '{"metadata":{"finalizers":["example.com/keep"]}}'
    words = ("patch", "session", "kept", "-n", place.namespace, "--type=merge", "-p")
    await asyncio.to_thread(place.server.kubectl, *words, patch)
    await place.delete("kept")
    status = await place.reaches("kept", phase="Terminating", reason="StillEnding")
    assert "example.com/keep" in status["message"]

    async def pod() -> Object | None:
        return await place.get("kept", PODS)

    await eventually(pod, None, within=30)
    await asyncio.to_thread(place.server.kubectl, *words, '{"metadata":{"finalizers":null}}')
    await place.gone("kept")


@pytest.mark.parametrize("phase", ["Pending", "Starting", "Running", "Hibernated", "Failed"])
async def test_it_can_be_deleted_in_every_phase(place, phase):
    name = f"ends-{phase.lower()}"
    spec = {}
    if phase == "Pending":
        spec = {"template": "never"}
    if phase == "Hibernated":
        spec = {"desired": "Hibernated"}
    if phase == "Starting":
        place.nodes.behave[name] = Nodes.only_run
    if phase == "Failed":
        place.nodes.behave[name] = Nodes.fail
    await place.apply_session(name, **spec)
    await place.reaches(name, phase=phase, within=90)
    await remove(place, name)


async def test_a_session_of_the_same_name_waits_for_the_one_before(place):
    await place.apply_session("again")
    await place.reaches("again", phase="Running")
    place.nodes.keep.add("again")
    await place.delete("again", "--cascade=background")

    async def session() -> Object | None:
        return await place.get("again")

    await eventually(session, None, within=30)
    await place.apply_session("again")
    status = await place.reaches("again", phase="Pending", reason="StillEnding")
    assert "earlier session of this name" in status["message"]
    place.nodes.keep.discard("again")
    await place.reaches("again", phase="Running")
    assert place.nodes.begun["again"] == 2
    await remove(place, "again")


async def test_on_a_node_that_does_not_answer_nothing_is_begun_elsewhere_until_it_is_fenced(place):
    node = f"node-{place.mark}"
    await asyncio.to_thread(
        place.server.apply, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
    )

    async def there(nodes: Nodes, pod: Object) -> None:
        await nodes.bind(pod, node)
        await nodes.ready(pod)

    place.nodes.behave["stranded"] = there
    await place.apply_session("stranded", home="island")
    await place.reaches("stranded", phase="Running")
    place.nodes.keep.add("stranded")
    pod = await place.get("stranded", PODS)
    await place.admin.delete(PODS, place.namespace, "stranded", pod["metadata"]["uid"])
    status = await place.reaches("stranded", phase="Pending", reason="NodeLost", restarts=1)
    assert "out-of-service" in status["message"]
    assert place.nodes.begun["stranded"] == 1
    place.nodes.behave["stranded"] = Nodes.draw
    await asyncio.to_thread(
        place.server.kubectl,
        *("taint", "node", node, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"),
    )
    await place.reaches("stranded", phase="Running")
    assert place.nodes.begun["stranded"] == 2
    place.nodes.keep.discard("stranded")
    await remove(place, "stranded")
    await asyncio.to_thread(place.server.kubectl, "delete", "node", node)
