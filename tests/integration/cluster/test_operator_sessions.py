"""Lives of Sessions on a real API server, with the operator's own rights and policies.

There are no nodes; the test plays them (`place.nodes`).
"""

from uuid import UUID

import pytest
import pytest_asyncio

from porthole_contract.cluster import Object
from porthole_contract.names import OPERATOR
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import (
    DAEMON_SETS,
    PODS,
    POLICIES,
    REVISIONS,
)
from porthole_operator.kinds import CHILDREN
from porthole_operator.seen import Template
from porthole_operator.subject import read_subject
from porthole_operator.templates import Templates
from tests.support.operator_cluster import Nodes, an_operator, waiting
from tests.support.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

MOST_WRITES = 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(cluster, tmp_path_factory):
    async with an_operator(cluster, tmp_path_factory.mktemp("operator")) as running_place:
        yield running_place


async def test_ten_lines_become_a_desktop_and_leave_nothing(place):
    before = len(place.writes())
    await place.apply_session("ten")
    status = await place.reaches("ten", phase="Running")
    assert status["reason"] == "Drawn"
    assert status["gate"]["address"] == "192.0.2.1:7443"
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Ready": "True",
        "Scheduled": "True",
        "GateReady": "True",
    }
    for kind in (PODS, *CHILDREN):
        child = await place.get("ten", kind)
        assert child["metadata"]["ownerReferences"][0]["name"] == "ten"

    async def told() -> list[tuple[str, str]]:
        return await place.events("ten")

    await eventually(told, [("Normal", "Drawn")], within=10)
    assert len(place.writes()[before:]) <= MOST_WRITES, place.writes()[before:]
    await place.delete("ten")
    await place.gone("ten")
    assert place.nodes.begun["ten"] == 1


async def test_only_a_control_plane_counts_revisions(place):
    await place.apply_session("counted", template="desktop@2")
    status = await place.reaches("counted", phase="Pending", reason="TemplateUnknown")
    assert "here spec.template is 'desktop' alone" in status["message"]
    await place.apply_session("counted", template="desktop")
    await place.reaches("counted", phase="Running")
    await place.delete("counted")
    await place.gone("counted")


async def test_a_home_outlives_its_session_and_is_held_by_one(place):
    before = len(place.writes())
    await place.apply_session("first", home="work")
    await place.reaches("first", phase="Running")
    # One more than without a home: its volume.
    assert len(place.writes()[before:]) <= MOST_WRITES + 1, place.writes()[before:]
    (home,) = await place.homes()
    await place.apply_session("second", home="work")
    status = await place.reaches("second", phase="Pending", reason="HomeInUse")
    assert "first holds its home" in status["message"]
    await place.apply_session("others", home="work", owner="eve")
    await place.reaches("others", phase="Running")
    await place.delete("first")
    status = await place.reaches("second", phase="Running")
    pod = await place.get("second", PODS)
    assert (
        pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        == (home["metadata"]["name"])
    )
    for name in ("second", "others"):
        await place.delete(name)
        await place.gone(name)
    assert len(await place.homes()) == 2
    assert "work" not in "".join(one["metadata"]["name"] for one in await place.homes())


async def test_sleeps_and_wakes_on_its_home(place):
    await place.apply_session("sleepy", home="bed")
    await place.reaches("sleepy", phase="Running")
    await place.apply_session("sleepy", home="bed", desired="Hibernated")
    status = await place.reaches("sleepy", phase="Hibernated", reason="Requested")
    assert "home is kept" in status["message"]
    assert await place.get("sleepy", PODS) is None
    await place.apply_session("sleepy", home="bed", desired="Running")
    status = await place.reaches("sleepy", phase="Running")
    assert status.get("restarts", 0) == 0
    assert place.nodes.begun["sleepy"] == 2
    await place.delete("sleepy")
    await place.gone("sleepy")


