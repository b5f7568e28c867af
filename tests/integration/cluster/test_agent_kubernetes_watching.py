"""What an agent knows of its cluster, over lines that break; and the way to a gate."""

import asyncio
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from porthole_agent.replica import TERMS
from porthole_agent.runtimes.kubernetes import revisions, writing
from porthole_agent.runtimes.kubernetes.gate import PORT
from porthole_agent.runtimes.kubernetes.rights import LEASE, RIGHTS
from porthole_agent.runtimes.local.certificate import make_certificate
from porthole_contract.crd.policies import Installation, policies
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.names import AGENT, home_object
from porthole_contract.testing import builders
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Unanswered
from porthole_kube.kinds import (
    CLAIMS,
    PODS,
    REVISIONS,
    TEMPLATES,
)
from porthole_kube.lease import Lease
from tests.support.cluster_objects import a_template
from tests.support.cut_lines import a_line
from tests.support.kubernetes_runtime import Place, a_place
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def place(cluster):
    async with a_place(cluster) as opened:
        yield opened


@pytest.fixture
async def line(cluster):
    async with a_line(cluster.port) as one:
        yield one


class Afar(Place):
    """A place whose agent reaches the API server over a line that can be cut."""

    line = None

    async def open(self) -> None:
        config = self.server.kubeconfig_of(self.user)
        through = Path(f"{config}-{self.line.port}")
        through.write_text(config.read_text().replace(f":{self.server.port}", f":{self.line.port}"))
        self.server = _Through(self.server, through)
        await super().open()


class _Through:
    """The API server, with another kubeconfig for the agent."""

    def __init__(self, server, config):
        self._server = server
        self._config = config

    def __getattr__(self, name):
        return getattr(self._server, name)

    def kubeconfig_of(self, _user):
        return self._config


@pytest.fixture
async def afar(cluster, line):
    one = Afar(cluster, resync_seconds=5.0)
    one.line = line
    await one.prepare()
    try:
        await one.open()
        yield one
        line.let_go()
        await one.leave()
    finally:
        await one.remove()


async def test_what_happens_while_the_line_is_cut_is_known_soon_after(afar, line):
    session = await afar.make("one")
    await afar.told(session, name="one")
    await line.cut()
    await afar.status(phase="Running")
    other = await afar.make("two")
    await line.open()
    await afar.told(session, phase=Phase.RUNNING)
    await afar.told(other, name="two")


async def test_what_is_deleted_while_the_line_is_cut_is_told_as_gone(afar, line):
    session = await afar.create()
    await line.cut()
    await afar.kubectl("delete", "session", "one", "--wait=false")
    await line.open()
    await afar.told(session, phase=Phase.TERMINATED)


async def test_an_order_waits_for_the_line_and_is_done_once(afar, line):
    await line.cut()
    creating = asyncio.create_task(afar.create())
    await asyncio.sleep(1)
    assert not creating.done()
    await line.open()
    async with asyncio.timeout(60):
        session = await creating
    thing = await afar.get()
    assert thing["metadata"]["annotations"]["porthole.dev/session-id"] == str(session)
    assert thing["metadata"]["generation"] == 1


async def test_an_answer_that_was_lost_is_no_second_session(place, monkeypatch):
    real = place.api.apply

    async def cut_off(kind, thing):
        monkeypatch.setattr(place.api, "apply", real)
        await real(kind, thing)
        raise Unanswered("The answer was lost.")

    monkeypatch.setattr(place.api, "apply", cut_off)
    session = await place.create()
    things = json.loads(await place.kubectl("get", "sessions", "-o", "json"))["items"]
    assert [one["metadata"]["annotations"]["porthole.dev/session-id"] for one in things] == [
        str(session)
    ]


async def test_of_a_cluster_that_cannot_be_asked_no_absence_is_told(afar, line):
    await afar.create()
    await line.cut()
    with pytest.raises(Unanswered):
        await afar.runtime.inventory()
    await line.open()

    async def count():
        try:
            return len((await afar.runtime.inventory()).sessions)
        except Unanswered:
            return None

    await eventually(count, 1, within=30)


async def test_a_watch_that_falls_silent_is_noticed_by_the_next_list(place, monkeypatch):
    """Events are lost; the agent has no watch that would tell it so."""

    async def deaf(*_arguments, seconds):
        await asyncio.sleep(seconds)
        return
        yield

    monkeypatch.setattr(place.api, "watch", deaf)
    await asyncio.sleep(3)  # the watches that were open before have ended
    session = await place.make("one")
    await place.told(session, name="one")
    await place.kubectl("delete", "session", "one")
    await place.told(session, phase=Phase.TERMINATED)


