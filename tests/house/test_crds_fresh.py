"""What Kubernetes is told is what the contract says now, and says it of every field."""

from typing import Any

import pytest

from porthole_contract.crd.kinds import kinds
from porthole_operator.desired.extras import Extras
from tests.support import write_crds

KINDS = {kind["spec"]["names"]["kind"]: kind for kind in kinds()}


def schema_of(kind: str) -> dict[str, Any]:
    (version,) = KINDS[kind]["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """Return every field below `schema` by its path."""
    found = {}
    for name, value in schema.get("properties", {}).items():
        found[f"{path}.{name}"] = value
        found |= fields(value, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            found |= fields(schema[inner], f"{path}[]")
    return found


def test_the_files_are_fresh() -> None:
    """Make them anew with `python -m tests.support.write_crds`."""
    expected = write_crds.written()
    there = {path: path.read_text(encoding="utf-8") for path in write_crds.CRDS.rglob("*.yaml")}
    assert there == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_is(kind: str) -> None:
    found = fields(schema_of(kind), kind)
    assert len(found) > 15
    silent = [path for path, value in found.items() if not value.get("description")]
    assert [path for path in silent if not path.endswith(".metadata")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_ends_in_a_sentence_for_a_person(kind: str) -> None:
    schema = schema_of(kind)
    rules = [
        rule
        for value in (schema, *fields(schema, kind).values())
        for rule in value.get("x-kubernetes-validations", [])
    ]
    assert rules
    assert all(rule["message"] and rule["message"][-1] not in ".!" for rule in rules)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found_by_its_category_and_a_short_name(kind: str) -> None:
    names = KINDS[kind]["spec"]["names"]
    assert names["categories"] == ["porthole"]
    assert names["shortNames"]


def test_short_names_are_used_once() -> None:
    short = [name for kind in KINDS.values() for name in kind["spec"]["names"]["shortNames"]]
    assert len(set(short)) == len(short)


def test_a_templates_pod_is_described_as_the_operator_reads_it() -> None:
    described = schema_of("SessionTemplate")["properties"]["spec"]["properties"]["pod"]
    read = {field.alias for field in Extras.model_fields.values()}
    assert described["properties"].keys() == read