async def test_a_lost_desktop_is_begun_again_and_counted(place):
    await place.apply_session("unlucky")
    await place.reaches("unlucky", phase="Running")
    await place.nodes.end("unlucky", 75)
    status = await place.reaches("unlucky", phase="Running", restarts=1)
    assert status["attempt"]["number"] == 1
    pod = await place.get("unlucky", PODS)
    await place.admin.delete(PODS, place.namespace, "unlucky", pod["metadata"]["uid"])
    status = await place.reaches("unlucky", phase="Running", restarts=2)
    assert len(status["attempt"]["losses"]) == 1
    assert ("Warning", "DesktopLost") in await place.events("unlucky")
    await place.delete("unlucky")
    await place.gone("unlucky")


async def test_one_that_always_ends_has_failed_and_is_tried_again_when_its_spec_changes(place):
    place.nodes.behave["hopeless"] = Nodes.fail
    await place.apply_session("hopeless")
    status = await place.reaches("hopeless", phase="Failed", reason="CrashLoop", within=90)
    assert status["restarts"] == 6
    assert "6 times within 10 minutes" in status["message"]

    async def pod() -> Object | None:
        return await place.get("hopeless", PODS)

    await eventually(pod, None, within=20)
    del place.nodes.behave["hopeless"]
    await place.apply_session("hopeless", timezone="Europe/Vienna")
    await place.reaches("hopeless", phase="Running")
    await place.delete("hopeless")
    await place.gone("hopeless")


async def test_a_changed_template_restarts_nobody_and_is_for_who_comes_next(place):
    await place.apply(template("changing", "desktop-vnc"))
    await place.apply_session("old", template="changing")
    await place.reaches("old", phase="Running")
    await place.apply(template("changing", "desktop-browser"))
    await place.apply_session("new", template="changing")
    await place.reaches("new", phase="Running")
    assert place.nodes.begun["old"] == 1
    # Also what is begun again is what it was.
    await place.nodes.end("old", 75)
    await place.reaches("old", phase="Running", restarts=1)
    images = [
        (await place.get(name, PODS))["spec"]["containers"][0]["image"] for name in ("old", "new")
    ]
    assert [image.split("/")[-1].split(":")[0] for image in images] == [
        "desktop-vnc",
        "desktop-browser",
    ]
    kept = await place.admin.list(
        REVISIONS, place.namespace, labels="porthole.dev/template=changing"
    )
    assert len(kept) == 2
    for name in ("old", "new"):
        await place.delete(name)
        await place.gone(name)

    async def revisions() -> int:
        found = await place.admin.list(
            REVISIONS, place.namespace, labels="porthole.dev/template=changing"
        )
        return len(found)

    await eventually(revisions, 0, within=60)


async def test_a_revision_that_one_object_keeps_for_all_is_still_found(place):
    """As releases before kept it; nobody who runs is asked to begin anew."""
    await place.apply(template("shared", "desktop-vnc"))
    await place.apply_session("held", template="shared")
    await place.reaches("held", phase="Running")
    (kept,) = await place.admin.list(
        REVISIONS, place.namespace, labels="porthole.dev/template=shared"
    )
    head = kept["metadata"]
    before = {key: head[key] for key in ("namespace", "labels", "ownerReferences")}
    before["name"] = head["name"].rpartition("-")[0]
    writer = await Cluster.connect(place.server.kubeconfig_of(place.user), OPERATOR)
    await writer.create(REVISIONS, {**kept, "metadata": before})
    await writer.close()
    await place.admin.delete(REVISIONS, place.namespace, head["name"], head["uid"])
    subject = read_subject(await place.get("held"), UUID(int=0))
    found = await Templates(place.admin).of(subject, None)
    assert isinstance(found, Template)
    assert found.pin == subject.status.template
    # What is begun again is kept where it is now looked for first.
    await place.nodes.end("held", 75)
    await place.reaches("held", phase="Running", restarts=1)
    await place.delete("held")
    await place.gone("held")