async def test_an_inventory_has_all_and_says_of_which_cluster(place):
    sessions = {await place.create(f"s{number}") for number in range(5)}
    theirs = await place.make("theirs", owner="bob")
    inventory = await place.runtime.inventory()
    assert {one.session for one in inventory.sessions} == {*sessions, theirs}
    uid = await asyncio.to_thread(
        place.server.kubectl, "get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}"
    )
    assert str(inventory.overview.runtime) == uid
    await place.leave()
    await place.open()
    again = await place.runtime.inventory()
    assert {one.session for one in again.sessions} == {*sessions, theirs}


async def test_templates_of_the_cluster_are_on_offer_and_known_by_their_content(place):
    assert (await place.runtime.overview()).offers == ()
    template = a_template("special", title="Special")
    template["metadata"] = {"namespace": place.namespace, "name": "special"}
    await place.admin.create(TEMPLATES, template)

    async def offered():
        return [one.template.name for one in (await place.runtime.overview()).offers]

    await eventually(offered, ["special"], within=30)
    await place.kubectl("delete", "sessiontemplate", "special")
    await eventually(offered, [], within=30)


async def test_room_is_what_the_settings_say_where_there_are_no_nodes(cluster):
    async with a_place(cluster, cpu=3.0, memory=2**30, max_sessions=7) as place:
        await place.make("one")
        await place.status(phase="Running")

        async def used():
            return (await place.runtime.overview()).capacity.sessions_used

        await eventually(used, 1, within=30)
        room = (await place.runtime.overview()).capacity
        assert (room.sessions, room.cpu, room.memory) == (7, 3.0, 2**30)


# The way to a gate


@pytest.fixture
async def gate(tmp_path):
    """What listens where a session's gate would; returns its address and its fingerprint."""
    certificate, key, fingerprint = make_certificate(builders.an_id(1))
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def greet(_reader, writer):
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.77.0.1", PORT, ssl=context)
    yield "127.77.0.1", fingerprint
    server.close()


async def running(place, fingerprint):
    session = await place.create()
    await place.status(
        phase="Running", gate={"address": "192.0.2.1:7443", "fingerprint": fingerprint}
    )
    told = await place.told(session, phase=Phase.RUNNING)
    assert told.status.gate is not None
    return session, (await place.get())["metadata"]["uid"]


async def test_a_gate_is_reached_at_its_sessions_own_pod_wherever_the_status_points(place, gate):
    address, fingerprint = gate
    session, uid = await running(place, fingerprint)
    await place.pod(address, owner=uid)
    reader, writer = await place.runtime.connect_gate(session)
    assert await reader.read(100) == b"hello"
    writer.transport.abort()


@pytest.mark.parametrize("wrong", ["fingerprint", "owner", "silent", "none"])
async def test_what_is_not_the_sessions_gate_is_not_spoken_to(place, gate, wrong):
    address, fingerprint = gate
    session, uid = await running(place, "0" * 64 if wrong == "fingerprint" else fingerprint)
    if wrong == "owner":
        await place.pod(address, owner=str(await place.make("two")), whose="two")
    elif wrong != "none":
        await place.pod("127.77.0.2" if wrong == "silent" else address, owner=uid)
    with pytest.raises(Refused) as refused:
        await place.runtime.connect_gate(session)
    genuine = wrong in {"silent", "none"}
    assert refused.value.code == ("gate_not_ready" if genuine else "gate_not_genuine")


async def test_a_session_that_is_not_running_has_no_gate(place):
    session = await place.create()
    with pytest.raises(Refused) as refused:
        await place.runtime.connect_gate(session)
    assert refused.value.code == "gate_not_ready"
    with pytest.raises(Refused) as refused:
        await place.runtime.connect_gate(builders.an_id(9))
    assert refused.value.code == "session_unknown"
    assert await place.runtime.logs(session) == ""


# Rights


