"""Who may write what, as ValidatingAdmissionPolicy: what a schema cannot know is who asks.

RBAC says who may write a kind at all; these say what of it. They hold in the namespaces of
sessions only, so that two installations in one cluster do not judge each other's objects. A
policy that cannot be evaluated refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from porthole_contract.crd.structural import Json
from porthole_contract.names import (
    ANNOTATION_HOME_ID,
    ANNOTATION_ORDER,
    ANNOTATION_ORIGIN,
    ANNOTATION_OWNERS,
    ANNOTATION_SESSION_ID,
    ANNOTATION_TEMPLATE_DIGEST,
    GROUP,
)


@dataclass(frozen=True, slots=True)
class Installation:
    """The names of one installation; a chart puts its own expressions here.

    `name` begins the names of all policies. `namespaces` are those of sessions. `agent` and
    `operator` are usernames, as the API server knows them.
    """

    name: str = "porthole"
    namespaces: Sequence[str] = ("porthole-sessions",)
    agent: str = "system:serviceaccount:porthole-system:porthole-agent"
    operator: str = "system:serviceaccount:porthole-system:porthole-operator"


_OURS: Final = f"(key.startsWith('{GROUP}/') || key.contains('.{GROUP}/'))"
_AGENTS: Final = (
    ANNOTATION_HOME_ID,
    ANNOTATION_ORDER,
    ANNOTATION_ORIGIN,
    ANNOTATION_SESSION_ID,
    ANNOTATION_TEMPLATE_DIGEST,
)
_FOR_EVER: Final = (ANNOTATION_ORIGIN, ANNOTATION_SESSION_ID)
_ASKS: Final = "request.userInfo.username"
_RIGHT: Final = f"authorizer.group('{GROUP}').resource('sessions').namespace(request.namespace)"
_GIVEN: Final = {
    "name": "given",
    "expression": (
        f"namespaceObject.metadata.?annotations[?'{ANNOTATION_OWNERS}'].orValue('')"
        ".split('\\n').map(line, line.trim())"
    ),
}
"""The lines of the namespace's mapping: `username: owner`."""
_CHILDREN: Final = {
    "": ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims"],
    "apps": ["controllerrevisions"],
    "networking.k8s.io": ["networkpolicies"],
}


def policies(place: Installation) -> tuple[Json, ...]:
    """Return every policy with its binding."""
    made = (
        _owners(place),
        _status(place),
        _marks(place),
        _children(place),
        _tickets(place),
    )
    return tuple(manifest for policy in made for manifest in (policy, _binding(policy, place)))


def _owners(place: Installation) -> Json:
    """Return who may own: oneself, whom the namespace gives one, or anybody by a right."""
    may = (
        f"object.spec.owner == {_ASKS}"
        f" || ({_ASKS} + ': ' + object.spec.owner) in variables.given"
        f" || {_RIGHT}.subresource('for-others').check('create').allowed()"
    )
    return _policy(
        place,
        "session-owners",
        {GROUP: ["sessions"]},
        ["CREATE"],
        _must(
            may,
            "spec.owner: you may make sessions for yourself, for whom the namespace's"
            f" annotation {ANNOTATION_OWNERS} gives you, and for others only with the right"
            " to create sessions/for-others.",
            said=(
                f'"spec.owner: you are \'" + {_ASKS} + "\' and may not make sessions for \'"'
                " + object.spec.owner + \"'; that needs a line in the namespace's annotation"
                f' {ANNOTATION_OWNERS}, or the right to create sessions/for-others."'
            ),
        ),
        variables=[_GIVEN],
    )


def _status(place: Installation) -> Json:
    """Return who says what is: the operator."""
    return _policy(
        place,
        "session-status",
        {GROUP: ["sessions/status", "sessiontickets/status"]},
        ["CREATE", "UPDATE"],
        _must(
            f"{_ASKS} == {_text(place.operator)}",
            "status: only Porthole's operator writes it.",
        ),
    )