async def test_what_somebody_takes_from_beside_it_is_made_again_by_the_next_operator(place):
    await place.apply_session("robbed")
    await place.reaches("robbed", phase="Running")
    policy = await place.get("robbed", POLICIES)
    uid = policy["metadata"]["uid"]
    await place.admin.delete(POLICIES, place.namespace, "robbed", uid)
    (operator,) = (one for one in place.operators if one.returncode is None)
    assert await place.stop(operator) == 0
    await place.start()

    async def there() -> bool:
        return await place.get("robbed", POLICIES) is not None

    await eventually(there, True, within=60)
    assert place.nodes.begun["robbed"] == 1
    await place.delete("robbed")
    await place.gone("robbed")


async def test_an_image_that_is_not_there_is_told_and_recovers_when_it_is_corrected(place):
    async def missing(nodes: Nodes, pod: Object) -> None:
        if pod["spec"]["containers"][0]["image"] != "nowhere/none:1":
            await nodes.draw(pod)
            return
        await nodes.bind(pod)
        await nodes.say(pod, waiting("ErrImagePull", "not found"))

    place.nodes.behave["typo"] = missing
    await place.apply(template("broken", "nowhere/none:1"))
    await place.apply_session("typo", template="broken")
    status = await place.reaches("typo", phase="Pending", reason="ImageUnavailable")
    assert "not found" in status["message"]
    await place.apply(template("broken", "desktop-vnc"))
    await place.reaches("typo", phase="Running")
    await place.delete("typo")
    await place.gone("typo")


async def test_what_no_node_takes_waits_and_goes_on_by_itself(place):
    async def full(nodes: Nodes, pod: Object) -> None:
        why = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient memory.",
        }
        await nodes.say(pod, {"conditions": [why]}, ready=None)

    place.nodes.behave["large"] = full
    await place.apply_session("large")
    status = await place.reaches("large", phase="Pending", reason="Unschedulable")
    assert "Insufficient memory" in status["message"]
    await Nodes.draw(place.nodes, await place.get("large", PODS))
    await place.reaches("large", phase="Running")
    assert place.nodes.begun["large"] == 1
    await place.delete("large")
    await place.gone("large")


async def test_one_that_lived_long_enough_is_deleted(place):
    await place.apply_session("mayfly", lifetime="2s")
    await place.reaches("mayfly", phase="Running")
    await place.gone("mayfly")
    assert ("Normal", "LifetimeOver") in await place.events("mayfly")


async def test_it_holds_no_right_that_it_has_no_use_for(place):
    """Whoever runs the whole suite sees every verb used; one session uses most of them."""
    used = {one.split("/")[0] for one in place.writes()}
    assert {
        "create pods",
        "create secrets",
        "create services",
        "create networkpolicies",
        "create controllerrevisions",
        "create persistentvolumeclaims",
        "create events",
        "patch sessions",
        "patch persistentvolumeclaims",
        "delete pods",
        "delete sessions",
    } <= used


def template(name: str, image: str) -> Object:
    return {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "SessionTemplate",
        "metadata": {"name": name},
        "spec": {"title": "Desktop", "image": image},
    }


async def test_an_image_is_fetched_beforehand_if_its_template_says_so(place):
    async def daemon_set() -> Object | None:
        return await place.get("image-of-eager", DAEMON_SETS)

    async def image() -> str | None:
        found = await daemon_set()
        spec = None if found is None else found["spec"]["template"]["spec"]
        return None if spec is None else spec["initContainers"][0]["image"].split("/")[-1]

    eager = template("eager", "nowhere/one:1")
    eager["spec"]["pod"] = {"prePull": True}
    await place.apply(eager)
    await eventually(image, "one:1", within=20)

    async def taken_up() -> bool:
        found = await daemon_set()
        return found is not None and found["status"].get("observedGeneration") is not None

    # Its controller makes a revision of it, which our own policies must let pass.
    await eventually(taken_up, True, within=60)
    eager["spec"]["image"] = "nowhere/two:2"
    await place.apply(eager)
    await eventually(image, "two:2", within=20)
    eager["spec"]["pod"] = {"prePull": False}
    await place.apply(eager)
    await eventually(daemon_set, None, within=60)
