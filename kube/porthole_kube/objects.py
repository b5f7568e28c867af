"""What every object of a cluster has (pure)."""

from porthole_contract.cluster import Object

Key = tuple[str, str]
"""Namespace and name of an object."""


def key_of(thing: Object) -> Key:
    """Return where an object is."""
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def uid_of(thing: Object) -> str:
    """Return who an object is: another one of the same name has another."""
    return str(thing["metadata"]["uid"])


def version_of(thing: Object) -> str:
    """Return which state of an object this is."""
    return str(thing["metadata"]["resourceVersion"])


def is_ending(thing: Object) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in thing["metadata"]


def annotation(thing: Object, name: str) -> str | None:
    """Return one annotation of an object."""
    value = (thing["metadata"].get("annotations") or {}).get(name)
    return None if value is None else str(value)
