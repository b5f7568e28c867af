"""Models become schemas of the dialect that Kubernetes accepts."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import Field

from porthole_contract.crd.kinds import kinds
from porthole_contract.crd.policies import Installation, policies
from porthole_contract.crd.rules import SENTENCES, rule
from porthole_contract.crd.structural import structural
from porthole_contract.model import Frozen
from porthole_contract.quantities import Duration, Quantity
from porthole_contract.session import Labels


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leg(Frozen):
    """What a table stands on."""

    length: Quantity | None = None
    """How far it is to the floor."""


class Table(Frozen):
    """Something to put things on.

    It has legs.
    """

    seats: Annotated[int, Field(ge=1, lt=100)] = 4
    """How many sit
    at it."""
    legs: Annotated[tuple[Leg, ...], Field(max_length=8)] = ()
    colour: Colour | None = None
    since: datetime
    breakfast: Duration | None = None
    labels: Labels = Field(default_factory=dict)
    serial: Annotated[int, Field(ge=0, lt=2**63)] = 0


def test_a_model_becomes_a_schema() -> None:
    made = structural(Table, {"": [rule("true", "is a table")], "legs": [rule("true", "stands")]})
    fields = made.pop("properties")
    assert made == {
        "description": "Something to put things on.\n\nIt has legs.",
        "type": "object",
        "required": ["since"],
        "x-kubernetes-validations": [{"rule": "true", "message": "is a table"}],
    }
    assert fields["seats"] == {
        "description": "How many sit at it.",
        "type": "integer",
        "minimum": 1,
        "maximum": 99,
        "format": "int32",
        "default": 4,
    }
    assert fields["colour"] == {"type": "string", "enum": ["red", "blue"]}
    assert fields["since"] == {"type": "string", "format": "date-time"}
    assert fields["serial"] == {"type": "integer", "minimum": 0, "format": "int64", "default": 0}
    legs = fields["legs"]
    assert legs["maxItems"] == 8
    assert legs["x-kubernetes-list-type"] == "atomic"
    assert legs["x-kubernetes-validations"] == [{"rule": "true", "message": "stands"}]
    assert legs["items"]["description"] == "What a table stands on."
    assert legs["items"]["properties"]["length"]["x-kubernetes-int-or-string"] is True


def test_a_length_of_time_is_a_text_with_its_own_rules() -> None:
    breakfast = structural(Table, {})["properties"]["breakfast"]
    assert breakfast["type"] == "string"
    assert "pattern" not in breakfast
    assert len(breakfast["x-kubernetes-validations"]) == 2


def test_a_pattern_with_a_sentence_becomes_a_rule() -> None:
    labels = structural(Table, {})["properties"]["labels"]
    (said,) = labels["additionalProperties"]["x-kubernetes-validations"]
    assert said["rule"].startswith("self.matches(r'")
    assert said["message"].startswith("must be the value of a label")


def test_a_rule_about_nothing_is_noticed() -> None:
    with pytest.raises(ValueError, match="'chairs'"):
        structural(Table, {"chairs": []})


def test_alternatives_are_not_guessed_at() -> None:
    class Odd(Frozen):
        value: int | str

    with pytest.raises(ValueError, match="no alternatives"):
        structural(Odd, {})


def test_every_sentence_is_said_somewhere() -> None:
    text = json.dumps(kinds())
    unused = [said for said in SENTENCES.values() if json.dumps(said)[1:-1] not in text]
    assert unused == []


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(node for inner in value.values() for node in nodes(inner))]
    if isinstance(value, list):
        return [node for inner in value for node in nodes(inner)]
    return []


def test_nothing_is_left_that_kubernetes_would_refuse() -> None:
    for node in nodes(list(kinds())):
        assert not {"$ref", "anyOf", "$defs", "exclusiveMaximum"} & node.keys()


def test_policies_take_the_names_of_their_installation() -> None:
    place = Installation(
        name="{{ .Release.Name }}", namespaces=("a", "b"), agent="AGENT", operator="OPERATOR"
    )
    made = policies(place)
    text = json.dumps(made)
    assert "'AGENT'" in text
    assert "'OPERATOR'" in text
    assert "porthole-system" not in text
    assert {one["kind"] for one in made} == {
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    assert all(one["metadata"]["name"].startswith("{{ .Release.Name }}-") for one in made)
    bindings = [one for one in made if one["kind"].endswith("Binding")]
    for binding in bindings:
        (within,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert within["values"] == ["a", "b"]
    assert {one["spec"]["policyName"] for one in bindings} == {
        one["metadata"]["name"] for one in made if one not in bindings
    }


def test_a_policy_that_cannot_be_evaluated_refuses() -> None:
    made = [one for one in policies(Installation()) if "failurePolicy" in one["spec"]]
    assert made
    assert {one["spec"]["failurePolicy"] for one in made} == {"Fail"}
