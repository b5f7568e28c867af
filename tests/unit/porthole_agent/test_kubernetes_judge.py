"""A session that was seen is let be, put back, or undone."""

import json

import pytest

from porthole_agent.runtimes.kubernetes.judge import LetBe, PutBack, Undo, judge, strays
from porthole_contract.names import OPERATOR_IDLE
from porthole_contract.session import Desired
from tests.support.cluster_objects import a_session, set_by

ORDERED = json.dumps({"owner": "alice", "template": "desktop", "desired": "Running"})
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def test_what_is_as_it_was_ordered_is_let_be() -> None:
    assert judge(a_session(applied=ORDERED), None) == LetBe()


def test_defaults_that_the_cluster_filled_in_are_no_change() -> None:
    filled = a_session(applied=ORDERED, desired="Running", labels={})
    assert judge(filled, None) == LetBe()


def test_what_somebody_else_changed_is_put_back_and_named() -> None:
    changed = a_session(applied=ORDERED, lifetime="1h", display={"width": 800})
    verdict = judge(changed, None)
    assert isinstance(verdict, PutBack)
    assert verdict.spec.lifetime is None
    assert "display, lifetime" in verdict.message


def test_sleep_for_idleness_is_the_operators_to_set() -> None:
    asleep = a_session(
        applied=ORDERED,
        desired="Hibernated",
        metadata={"managedFields": [set_by(OPERATOR_IDLE, "desired")]},
    )
    assert judge(asleep, None) == LetBe()


def test_sleep_that_anybody_else_set_is_put_back() -> None:
    asleep = a_session(
        applied=ORDERED,
        desired="Hibernated",
        metadata={"managedFields": [set_by("kubectl-edit", "desired")]},
    )
    verdict = judge(asleep, None)
    assert isinstance(verdict, PutBack)
    assert verdict.spec.desired is Desired.RUNNING


def test_another_change_is_put_back_without_waking_one_that_sleeps() -> None:
    both = a_session(
        applied=ORDERED,
        desired="Hibernated",
        timezone="Europe/Vienna",
        metadata={"managedFields": [set_by(OPERATOR_IDLE, "desired")]},
    )
    verdict = judge(both, None)
    assert isinstance(verdict, PutBack)
    assert verdict.spec.desired is Desired.HIBERNATED
    assert verdict.spec.timezone is None


@pytest.mark.parametrize(("order", "undone"), [(1, True), (5, True), (6, False)])
def test_one_that_came_after_its_deletion_is_undone(order: int, undone: bool) -> None:
    verdict = judge(a_session(order=order, applied=ORDERED), 5)
    assert isinstance(verdict, Undo) is undone


def test_one_that_is_being_deleted_is_let_be() -> None:
    ending = a_session(applied=ORDERED, lifetime="1h", metadata=DELETED)
    assert judge(ending, None) == LetBe()
    assert judge(ending, 5) == LetBe()


def test_what_was_made_with_kubectl_is_its_makers() -> None:
    theirs = a_session(ours=False, applied=ORDERED, lifetime="1h")
    assert judge(theirs, 5) == LetBe()


def test_a_spec_that_cannot_be_read_any_more_is_put_back() -> None:
    assert isinstance(judge(a_session(applied=ORDERED, start=17), None), PutBack)


@pytest.mark.parametrize("applied", [None, "", "{", "[]", '{"owner": 1}'])
def test_without_a_memory_of_what_was_ordered_nothing_is_put_back(applied: str | None) -> None:
    assert judge(a_session(applied=applied, lifetime="1h"), None) == LetBe()


@pytest.mark.parametrize(
    ("found", "wanted", "patch"),
    [
        ({"a": 1, "b": 2}, {"a": 3}, {"b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": None}),
        ({"a": [1]}, {"a": [1]}, {}),
        ({}, {"a": 1}, {}),
    ],
)
def test_what_an_apply_would_leave_is_taken_away(
    found: dict[str, object], wanted: dict[str, object], patch: dict[str, object]
) -> None:
    assert strays(found, wanted) == patch
