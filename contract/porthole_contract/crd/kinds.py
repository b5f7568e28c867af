"""Our kinds as CustomResourceDefinitions, whole."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from porthole_contract.crd.pod import described
from porthole_contract.crd.rules import SESSION, TEMPLATE, TICKET
from porthole_contract.crd.structural import Json, structural
from porthole_contract.names import GROUP, VERSION
from porthole_contract.session import ObjectStatus, SessionSpec
from porthole_contract.template import SessionTemplateSpec
from porthole_contract.ticket import SessionTicketSpec, SessionTicketStatus

_UNSEEN: Final = "No operator has seen it yet."


def kinds() -> tuple[Json, ...]:
    """Return the definition of every kind, in the order in which they should be made."""
    return (templates(), sessions(), tickets())


def sessions() -> Json:
    """Return the definition of Session."""
    schema = _object(
        "One desktop for one user, for as long as it lives. Deleting it ends the desktop; the"
        " home it has had stays.",
        SESSION,
        spec=SessionSpec,
        status=ObjectStatus,
    )
    status = schema["properties"]["status"]
    status["default"] = {"phase": "Pending", "message": _UNSEEN}
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    # A newer operator may know more of them than the definition that is installed.
    del conditions["items"]["properties"]["type"]["enum"]
    conditions["items"]["properties"]["type"]["maxLength"] = 316
    columns = [
        _column("Phase", ".status.phase"),
        _column("Owner", ".spec.owner"),
        _column("Template", ".spec.template"),
        _column("Reason", ".status.reason", "Why it is in this phase."),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
        _column("Viewers", ".status.viewers", "How many look at it.", kind="integer", wide=True),
        _column("Home", ".spec.home", wide=True),
        _column("Pod", ".status.podName", wide=True),
        _column("Message", ".status.message", wide=True),
    ]
    return _definition("Session", "sessions", "sess", schema, columns, status=True)


def templates() -> Json:
    """Return the definition of SessionTemplate."""
    schema = _object(
        "What sessions are made from. Changing it changes no session that has started: each"
        " keeps the revision that it started with.",
        TEMPLATE,
        spec=SessionTemplateSpec,
    )
    fields = schema["properties"]["spec"]["properties"]
    fields["pod"] = described(fields["pod"])
    columns = [
        _column("Title", ".spec.title"),
        _column("Image", ".spec.image"),
        _column("Profile", ".spec.profile", wide=True),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
    ]
    return _definition("SessionTemplate", "sessiontemplates", "stpl", schema, columns)


def tickets() -> Json:
    """Return the definition of SessionTicket."""
    schema = _object(
        "The right to open one stream to a session, once and soon, asked of the operator by"
        " somebody who has no control plane. It is deleted by itself.",
        TICKET,
        spec=SessionTicketSpec,
        status=SessionTicketStatus,
    )
    schema["properties"]["status"]["default"] = {"state": "Pending", "message": _UNSEEN}
    columns = [
        _column("Session", ".spec.session"),
        _column("Mode", ".spec.mode"),
        _column("State", ".status.state"),
        _column("Reason", ".status.reason"),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
    ]
    return _definition("SessionTicket", "sessiontickets", "stkt", schema, columns, status=True)


def _object(
    description: str, rules: Mapping[str, list[Json]], **parts: type[BaseModel]
) -> dict[str, Any]:
    """Return the schema of an object with these parts; only `spec` must be there."""
    schema: dict[str, Any] = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"`{GROUP}/{VERSION}`: in which words the object is written.",
            },
            "kind": {"type": "string", "description": "What kind of object it is."},
            "metadata": {"type": "object"},
        },
    }
    for name, model in parts.items():
        prefix = f"{name}."
        own = {
            path.removeprefix(prefix) if path != name else "": some
            for path, some in rules.items()
            if path == name or path.startswith(prefix)
        }
        schema["properties"][name] = structural(model, own)
    schema["x-kubernetes-validations"] = rules[""]
    return schema


def _column(
    name: str, path: str, description: str = "", *, kind: str = "string", wide: bool = False
) -> Json:
    column: Json = {"name": name, "type": kind, "jsonPath": path}
    if description:
        column["description"] = description
    if wide:
        column["priority"] = 1
    return column


def _definition(
    kind: str, plural: str, short: str, schema: Json, columns: list[Json], *, status: bool = False
) -> Json:
    version: Json = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "porthole"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": plural.removesuffix("s"),
                "shortNames": [short],
                "categories": ["porthole"],
            },
            "versions": [version],
        },
    }
