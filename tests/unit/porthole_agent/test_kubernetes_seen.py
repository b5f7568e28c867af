"""Objects of a cluster, and what is told about them."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from porthole_agent.runtimes.kubernetes import seen
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import Origin
from porthole_contract.session import Desired
from tests.support.cluster_objects import SESSION, UID, a_session, a_template, a_volume

HOME = UUID("0198c000-0000-7000-8000-0000000000aa")


def test_a_session_of_ours_is_told_by_its_own_id_and_order() -> None:
    told = seen.observation(a_session(order=7, desired="Hibernated", status={"phase": "Running"}))
    assert told is not None
    assert (told.session, told.order, told.origin) == (SESSION, 7, Origin.API)
    assert (told.owner, told.spec.desired, told.status.phase) == (
        "alice",
        Desired.HIBERNATED,
        Phase.RUNNING,
    )


def test_one_made_with_kubectl_is_known_by_its_uid_whatever_its_annotations_say() -> None:
    told = seen.observation(
        a_session(ours=False, order=None, annotations={"porthole.dev/session-id": str(SESSION)})
    )
    assert told is not None
    assert (told.session, told.order, told.origin) == (UID, 0, Origin.KUBECTL)


def test_one_that_is_being_deleted_is_told_so_before_its_status_says_it() -> None:
    ending = a_session(
        status={"phase": "Running"}, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}
    )
    told = seen.observation(ending)
    assert told is not None
    assert told.status.phase is Phase.TERMINATING


@pytest.mark.parametrize("order", ["", "-1", "1e9", "²", "9" * 400, "0x10"])
def test_an_order_that_somebody_made_up_is_within_bounds(order: str) -> None:
    assert 0 <= seen.order_of(a_session(order=order)) < 2**53


def test_what_a_newer_operator_writes_beside_what_we_know_is_passed_over() -> None:
    status = {"phase": "Running", "podName": "one", "template": {"name": "x"}, "new": {"a": 1}}
    told = seen.observation(a_session(status=status))
    assert told is not None
    assert told.status.pod_name == "one"


def test_one_whose_spec_was_made_unreadable_is_told_as_it_was_ordered() -> None:
    """Left out of an inventory, it would be taken for gone."""
    ordered = '{"owner": "alice", "template": "desktop", "lifetime": "1h"}'
    told = seen.observation(a_session(applied=ordered, start=17))
    assert told is not None
    assert told.spec.lifetime is not None
    told = seen.observation(a_session(ours=False, start=17))
    assert told is not None
    assert (told.owner, told.spec.template.name) == ("alice", "unknown")


def test_one_whose_status_cannot_be_read_is_told_with_what_can_be() -> None:
    told = seen.observation(a_session(status={"phase": "Running", "viewers": "many"}))
    assert told is not None
    assert told.status.phase is Phase.RUNNING
    told = seen.observation(a_session(status={"phase": "Dancing"}))
    assert told is not None
    assert told.status.phase is Phase.PENDING


def test_one_that_could_belong_to_nobody_is_not_told() -> None:
    assert seen.observation(a_session(owner="a/b")) is None


def test_a_template_is_on_offer_if_it_can_be_run_here() -> None:
    found = seen.offer(a_template())
    assert found is not None
    assert (found.template.name, found.offered, found.reason) == ("desktop", True, "")


@pytest.mark.parametrize(
    ("spec", "word"), [({"image": None}, "image"), ({"profile": "sandbox"}, "sandbox")]
)
def test_one_that_cannot_be_run_says_why(spec: dict[str, object], word: str) -> None:
    found = seen.offer(a_template(**spec))
    assert found is not None
    assert not found.offered
    assert word in found.reason


def test_what_is_no_template_is_not_on_offer() -> None:
    assert seen.offer(a_template(title="")) is None


def test_a_home_is_told_with_the_session_that_holds_it() -> None:
    home = seen.home(a_volume(HOME, holder=UID), {str(UID): SESSION})
    assert home is not None
    assert (home.home, home.owner, home.name, home.size) == (HOME, "alice", "work", 2 * 2**30)
    assert home.holder == SESSION
    assert home.used is None, "who knows?"


def test_a_holder_that_is_gone_holds_nothing() -> None:
    home = seen.home(a_volume(HOME, holder=uuid4()), {str(UID): SESSION})
    assert home is not None
    assert home.holder is None


def test_a_volume_that_only_carries_our_label_is_no_home() -> None:
    volume = a_volume(HOME)
    volume["metadata"]["name"] = "data"
    assert seen.home(volume, {}) is None


def a_node(cpu: str = "4", memory: str = "8Gi", *, ready: bool = True, **spec: object) -> dict:
    return {
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory},
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def a_pod(phase: str = "Running") -> dict:
    def asks(cpu: str, memory: str) -> dict:
        return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}

    return {
        "spec": {
            "containers": [asks("500m", "1Gi"), {}],
            "initContainers": [
                {**asks("20m", "48Mi"), "restartPolicy": "Always"},
                asks("4", "4Gi"),
            ],
        },
        "status": {"phase": phase},
    }


def test_room_is_what_usable_nodes_give_and_what_running_pods_ask_for() -> None:
    nodes = [a_node(), a_node(cpu="1500m"), a_node(ready=False), a_node(unschedulable=True)]
    room = seen.capacity(
        nodes,
        [a_pod(), a_pod("Pending"), a_pod("Succeeded")],
        sessions=10,
        sessions_used=2,
        cpu=None,
        memory=None,
    )
    assert (room.cpu, room.memory) == (5.5, 16 * 2**30)
    assert room.cpu_used == pytest.approx(1.04)
    assert room.memory_used == 2 * (2**30 + 48 * 2**20)
    limited = seen.capacity(nodes, [], sessions=10, sessions_used=0, cpu=2.0, memory=2**30)
    assert limited == replace(
        room, sessions_used=0, cpu=2.0, memory=2**30, cpu_used=0, memory_used=0
    )
