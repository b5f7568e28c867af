"""A model of the contract as a structural schema (OpenAPI v3, Kubernetes' dialect).

The API server accepts no references and no alternatives, knows null by absence, and adds
defaults itself. Two of our values have a form of their own there: lengths of time are
texts, amounts are texts or whole numbers.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from porthole_contract.crd.rules import RULES_OF_DURATION, RULES_OF_QUANTITY, SENTENCES, rule
from porthole_contract.quantities import Duration, Quantity

Json = dict[str, Any]

_DURATION: Final = TypeAdapter[Any](Duration).json_schema()["pattern"]
_QUANTITY: Final = TypeAdapter[Any](Quantity).json_schema()["anyOf"][0]["pattern"]
_AS_IT_IS: Final[tuple[str, ...]] = (
    "type",
    "format",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_WHOLE: Final = 2**53
"""Bounds are held as floating point: those from here on would not be the same number."""


def structural(model: type[BaseModel], rules: Mapping[str, list[Json]]) -> Json:
    """Return the schema of `model`.

    Args:
        model: what the objects hold; descriptions are those of its classes and fields.
        rules: further rules by the path of their field, `""` being the model itself.
            `env[]` is an item of `env`.

    Raises:
        ValueError: a rule is about a field that is not there.
    """
    schema = model.model_json_schema()
    made = _Maker(schema.get("$defs", {}), rules)
    whole = made.convert(schema, "")
    if unused := set(rules) - made.seen:
        raise ValueError(f"There are no such fields in {model.__name__}: {sorted(unused)}.")
    return whole


class _Maker:
    def __init__(self, definitions: Mapping[str, Json], rules: Mapping[str, list[Json]]) -> None:
        self.seen: set[str] = set()
        self._definitions = definitions
        self._rules = rules

    def convert(self, node: Json, path: str) -> Json:
        self.seen.add(path)
        node = self._resolved(node)
        made = self._typed(node, path)
        if "description" in node:
            made = {"description": _one_paragraph(node["description"]), **made}
        default = node.get("default")
        if isinstance(default, bool | int | str) or (default and _is_plain(default)):
            made["default"] = default
        if path in self._rules:
            ours = made.get("x-kubernetes-validations", [])
            made["x-kubernetes-validations"] = [*ours, *self._rules[path]]
        return made

    def _resolved(self, node: Json) -> Json:
        """Follow references and drop null; what stands beside them wins."""
        while True:
            beside = {key: value for key, value in node.items() if key not in {"$ref", "anyOf"}}
            if "$ref" in node:
                node = {**self._definitions[node["$ref"].rpartition("/")[2]], **beside}
            elif "anyOf" in node:
                some = [one for one in node["anyOf"] if one.get("type") != "null"]
                node = {**(some[0] if len(some) == 1 else _amount(some)), **beside}
            else:
                return node

    def _typed(self, node: Json, path: str) -> Json:
        if node.get("pattern") == _DURATION:
            return {"type": "string", "maxLength": 32, **_validations(RULES_OF_DURATION)}
        if node.get("pattern") == _QUANTITY:
            return {
                "x-kubernetes-int-or-string": True,
                "maxLength": 32,
                **_validations(RULES_OF_QUANTITY),
            }
        made: Json = {key: node[key] for key in _AS_IT_IS if key in node}
        if "exclusiveMaximum" in node:
            made["maximum"] = node["exclusiveMaximum"] - 1
        if node["type"] == "integer":
            made["format"] = "int32" if made.get("maximum", _WHOLE) < 2**31 else "int64"
            if made.get("maximum", 0) >= _WHOLE:
                del made["maximum"]
        if "pattern" in node:
            made |= _pattern(node["pattern"])
        if node["type"] == "array":
            made["items"] = self.convert(node["items"], f"{path}[]")
            made["x-kubernetes-list-type"] = "atomic"
        elif node["type"] == "object":
            made |= self._members(node, path)
        return made

    def _members(self, node: Json, path: str) -> Json:
        if "properties" in node:
            prefix = f"{path}." if path else ""
            names = node["properties"]
            return {
                "properties": {name: self.convert(names[name], f"{prefix}{name}") for name in names}
            }
        values = node["additionalProperties"]
        if not values:  # JSON that is passed on as it is; its model says it by a closed recursion
            return {"x-kubernetes-preserve-unknown-fields": True}
        return {"additionalProperties": self.convert(values, f"{path}{{}}")}


def _amount(alternatives: list[Json]) -> Json:
    patterns = [one["pattern"] for one in alternatives if "pattern" in one]
    if patterns != [_QUANTITY]:
        raise ValueError(f"Kubernetes knows no alternatives such as {alternatives}.")
    return {"type": "string", "pattern": _QUANTITY}


def _pattern(pattern: str) -> Json:
    """Return what a pattern becomes: a rule that speaks, if there is a sentence for it."""
    sentence = SENTENCES.get(pattern)
    if sentence is None:
        return {"pattern": pattern}
    return _validations([rule(f"self.matches(r'{pattern}')", sentence)])


def _validations(rules: list[Json]) -> Json:
    return {"x-kubernetes-validations": list(rules)}


def _is_plain(default: Any) -> bool:
    return isinstance(default, list) and all(isinstance(one, str | int) for one in default)


def _one_paragraph(text: str) -> str:
    """Return a docstring as `kubectl explain` shows it best: paragraphs without breaks."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
