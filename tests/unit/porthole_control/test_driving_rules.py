"""From what people ask to what a desktop does, key by key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from porthole_contract.stream import drive
from porthole_control.driving.rules import compiled
from porthole_control.driving.schemas import Input
from porthole_control.errors import Conflict


def steps(*actions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what these actions become, without what is left open."""
    asked = Input.model_validate({"actions": actions}).actions
    return [one.model_dump(exclude_none=True) for one in compiled(asked)]


def test_a_click_goes_there_and_holds_keys_meanwhile():
    assert steps({"type": "click", "at": {"x": 3, "y": 4}, "keys": "ctrl", "count": 2}) == [
        {"do": "move", "x": 3, "y": 4},
        {"do": "press", "keys": (0xFFE3,)},
        *[{"do": "button", "button": 1, "down": down} for down in (True, False)] * 2,
        {"do": "release", "keys": (0xFFE3,)},
    ]


def test_a_wheel_is_turned_notch_by_notch():
    assert steps({"type": "scroll", "dy": -2, "dx": 1}) == [
        {"do": "button", "button": button, "down": down}
        for button in (4, 4, 7)
        for down in (True, False)
    ]


def test_a_scale_is_passed_on():
    assert steps({"type": "scale", "percent": 150}) == [{"do": "scale", "percent": 150}]


def test_a_window_is_waited_for_as_long_as_one_request_may():
    wait = {"type": "wait_window", "title": "Hello", "within": 40}
    assert steps(wait) == [{"do": "window", "title": "Hello", "within": 40.0}]
    with pytest.raises(Conflict, match="in all"):
        steps(wait, {"type": "wait_still", "within": 30})


def test_a_drag_is_down_on_the_way_and_up_at_the_end():
    made = steps({"type": "drag", "path": [{"x": 0, "y": 0}, {"x": 10, "y": 20}]})
    kinds = [one["do"] for one in made if one["do"] != "pause"]
    assert kinds == ["move", "button", "move", "move", "button"]
    assert [one["down"] for one in made if one["do"] == "button"] == [True, False]
    assert made[-1]["down"] is False


def test_chords_are_tapped_one_after_another():
    assert steps({"type": "keys", "keys": ["ctrl+a", "Delete"]}) == [
        {"do": "tap", "keys": (0xFFE3, 0x61)},
        {"do": "tap", "keys": (0xFFFF,)},
    ]


@pytest.mark.parametrize(
    "action",
    [
        {"type": "keys", "keys": ["a", "NoSuchKey"]},
        {"type": "click", "keys": "ctrl+hyper"},
        {"type": "key_down", "keys": "+".join("abcdefghi")},
    ],
)
def test_a_key_that_cannot_be_is_refused_in_words(action: dict[str, Any]):
    with pytest.raises(Conflict, match=r"In action 1 .*(no key named|held together)") as refused:
        steps({"type": "wait", "seconds": 0}, action)
    assert refused.value.code == "unknown_key"


@pytest.mark.parametrize(
    "action",
    [
        {"type": "text", "text": "x" * 6000},
        {"type": "wait", "seconds": 40},
        {"type": "click", "count": 5, "at": {"x": 1, "y": 1}, "keys": "ctrl"},
    ],
)
def test_more_than_one_request_may_do_is_refused(action: dict[str, Any]):
    with pytest.raises(Conflict, match=r"send fewer|may wait"):
        steps(*[action] * 100)


@pytest.mark.parametrize(
    "action",
    [
        {"type": "reboot"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "\x1b[2J"},
        {"type": "text", "text": "x" * 10_001},
        {"type": "move", "x": 1},
        {"type": "click", "at": {"x": 1}},
        {"type": "move", "x": 1, "y": 99999},
        {"type": "click", "button": 1},
        {"type": "wait", "seconds": 1e300},
        {"type": "scroll", "dy": 51},
        {"type": "keys", "keys": []},
    ],
)
def test_what_is_no_action_is_refused(action: dict[str, Any]):
    with pytest.raises(ValidationError):
        Input.model_validate({"actions": [action]})


@given(st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()}), min_size=1))
def test_whatever_text_is_asked_for_is_typed_or_refused(actions: list[dict[str, Any]]):
    try:
        made = compiled(Input.model_validate({"actions": actions}).actions)
    except (Conflict, ValidationError):
        return
    act = drive.Act(id=1, actions=made)
    assert drive.read_request(drive.encode(act).rstrip(b"\n")) == act
