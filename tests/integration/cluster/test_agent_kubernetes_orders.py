"""Orders to a cluster: applied once, fenced, and never half."""

import asyncio
import json
from uuid import uuid4

import pytest

from porthole_agent.runtimes.port import Home
from porthole_contract.conditions import Reason
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import Origin
from porthole_contract.names import AGENT, home_object, revision_object
from porthole_contract.session import Desired
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import CLAIMS, REVISIONS, SESSIONS
from tests.support.kubernetes_runtime import CONTENT, a_place, pinned
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def place(cluster):
    async with a_place(cluster) as opened:
        yield opened


async def test_an_order_becomes_a_session_with_its_number_its_id_and_its_home(place):
    home = uuid4()
    session = await place.create(home="work", home_id=home, display={"width": 1024})
    thing = await place.get()
    marks = thing["metadata"]["annotations"]
    assert marks["porthole.dev/session-id"] == str(session)
    assert marks["porthole.dev/order"] == "1"
    assert marks["porthole.dev/origin"] == "api"
    assert marks["porthole.dev/home-id"] == str(home)
    assert marks["porthole.dev/template-digest"] == CONTENT.digest()
    assert thing["spec"]["display"]["width"] == 1024
    managers = {entry["manager"] for entry in thing["metadata"]["managedFields"]}
    assert managers == {"porthole-agent"}
    told = await place.told(session, order=1)
    assert (told.name, told.owner, told.origin) == ("one", "alice", Origin.API)


async def test_the_templates_revision_is_there_first_and_belongs_to_who_uses_it(place):
    await place.create()
    name = revision_object(CONTENT.digest(), "one")
    revision = await place.admin.get(REVISIONS, place.namespace, name)
    assert revision["data"]["spec"]["title"] == CONTENT.title
    (owner,) = revision["metadata"]["ownerReferences"]
    assert owner["uid"] == (await place.get())["metadata"]["uid"]
    assert revision_object(CONTENT.digest(), "s52") == name
    await place.create("s52")
    revision = await place.admin.get(REVISIONS, place.namespace, name)
    assert len(revision["metadata"]["ownerReferences"]) == 2


async def test_sessions_of_one_template_do_not_all_write_to_one_object(place):
    names = [f"session-{number}" for number in range(8)]
    sessions = [await place.create(name) for name in names]
    held = {revision_object(CONTENT.digest(), name) for name in names}
    found = await place.admin.list(REVISIONS, place.namespace)
    assert {one["metadata"]["name"] for one in found} == held
    assert len(held) > 4
    owners = [one["metadata"]["ownerReferences"] for one in found]
    assert sum(map(len, owners)) == len(sessions)


async def test_with_the_last_session_its_revision_goes_too(place):
    session = await place.create()
    await place.runtime.delete(session, 2)

    async def revision():
        name = revision_object(CONTENT.digest(), "one")
        return await place.admin.get(REVISIONS, place.namespace, name)

    await eventually(revision, None, within=30)


async def test_a_newer_order_changes_the_session_and_takes_back_what_it_no_longer_says(place):
    session = await place.create(lifetime="1h", locale="de_AT")
    await place.apply(session, 2, lifetime="2h")
    thing = await place.get()
    assert thing["metadata"]["annotations"]["porthole.dev/order"] == "2"
    assert thing["spec"]["lifetime"] == "2h"
    assert "locale" not in thing["spec"]


async def test_an_order_that_is_not_newer_changes_nothing(place):
    session = await place.create(lifetime="1h")
    await place.apply(session, 2, lifetime="2h")
    before = await place.get()
    await place.apply(session, 1, lifetime="3h")
    await place.apply(session, 2, lifetime="4h")
    assert await place.get() == before


async def test_many_orders_at_once_leave_the_newest(place):
    session = uuid4()
    orders = (place.apply(session, order, lifetime=f"{order}h") for order in range(1, 16))
    await asyncio.gather(*orders)
    thing = await place.get()
    assert thing["metadata"]["annotations"]["porthole.dev/order"] == "15"
    assert thing["spec"]["lifetime"] == "15h"
    things = await place.admin.list(SESSIONS, place.namespace)
    assert len(things) == 1


async def test_a_session_belongs_to_its_owner(place):
    session = await place.create()
    with pytest.raises(Refused) as refused:
        await place.apply(session, 2, owner="mallory")
    assert refused.value.code == "owner_changed"


