"""What all objects and messages have in common."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from porthole_contract.conditions import Condition, ConditionType
from porthole_contract.link.commands import ControlItem
from porthole_contract.link.frames import FromAgent, FromControl
from porthole_contract.link.reports import AgentItem
from porthole_contract.model import LONGEST_SENTENCE, Moment, Sentence, merge_patch
from porthole_contract.session import GateAddress, SessionStatus
from porthole_contract.testing.builders import NOON, a_session_spec, a_status, an_observation

SENTENCE: TypeAdapter[str] = TypeAdapter(Sentence)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def test_json_says_pod_name_and_python_says_pod_name() -> None:
    status = a_status(pod_name="p", gate=GateAddress(address="a", fingerprint="0" * 64))
    assert status.to_dict()["podName"] == "p"
    assert status.to_dict()["startedAt"] == "2030-01-01T12:00:00Z"
    assert SessionStatus.model_validate(status.to_dict()) == status
    assert SessionStatus.model_validate(dict(status)) == status


def test_what_is_not_set_is_not_written() -> None:
    assert "podName" not in a_status().to_dict()


def test_values_do_not_change() -> None:
    with pytest.raises(ValidationError):
        a_session_spec().owner = "eve"  # type: ignore[misc]


def test_a_copy_with_changes_is_checked() -> None:
    spec = a_session_spec()
    assert spec.evolve(owner="eve").owner == "eve"
    assert spec.owner == "ada"
    with pytest.raises(ValidationError):
        spec.evolve(owner="")
    with pytest.raises(ValidationError):
        spec.evolve(color="red")


def test_a_newer_peer_may_say_more_in_a_message() -> None:
    data = {**an_observation().to_dict(), "mood": "good"}
    data["status"] = {**data["status"], "weather": "fine"}
    assert type(an_observation()).model_validate(data) == an_observation()


def test_nobody_may_say_more_in_an_object() -> None:
    with pytest.raises(ValidationError, match="mood"):
        type(a_session_spec()).model_validate({**a_session_spec().to_dict(), "mood": "good"})


@given(st.text(st.characters(codec=None), max_size=LONGEST_SENTENCE + 100))
def test_a_sentence_is_cleaned_and_never_refused(text: str) -> None:
    cleaned = SENTENCE.validate_python(text)
    assert len(cleaned) <= LONGEST_SENTENCE
    assert "\x00" not in cleaned
    cleaned.encode()  # there are no halves of surrogate pairs
    assert SENTENCE.validate_python(cleaned) == cleaned


def test_a_sentence_that_is_too_long_is_cut_visibly() -> None:
    assert SENTENCE.validate_python("x" * 2001) == "x" * 1999 + "…"


@pytest.mark.parametrize("value", [None, 1, True, ["x"]])
def test_a_sentence_is_text(value: Any) -> None:
    with pytest.raises(ValidationError):
        SENTENCE.validate_python(value)


def test_a_moment_is_kept_in_utc() -> None:
    assert MOMENT.validate_python("2030-01-01T14:00:00+02:00") == NOON
    assert MOMENT.validate_python("2030-01-01T14:00:00+02:00").tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01T12:00:00",
        "2030-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "now",
        "",
        "2030-13-01T00:00:00Z",
    ],
)
def test_a_moment_that_cannot_be_compared_or_moved_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


def test_a_condition_is_kubernetes_own() -> None:
    condition = Condition(
        type=ConditionType.READY, status="True", reason="Drawn", last_transition_time=NOON
    )
    assert condition.to_dict() == {
        "type": "Ready",
        "status": "True",
        "reason": "Drawn",
        "message": "",
        "lastTransitionTime": "2030-01-01T12:00:00Z",
    }


@pytest.mark.parametrize("family", [FromAgent, FromControl, AgentItem, ControlItem])
def test_what_may_be_none_is_none_when_it_is_left_out(family: Any) -> None:
    """`None` is not written, so a field whose default is something else would turn into that."""
    look = list(family.__origin__.__args__)
    seen = set()
    while look:
        model = look.pop()
        for name, field in model.model_fields.items():
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
            if type(None) in kinds:
                assert field.default is None, f"{model.__name__}.{name}"
            look += [
                kind
                for kind in kinds
                if isinstance(kind, type) and hasattr(kind, "model_fields") and kind not in seen
            ]
        seen.add(model)


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_does_what_its_rfc_shows(
    target: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert merge_patch(target, patch) == merged


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_a_merge_patch_once(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    before = repr(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert repr(target) == before