def _marks(place: Installation) -> Json:
    """Return who says where a Session comes from: the agent, once."""
    agent, operator = _text(place.agent), _text(place.operator)
    agents, for_ever = _texts(_AGENTS), _texts(_FOR_EVER)
    return _policy(
        place,
        "session-marks",
        {GROUP: ["sessions"]},
        ["CREATE", "UPDATE"],
        _must(
            f"{_ASKS} == {agent} || {agents}.all(key,"
            " variables.annotations[?key] == variables.annotationsBefore[?key])",
            "metadata.annotations: origin, order and identities below"
            f" {GROUP}/ are written by Porthole's agent alone.",
        ),
        _must(
            f"request.operation == 'CREATE' || {for_ever}.all(key,"
            " variables.annotations[?key] == variables.annotationsBefore[?key])",
            f"metadata.annotations: {ANNOTATION_ORIGIN} and {ANNOTATION_SESSION_ID} never change.",
        ),
        _untouched("annotations", f"{_ASKS} in [{agent}, {operator}]"),
        _untouched("labels", f"{_ASKS} in [{agent}, {operator}]"),
        variables=_before_and_after(),
    )


def _children(place: Installation) -> Json:
    """Return who makes what belongs to a session: the operator; the agent pins templates."""
    agent, operator = _text(place.agent), _text(place.operator)
    us = (
        f"{_ASKS} == {operator}"
        f" || {_ASKS} == {agent} && request.resource.resource == 'controllerrevisions'"
    )
    before = "oldObject != null && has(oldObject.metadata.ownerReferences)"
    return _policy(
        place,
        "session-parts",
        _CHILDREN,
        ["CREATE", "UPDATE"],
        _untouched("labels", us),
        _untouched("annotations", us),
        _must(
            f"{us} || object.metadata.?ownerReferences.orValue([]).all(owner,"
            f" !owner.apiVersion.startsWith('{GROUP}/')"
            f" || {before} && oldObject.metadata.ownerReferences.exists(other,"
            " other.uid == owner.uid))",
            "metadata.ownerReferences: only Porthole makes what belongs to a Session.",
        ),
        variables=_before_and_after(),
    )


def _tickets(place: Installation) -> Json:
    """Return who may open a session without a control plane.

    The operator compares the owner that a ticket names with the session's.
    """
    may = (
        f"{_RIGHT}.subresource('connect').name(object.spec.session).check('create').allowed()"
        " || has(object.spec.owner)"
        f" && (object.spec.owner == {_ASKS}"
        f" || ({_ASKS} + ': ' + object.spec.owner) in variables.given)"
    )
    return _policy(
        place,
        "session-tickets",
        {GROUP: ["sessiontickets"]},
        ["CREATE"],
        _must(
            may,
            "spec: you may open your own sessions (name yourself in spec.owner), those of"
            f" whom the namespace's annotation {ANNOTATION_OWNERS} gives you, and others"
            " only with the right to create sessions/connect.",
        ),
        variables=[_GIVEN],
    )


def _before_and_after() -> list[Json]:
    return [
        {
            "name": f"{name}{suffix}",
            "expression": f"{thing} == null ? {{}} : {thing}.metadata.?{name}.orValue({{}})",
        }
        for name in ("annotations", "labels")
        for thing, suffix in (("object", ""), ("oldObject", "Before"))
    ]


def _untouched(what: str, us: str) -> Json:
    """Return that whoever is not `us` leaves our labels or annotations as they are."""
    after, before = f"variables.{what}", f"variables.{what}Before"
    return _must(
        f"{us} || {after}.all(key, !{_OURS} || {before}[?key] == {after}[?key])"
        f" && {before}.all(key, !{_OURS} || key in {after})",
        f"metadata.{what}: those below {GROUP}/ are written by Porthole alone.",
    )


def _policy(
    place: Installation,
    name: str,
    resources: dict[str, list[str]],
    operations: list[str],
    *validations: Json,
    variables: Sequence[Json] = (),
) -> Json:
    rules = [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": operations,
            "resources": names,
        }
        for group, names in resources.items()
    ]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {
            "name": f"{place.name}-{name}",
            "labels": {"app.kubernetes.io/part-of": "porthole"},
        },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules},
            **({"variables": list(variables)} if variables else {}),
            "validations": list(validations),
        },
    }


def _binding(policy: Json, place: Installation) -> Json:
    within = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": list(place.namespaces),
    }
    return {
        "apiVersion": policy["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": policy["metadata"],
        "spec": {
            "policyName": policy["metadata"]["name"],
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchExpressions": [within]}},
        },
    }


def _must(expression: str, message: str, *, said: str | None = None) -> Json:
    """Return a validation; `said` is CEL that makes a better sentence than `message`."""
    made = {"expression": expression, "message": message, "reason": "Forbidden"}
    return made if said is None else {**made, "messageExpression": said}


def _text(value: str) -> str:
    return f"'{value}'"


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