async def test_a_name_that_is_taken_in_the_namespace_is_no_obstacle(place):
    theirs = await place.make("one", owner="bob")
    ours = await place.create("one")
    told = await place.told(ours, order=1)
    assert told.name == f"one-{ours.hex[-6:]}"
    assert (await place.get("one"))["metadata"]["uid"] == str(theirs)
    assert (await place.get("one"))["spec"]["owner"] == "bob"
    await place.apply(ours, 2, lifetime="2h")
    assert (await place.get(told.name))["spec"]["lifetime"] == "2h"


async def test_an_apply_never_becomes_a_part_of_what_somebody_else_makes_meanwhile(
    place, monkeypatch
):
    """The name was free when it was looked at, and is not any more when it is written."""
    real = place.runtime._revisions.make

    async def slowly(*arguments):
        await place.make("one", owner="bob")
        monkeypatch.setattr(place.runtime._revisions, "make", real)
        await real(*arguments)

    monkeypatch.setattr(place.runtime._revisions, "make", slowly)
    ours = await place.create("one")
    theirs = await place.get("one")
    assert theirs["spec"]["owner"] == "bob"
    assert "porthole.dev/origin" not in theirs["metadata"].get("annotations", {})
    assert (await place.told(ours, order=1)).name == f"one-{ours.hex[-6:]}"


async def test_without_the_templates_content_it_is_asked_for(place):
    bare = pinned().model_copy(update={"spec": None})
    with pytest.raises(Refused) as refused:
        await place.apply(uuid4(), 1, template=bare)
    assert refused.value.code == "template_content_missing"
    await place.create("one")
    await place.apply(uuid4(), 1, name="two", template=bare)
    assert await place.get("two") is not None


async def test_what_the_cluster_does_not_accept_is_refused_in_its_words(place):
    await place.kubectl("create", "quota", "none", "--hard=count/sessions.porthole.dev=0")
    await place.kubectl(
        *("patch", "quota", "none", "--subresource=status", "--type=merge", "-p"),
        '{"status":{"hard":{"count/sessions.porthole.dev":"0"},"used":'
        '{"count/sessions.porthole.dev":"0"}}}',
    )
    with pytest.raises(Refused, match="quota"):
        await place.create()


