"""A session that was seen -> whether it is let be, put back, or undone (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from porthole_agent.runtimes.fence import too_late
from porthole_agent.runtimes.kubernetes import seen
from porthole_agent.runtimes.kubernetes.manifests import ANNOTATION_APPLIED
from porthole_contract.cluster import Object
from porthole_contract.model import LONGEST_SENTENCE
from porthole_contract.names import OPERATOR_IDLE
from porthole_contract.session import Desired, SessionSpec
from porthole_kube.objects import annotation, is_ending

_DESIRED: Final = "f:desired"


@dataclass(frozen=True, slots=True)
class LetBe:
    """It is as it was ordered, or nothing that we order about."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """Somebody else changed it: `spec` is what it has to be, `message` is for people."""

    spec: SessionSpec
    message: str


@dataclass(frozen=True, slots=True)
class Undo:
    """It was made after it had been deleted: an order came late."""


Verdict = LetBe | PutBack | Undo


def judge(thing: Object, ended: int | None) -> Verdict:
    """Return what is to be done about a session.

    Args:
        thing: the object as it was seen.
        ended: the order of this session's deletion; None: it was not deleted.
    """
    if is_ending(thing) or not seen.is_ours(thing):
        return LetBe()
    if too_late(seen.order_of(thing), ended):
        return Undo()
    applied = seen.applied_spec(annotation(thing, ANNOTATION_APPLIED))
    if applied is None:
        return LetBe()
    wanted = applied.evolve(desired=_desired(thing, applied))
    try:
        found = seen.session_spec(thing)
    except ValidationError:
        return PutBack(wanted, _sentence(["spec"]))
    if found == wanted:
        return LetBe()
    return PutBack(wanted, _sentence(_differences(found, wanted)))


def strays(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that takes away what an apply leaves in place.

    An apply sets our fields and removes no others: what somebody added beside them stays.
    A list is taken away whole; the apply that follows sets it again.
    """
    patch: dict[str, Any] = {}
    for name, value in found.items():
        other = wanted.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            if inner := strays(value, other):
                patch[name] = inner
        elif other is None or (isinstance(value, list) and value != other):
            patch[name] = None
    return patch


def _desired(thing: Object, applied: SessionSpec) -> Desired:
    """Return what `desired` may be: what was ordered, or sleep for one that was idle."""
    found = (thing.get("spec") or {}).get("desired")
    if found == Desired.HIBERNATED and _set_by(thing, OPERATOR_IDLE):
        return Desired.HIBERNATED
    return applied.desired


def _set_by(thing: Object, manager: str) -> bool:
    """Whether `spec.desired` is among the fields that a field manager has set."""
    for entry in thing["metadata"].get("managedFields") or []:
        fields: Any = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if entry.get("manager") == manager and _DESIRED in fields:
            return True
    return False


def _differences(found: SessionSpec, wanted: SessionSpec) -> list[str]:
    one, other = found.to_dict(), wanted.to_dict()
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _sentence(fields: list[str]) -> str:
    text = (
        f"Somebody changed {', '.join(fields)}. This session belongs to a control plane, so it"
        " was put back; change it there."
    )
    return text[:LONGEST_SENTENCE]
