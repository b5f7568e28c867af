"""As much of PromQL as it takes to say which metrics an expression asks for, by which labels."""

import re
from dataclasses import dataclass

_SELECTOR = re.compile(r"\b(porthole_[a-z0-9_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'\s*([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_BY = re.compile(r"\bby \(([a-z_, ]*)\)")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Asked:
    """One metric that is asked for.

    Attributes:
        metric: the name of its samples.
        labels: those by which it is selected.
        values: for each label that must be one of several words, these words.
    """

    metric: str
    labels: frozenset[str]
    values: tuple[tuple[str, frozenset[str]], ...]


def asked(expression: str) -> list[Asked]:
    """Return the metrics that an expression asks for.

    Raises:
        ValueError: its brackets do not close, or what stands in braces is no list of matchers.
    """
    plain = _STRINGS.sub('""', expression)
    for opening, closing in ("()", "{}", "[]"):
        if plain.count(opening) != plain.count(closing):
            raise ValueError(f"{opening} and {closing} do not match in {expression!r}")
    found = []
    for metric, inside in _SELECTOR.findall(expression):
        matchers = _MATCHER.findall(inside)
        if _MATCHER.sub("", inside).strip():
            raise ValueError(f"{inside!r} is no list of matchers")
        values = tuple(
            (label, frozenset(value.split("|")))
            for label, how, value in matchers
            if how in {"=", "=~"} and re.fullmatch(r"[\w|]+", value)
        )
        found.append(Asked(metric, frozenset(label for label, _, _ in matchers), values))
    return found


def grouped(expression: str) -> set[str]:
    """Return the labels by which an expression groups."""
    inside = [label.strip() for labels in _BY.findall(expression) for label in labels.split(",")]
    return {label for label in inside if label}