async def test_the_end_waits_until_the_session_is_gone(place):
    session = await place.create()
    await place.kubectl(
        "patch", "session", "one", "--type=merge", "-p", '{"metadata":{"finalizers":["a.b/c"]}}'
    )
    ending = asyncio.create_task(place.runtime.delete(session, 2))
    await place.told(session, phase=Phase.TERMINATING)
    assert not ending.done()
    await place.kubectl(
        "patch", "session", "one", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    async with asyncio.timeout(30):
        await ending
    assert await place.get() is None
    told = await place.told(session, phase=Phase.TERMINATED)
    assert told.status.reason == Reason.REQUESTED


async def test_an_end_that_is_older_than_what_is_held_changes_nothing(place):
    session = await place.create()
    await place.apply(session, 5)
    await place.runtime.delete(session, 4)
    assert await place.get() is not None
    assert await place.tombstones() == {} or str(session) not in await place.tombstones()


async def test_an_order_that_comes_after_the_end_changes_nothing(place):
    session = await place.create()
    await place.runtime.delete(session, 3)
    await place.apply(session, 2)
    await place.apply(session, 3)
    assert await place.get() is None
    inventory = await place.runtime.inventory()
    assert [(one.session, one.order) for one in inventory.ended] == [(session, 3)]


async def test_the_end_of_one_that_never_was_is_remembered(place):
    session = uuid4()
    await place.runtime.delete(session, 2)
    await place.leave()
    await place.open()
    await place.apply(session, 1)
    assert await place.get() is None


async def test_many_ends_at_once_are_all_remembered(place):
    sessions = [uuid4() for _ in range(40)]
    await asyncio.gather(*(place.runtime.delete(session, 1) for session in sessions))
    assert set(await place.tombstones()) >= {str(session) for session in sessions}


async def test_two_agents_remember_ends_without_taking_them_from_each_other(place):
    api = await Cluster.connect(place.server.kubeconfig_of(place.user), AGENT)
    other = place.another(api)
    await other.open()
    sessions = [uuid4() for _ in range(20)]
    await asyncio.gather(
        *(
            (place.runtime if number % 2 else other).delete(session, 1)
            for number, session in enumerate(sessions)
        )
    )
    assert set(await place.tombstones()) >= {str(session) for session in sessions}
    await other.close()
    await api.close()


async def test_a_session_that_is_made_after_its_end_is_undone_and_counted(place):
    """An agent that has lost its link long ago, and wakes up with a create in its hands."""
    session = uuid4()
    api = await Cluster.connect(place.server.kubeconfig_of(place.user), AGENT)
    late = place.another(api)
    await late.open()
    await place.runtime.delete(session, 2)
    await place.apply(session, 1, runtime=late)
    # Who sees it while the other undoes it may tell of it: with the order that its end is above,
    # and the control plane takes nothing of that.
    assert {one.order for one in place.of(session)} <= {1}

    # Both replicas watch here. Which of them sees it in time is luck; one of them has to.
    async def undone():
        each = (place.runtime.undone, late.undone)
        return (await place.get(), each in {(1, 0), (0, 1), (1, 1)})

    await eventually(undone, (None, True), within=30)
    assert session not in {one.session for one in (await place.runtime.inventory()).sessions}
    await late.close()
    await api.close()


async def test_a_change_that_was_read_before_another_does_not_undo_it(place, monkeypatch):
    """Between looking and writing, a newer order was written."""
    session = await place.create(lifetime="1h")
    api = await Cluster.connect(place.server.kubeconfig_of(place.user), AGENT)
    other = place.another(api)
    await other.open()
    real = api.apply

    async def late(kind, thing):
        monkeypatch.setattr(api, "apply", real)
        await place.apply(session, 7, lifetime="7h")
        return await real(kind, thing)

    monkeypatch.setattr(api, "apply", late)
    await place.apply(session, 6, lifetime="6h", runtime=other)
    thing = await place.get()
    assert thing["spec"]["lifetime"] == "7h"
    assert thing["metadata"]["annotations"]["porthole.dev/order"] == "7"
    await other.close()
    await api.close()


async def test_what_people_change_in_a_session_of_ours_is_put_back_and_told(place):
    env = [{"name": "A", "value": "1"}]
    session = await place.create(lifetime="1h", env=env)
    given_back = json.dumps(
        {"spec": {"lifetime": "9h", "locale": "de", "env": [*env, {"name": "B", "value": "2"}]}}
    )
    await place.kubectl("patch", "session", "one", "--type=merge", "-p", given_back)

    async def now():
        spec = (await place.get())["spec"]
        return spec["lifetime"], spec.get("locale"), spec.get("env")

    await eventually(now, ("1h", None, env), within=30)

    async def reasons():
        listed = json.loads(await place.kubectl("get", "events", "-o", "json"))["items"]
        return {event["reason"] for event in listed}

    await eventually(reasons, {"PutBack"}, within=30)

    async def told():
        return [event.reason for one in place.of(session) for event in one.events]

    await eventually(told, ["PutBack"], within=30)
    (event,) = [event for one in place.of(session) for event in one.events]
    assert "env, lifetime, locale" in event.message


async def test_what_was_changed_while_no_agent_looked_is_put_back_by_the_next_one(place):
    await place.create(lifetime="1h")
    await place.leave()
    await place.kubectl(
        "patch", "session", "one", "--type=merge", "-p", '{"spec":{"lifetime":"9h"}}'
    )
    await place.open()

    async def lifetime():
        return (await place.get())["spec"].get("lifetime")

    await eventually(lifetime, "1h", within=30)


async def test_sleep_for_idleness_is_reported_and_left(place):
    session = await place.create()
    await place.kubectl(
        *("patch", "session", "one", "--type=merge", "--field-manager=porthole-idle"),
        *("-p", '{"spec":{"desired":"Hibernated"}}'),
    )
    told = await place.told(session, desired=Desired.HIBERNATED)
    assert told.order == 1
    await asyncio.sleep(3)  # a resync and more
    assert (await place.get())["spec"]["desired"] == "Hibernated"
    await place.apply(session, 2, desired="Hibernated")
    await place.apply(session, 3)
    assert (await place.get())["spec"]["desired"] == "Running"
    await asyncio.sleep(3)
    assert (await place.get())["spec"]["desired"] == "Running"


async def test_a_session_made_with_kubectl_is_told_with_its_owner_and_its_uid(place):
    session = await place.make("theirs", owner="bob")
    told = await place.told(session, name="theirs")
    assert (told.owner, told.order, told.origin) == ("bob", 0, Origin.KUBECTL)


async def test_of_one_made_with_kubectl_only_the_wish_is_ordered(place):
    session = await place.make("theirs", lifetime="5h")
    await place.told(session, name="theirs")
    bare = pinned(None).model_copy(update={"digest": "0" * 64})
    await place.apply(session, 3, name="theirs", desired="Hibernated", lifetime="1h", template=bare)
    thing = await place.get("theirs")
    assert (thing["spec"]["desired"], thing["spec"]["lifetime"]) == ("Hibernated", "5h")
    assert (await place.told(session, order=3)).origin is Origin.KUBECTL
    await place.kubectl(
        "patch", "session", "theirs", "--type=merge", "-p", '{"spec":{"desired":"Running"}}'
    )
    await place.told(session, order=3, desired=Desired.RUNNING)
    await place.runtime.delete(session, 4)
    assert await place.get("theirs") is None


async def test_what_kubectl_deletes_is_gone_and_told(place):
    session = await place.create()
    await place.kubectl("delete", "session", "one")
    told = await place.told(session, phase=Phase.TERMINATED)
    assert told.status.reason == Reason.DELETED_IN_CLUSTER

    async def remembered():
        return str(session) in await place.tombstones()

    await eventually(remembered, True, within=30)


async def test_one_that_ended_itself_says_why(place):
    session = await place.create()
    await place.status(phase="Terminating", reason="LifetimeOver", message="It lived an hour.")
    await place.told(session, reason="LifetimeOver")
    await place.kubectl("delete", "session", "one")
    told = await place.told(session, phase=Phase.TERMINATED)
    assert (told.status.reason, told.status.message) == ("LifetimeOver", "It lived an hour.")


async def test_homes_are_told_and_deleted_only_when_nobody_holds_them(place):
    home = uuid4()
    session = await place.create(home="work", home_id=home)
    holder = (await place.get())["metadata"]["uid"]
    await place.admin.create(
        CLAIMS,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "namespace": place.namespace,
                "name": home_object(home),
                "labels": {"porthole.dev/home": str(home)},
                "annotations": {
                    "porthole.dev/owner": "alice",
                    "porthole.dev/home-name": "work",
                    "porthole.dev/home-holder": holder,
                },
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    )

    async def homes():
        found = (await place.runtime.inventory()).homes
        return [(one.home, one.owner, one.name, one.size, one.holder) for one in found]

    await eventually(homes, [(home, "alice", "work", 2**30, session)], within=30)
    with pytest.raises(Refused) as refused:
        await place.runtime.delete_home(home)
    assert refused.value.code == "home_in_use"
    await place.runtime.delete(session, 2)

    async def told():
        return [one.holder for one in place.seen if isinstance(one, Home)][-1:]

    await eventually(told, [None], within=30)
    deleting = asyncio.create_task(place.runtime.delete_home(home))
    # Nobody uses it, and no controller runs here that would say so.
    await eventually(lambda: _is_protected(place, home), True, within=30)
    await place.kubectl(
        *("patch", "pvc", home_object(home), "--type=merge"),
        *("-p", '{"metadata":{"finalizers":null}}'),
    )
    async with asyncio.timeout(30):
        await deleting
    assert await place.volume(home) is None
    await place.runtime.delete_home(home)


async def _is_protected(place, home):
    volume = await place.volume(home)
    return volume is None or "deletionTimestamp" in volume["metadata"]


async def test_a_drained_agent_takes_no_new_sessions_and_goes_on_with_the_others(place):
    session = await place.create()
    await place.runtime.drain(True)
    with pytest.raises(Refused) as refused:
        await place.create("two")
    assert refused.value.code == "agent_draining"
    await place.apply(session, 2)
    assert (await place.runtime.overview()).draining
    await place.runtime.drain(False)
    await place.create("two")


async def test_a_place_without_rights_says_so(place):
    api = await Cluster.connect(place.server.kubeconfig_of("nobody-in-particular"), AGENT)
    with pytest.raises(Refused, match="cannot get resource"):
        await place.another(api).open()
    await api.close()