async def test_all_that_is_granted_is_used_and_nothing_else_is_asked_for(place, gate, monkeypatch):
    """An agent's whole life, held against the API server's own log of it."""
    monkeypatch.setattr(revisions, "_UNUSED_FOR", revisions.timedelta(0))
    monkeypatch.setattr(writing, "_LOOK_EVERY", 0.05)
    lease = Lease(place.api, place.system, LEASE, "one", TERMS)
    await lease.acquire()
    await lease.release()
    await place.runtime.delete(builders.an_id(1), 1)
    await place.runtime.delete(builders.an_id(2), 1)
    session, uid = await running(place, gate[1])
    await place.pod(gate[0], owner=uid)
    _, writer = await place.runtime.connect_gate(session)
    writer.transport.abort()
    assert await place.runtime.logs(session) == ""  # there is no kubelet that would have any
    await place.kubectl(
        "patch", "session", "one", "--type=merge", "-p", '{"spec":{"lifetime":"9h"}}'
    )

    async def lifetime():
        return (await place.get())["spec"].get("lifetime")

    await eventually(lifetime, None, within=30)
    home = builders.an_id(5)
    await place.admin.create(CLAIMS, a_home(place, home))
    await place.admin.merge(
        CLAIMS, place.namespace, home_object(home), {"metadata": {"finalizers": None}}
    )

    async def homes():
        return [one.home for one in (await place.runtime.inventory()).homes]

    await eventually(homes, [home], within=30)
    await place.runtime.delete_home(home)
    await place.runtime.delete(session, 2)
    await place.runtime._revisions.make(
        place.namespace, "other", builders.a_template_spec(title="Nobody's"), "nobody"
    )
    await eventually(lambda: revision_count(place), 0, within=60)

    asked = [
        one
        for one in await asyncio.to_thread(place.server.audited)
        if one["user"]["username"] == place.user
    ]
    refused = {
        (one["verb"], one["requestURI"])
        for one in asked
        if one.get("responseStatus", {}).get("code") == 403
    }
    assert refused == set()
    used = {
        (ref.get("apiGroup", ""), _resource(ref), one["verb"])
        for one in asked
        if (ref := one.get("objectRef")) is not None
    }
    granted = {(right.group, right.resource, verb) for right in RIGHTS for verb in right.verbs}
    # An apply that makes an object is asked for as a patch, and allowed as a create as well;
    # the last one is asked by an admission policy, in its own name.
    silent = {
        ("porthole.dev", "sessions", "create"),
        ("porthole.dev", "sessions/for-others", "create"),
    }
    assert granted - used == silent
    assert used - granted == set()


def _resource(ref):
    return ref["resource"] + (f"/{ref['subresource']}" if "subresource" in ref else "")


async def revision_count(place):
    things = await place.admin.list(REVISIONS, place.namespace)
    return len(things)


def a_home(place, home):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "namespace": place.namespace,
            "name": home_object(home),
            "labels": {"porthole.dev/home": str(home)},
            "annotations": {"porthole.dev/owner": "alice", "porthole.dev/home-name": "work"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


async def test_the_administrators_of_tests_are_not_the_agents(cluster):
    api = await Cluster.connect(cluster.kubeconfig_of("agent-without-roles"), AGENT)
    with pytest.raises(Refused):
        await api.list(PODS, "default")
    await api.close()


async def test_under_the_clusters_policies_the_agent_does_all_of_it_and_nobody_else_can(place):
    """The policies say who may own, and who writes our annotations; the agent keeps to them."""
    made = policies(
        Installation(
            name=place.user,
            namespaces=(place.namespace,),
            agent=place.user,
            operator="nobody-here",
        )
    )
    await asyncio.to_thread(place.server.apply, *made)
    try:
        session = await place.create(lifetime="1h")
        await eventually(lambda: _may_be_marked(place), False, within=60)
        assert (await place.get())["metadata"]["annotations"]["porthole.dev/order"] == "1"
        await place.apply(session, 2, lifetime="2h", desired="Hibernated")
        await place.kubectl(
            "patch", "session", "one", "--type=merge", "-p", '{"spec":{"lifetime":"9h"}}'
        )

        async def lifetime():
            return (await place.get())["spec"]["lifetime"]

        await eventually(lifetime, "2h", within=30)
        theirs = await place.make("theirs")
        await place.told(theirs, name="theirs")
        await place.apply(theirs, 1, name="theirs", desired="Hibernated")
        other = await place.create("other", owner="bob")
        for one, order in ((session, 3), (theirs, 2), (other, 2)):
            await place.runtime.delete(one, order)
        assert (await place.runtime.inventory()).sessions == ()
    finally:
        names = [f"{one['kind']}/{one['metadata']['name']}" for one in made]
        await asyncio.to_thread(place.server.kubectl, "delete", *names)


async def _may_be_marked(place):
    """Whether the administrator could write one of our annotations."""
    try:
        await place.kubectl(
            *("annotate", "session", "one", "porthole.dev/order=7", "--overwrite"),
            "--dry-run=server",
        )
    except subprocess.CalledProcessError as error:
        return "agent" not in error.stderr
    return True
