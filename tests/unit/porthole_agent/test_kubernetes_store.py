"""What was seen of a cluster, whichever way and in whatever order it came."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from porthole_agent.runtimes.kubernetes.gate import belongs_to
from porthole_agent.runtimes.kubernetes.store import Store, is_older
from porthole_agent.runtimes.kubernetes.tombstones import KEPT_FOR, MOST, Tombstone, outdated
from tests.support.cluster_objects import NAMESPACE, UID, a_session

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = (NAMESPACE, "one")


@pytest.fixture
def told() -> list[tuple[str | None, str | None]]:
    return []


@pytest.fixture
def store(told) -> Store:
    def version(thing):
        return None if thing is None else thing["metadata"]["resourceVersion"]

    return Store(lambda before, after: told.append((version(before), version(after))))


def test_each_change_is_told_once(store, told) -> None:
    store.put(a_session(version="10"))
    store.put(a_session(version="10"))
    store.put(a_session(version="12"))
    store.drop(a_session(version="13"))
    store.drop(a_session(version="13"))
    assert told == [(None, "10"), ("10", "12"), ("12", None)]


def test_an_older_state_never_replaces_a_newer_one(store, told) -> None:
    store.put(a_session(version="12"))
    store.put(a_session(version="9"))
    assert told == [(None, "12")]


def test_another_object_of_the_name_is_the_end_of_the_one_before(store, told) -> None:
    store.put(a_session(version="12"))
    store.put(a_session(version="15", uid=uuid4()))
    store.drop(a_session(version="14"))
    assert told == [(None, "12"), ("12", None), (None, "15")]
    assert store.get(ONE) is not None


def test_what_a_list_does_not_have_is_gone_unless_it_was_made_since(store, told) -> None:
    store.put(a_session(name="old", version="5"))
    store.put(a_session(name="new", version="30"))
    store.put(a_session(name="kept", version="6"))
    told.clear()
    store.replace(NAMESPACE, [a_session(name="kept", version="6")], "20")
    assert told == [("5", None)]
    assert {thing["metadata"]["name"] for thing in store} == {"new", "kept"}


def test_a_list_says_nothing_about_other_namespaces(store) -> None:
    store.put(a_session(version="5"))
    store.replace("elsewhere", [], "20")
    assert store.get(ONE) is not None


@pytest.mark.parametrize(
    ("one", "other", "older"), [("9", "10", True), ("10", "9", False), ("a", "b", False)]
)
def test_versions_are_compared_as_numbers_or_not_at_all(one, other, older) -> None:
    assert is_older(one, other) is older


async def test_who_waits_for_the_end_is_woken_by_it(store) -> None:
    store.put(a_session())
    waiting = asyncio.create_task(store.until_gone(str(UID)))
    given_up = asyncio.create_task(store.until_gone(str(UID)))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert not waiting.done()
    store.drop(a_session())
    await waiting


def test_of_what_has_ended_the_old_and_the_too_many_are_forgotten() -> None:
    def entry(age: timedelta) -> Tombstone:
        return Tombstone(order=1, reason="Requested", at=NOW - age)

    old = uuid4()
    held = {uuid4(): entry(timedelta(seconds=n)) for n in range(MOST + 3)}
    held[old] = entry(KEPT_FOR + timedelta(seconds=1))
    gone = outdated(held, NOW)
    assert old in gone
    assert len(gone) == 4
    assert {held[one].at for one in gone} == {held[old].at} | {
        NOW - timedelta(seconds=n) for n in range(MOST, MOST + 3)
    }


@pytest.mark.parametrize(
    ("changes", "its_own"),
    [
        ({}, True),
        ({"uid": str(uuid4())}, False),
        ({"controller": False}, False),
        ({"kind": "Job"}, False),
        ({"apiVersion": "example.com/v1"}, False),
    ],
)
def test_a_pod_is_a_sessions_own_only_if_the_cluster_says_so(changes, its_own) -> None:
    owner = {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "name": "one",
        "uid": str(UID),
        "controller": True,
    }
    pod = {"metadata": {"name": "one", "ownerReferences": [{**owner, **changes}]}}
    assert belongs_to(pod, a_session()) is its_own
    assert not belongs_to({"metadata": {}}, a_session())


def test_what_cannot_be_told_of_one_object_keeps_no_other_from_being_taken_in() -> None:
    def refuse(_before, after):
        if after["metadata"]["name"] == "bad":
            raise KeyError("spec")

    store = Store(refuse)
    store.replace(NAMESPACE, [a_session(name="bad"), a_session(name="good")], "20")
    assert {thing["metadata"]["name"] for thing in store} == {"bad", "good"}
