"""Tables of the link's frames, from the contract's models.

A table has a row a field: what it is called in JSON, what may stand there, and what its absence
means. Beside it stands the model's own docstring.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from textwrap import fill
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import to_json

from porthole_contract.conditions import Condition
from porthole_contract.link.commands import Body, ControlItem
from porthole_contract.link.frames import FromAgent, FromControl
from porthole_contract.link.reports import (
    AgentItem,
    Capacity,
    ObservedEvent,
    SessionEnded,
    TemplateOffered,
)
from porthole_contract.model import NO_NUL
from porthole_contract.session import GateAddress, ResourceList, SessionSpec, SessionStatus
from porthole_contract.template import PinnedTemplate, SessionTemplateSpec

_ELSEWHERE: Mapping[str, str] = {
    SessionSpec.__name__: "`spec` of a Session",
    SessionTemplateSpec.__name__: "`spec` of a SessionTemplate",
}
"""Objects that people write; the kinds of `crds` describe them field by field."""
_PATTERNS: Mapping[str, str] = {
    NO_NUL: "text",
    r"^[0-9a-f]{32,128}$": "32 to 128 hexadecimal digits, lower case",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits, lower case",
    r"^[0-9a-f]{128}$": "128 hexadecimal digits, lower case",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "small letters, digits and hyphens",
    r"^[^\x00-\x20\x7f/\\]+$": "text without spaces and slashes",
    r"^(([1-9][0-9]{0,14}": "quantity as in Kubernetes",
}
"""What a pattern means, or, where it is long, what begins so; add a new one here."""
_BEGINNING = 19
_PARTS = (
    PinnedTemplate,
    SessionStatus,
    Condition,
    GateAddress,
    ObservedEvent,
    SessionEnded,
    Capacity,
    ResourceList,
    TemplateOffered,
)


def frames() -> str:
    """Return the tables of all frames: who says them, and what stands in them."""
    agent, control = _members(FromAgent), _members(FromControl)
    both = [one for one in agent if one in control]
    return _sections(
        (
            *((one, "said by the agent") for one in agent if one not in both),
            *((one, "said by the control plane") for one in control if one not in both),
            *((one, "said by both") for one in both),
        )
    )


def items() -> str:
    """Return the tables of everything that travels inside `Data`."""
    return _sections(
        (
            *((one, "said by the control plane") for one in _members(ControlItem)),
            *((one, "the `body` of a `Command`") for one in _members(Body)),
            *((one, "said by the agent") for one in _members(AgentItem)),
        )
    )


def nested() -> str:
    """Return the tables of what stands inside several of them."""
    return _sections((one, "a part of others") for one in _PARTS)


def _members(union: Any) -> tuple[type[BaseModel], ...]:
    members: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return members


def _sections(models: Iterable[tuple[type[BaseModel], str]]) -> str:
    return "\n".join(_section(model, whose) for model, whose in models)


def _section(model: type[BaseModel], whose: str) -> str:
    schema = model.model_json_schema(by_alias=True)
    name = schema["properties"].get("type", {}).get("const", model.__name__)
    shown = "Data (from the agent)" if model.__name__ == "AgentData" else name
    shown = "Data (from the control plane)" if model.__name__ == "ControlData" else shown
    required = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {_kind(what, schema)} | {_absent(field, what, required)}"
        f" | {_words(what.get('description', ''))} |"
        for field, what in schema["properties"].items()
        if "const" not in what
    ]
    said = f"*{whose[0].upper()}{whose[1:]}.* {inspect.getdoc(model)}"
    words = "\n\n".join(fill(_words(part), 98) for part in said.split("\n\n"))
    head = ("| field | what stands there | absent | meaning |", "|---|---|---|---|")
    table = "\n".join((*head, *rows)) if rows else "It has no other fields."
    return f"#### {shown}\n\n{words}\n\n{table}\n"


def _words(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _absent(field: str, what: Mapping[str, Any], required: set[str]) -> str:
    if field in required:
        return "never"
    default = what.get("default")
    if default is None:
        return "none, or unknown"
    if default in ("", []) or isinstance(default, dict):
        return "empty"
    return f"`{to_json(default).decode()}`"


def _kind(what: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what may stand in a field, in a few words."""
    some = what.get("anyOf") or what.get("oneOf")
    if some is not None:
        kinds = [_kind(one, schema) for one in some if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in what:
        return _named(what["$ref"].rsplit("/", 1)[1], schema)
    if words := what.get("enum"):
        return " or ".join(f"`{one}`" for one in words)
    if what["type"] == "array":
        most = f", {what['maxItems']} at the most" if "maxItems" in what else ""
        return f"list of {_kind(what['items'], schema)}{most}"
    return _PLAIN[what["type"]](what)


def _named(name: str, schema: Mapping[str, Any]) -> str:
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    found = schema["$defs"][name]
    if "properties" not in found:
        return _kind(found, schema)
    return f"`{found['properties'].get('type', {}).get('const', name)}`"


def _text(what: Mapping[str, Any]) -> str:
    formats = {"uuid": "UUID", "date-time": "moment with its zone (RFC 3339)"}
    if what.get("format") in formats:
        return formats[what["format"]]
    most = f", {what['maxLength']} characters at the most" if "maxLength" in what else ""
    pattern = what.get("pattern", NO_NUL)
    return f"{_PATTERNS.get(pattern) or _PATTERNS[pattern[:_BEGINNING]]}{most}"


def _number(what: Mapping[str, Any]) -> str:
    most = what.get("maximum", what.get("exclusiveMaximum"))
    kind = "whole number" if what["type"] == "integer" else "number"
    above = f" from {what['minimum']}" if "minimum" in what else ""
    known = {2**power: f" below 2^{power}" for power in (31, 53, 63)}
    below = known.get(most, f" to {most}") if most is not None else ""
    return f"{kind}{above}{below}"


_PLAIN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda _: "true or false",
}
