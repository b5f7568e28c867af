"""What must hold of our objects, in CEL, each with the sentence that a person gets.

The API server counts what a rule may cost before it accepts it, with every text as long as
it may be; so a rule stands where lengths are bounded.
"""

from typing import Any, Final

from porthole_contract.names import GROUP, LONGEST_SESSION_NAME
from porthole_contract.session import (
    LONGEST_ENVIRONMENT,
    TEMPLATE_PATTERN,
    TEMPLATE_SENTENCE,
)
from porthole_contract.template import LONGEST_COMMANDS

Json = dict[str, Any]


def rule(expression: str, message: str) -> Json:
    """Return an entry of `x-kubernetes-validations`."""
    return {"rule": expression, "message": message}


SENTENCES: Final[dict[str, str]] = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": (
        "must be lower-case letters, digits and '-', starting and ending with a letter or a digit"
    ),
    TEMPLATE_PATTERN: TEMPLATE_SENTENCE,
    r"^[^\x00-\x20\x7f/\\]+$": "must not contain spaces, slashes or control characters",
    r"^[^\x00-\x1f/]+$": "must not contain slashes or control characters",
    r"^[A-Za-z_][A-Za-z0-9_]*$": ("must be letters, digits and '_', not beginning with a digit"),
    r"^[a-z]{2,8}(\([a-z0-9_-]+\))?$": "must be a layout such as us or de(nodeadkeys)",
    r"^[A-Za-z_]+(\.[A-Za-z0-9-]+)?(@[a-z]+)?$": "must be a locale such as de_DE.UTF-8",
    r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$": "must be a time zone such as Europe/Berlin",
    r"^[^\x00\n\r]*$": "must be one line",
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$": (
        "must be the value of a label: letters, digits, '-', '_' and '.', starting and ending"
        " with a letter or a digit, or nothing"
    ),
    r"^[0-9a-fA-F.:]+/[0-9]{1,3}$": "must be a network such as 192.0.2.0/24",
    r"^[^\x00-\x20]+$": "must not contain spaces or control characters",
    r"^[a-z0-9][a-z0-9.+-]+$": "must be the name of a Debian package",
    r"^[^\x00-\x1f]+$": "must not contain control characters",
    r"^[A-Za-z0-9+/]{43}=$": "must be the standard base64 of 32 bytes",
}
"""What a person gets instead of a pattern. The others speak for themselves, or stand where a
rule would cost too much."""

_DURATION: Final = r"^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}(\.[0-9]{1,6})?s)?$"
RULES_OF_DURATION: Final = [
    rule(
        f"self != '' && self.matches(r'{_DURATION}')",
        "must be a duration such as 30s, 15m or 8h30m",
    ),
    rule(
        f"self == '' || !self.matches(r'{_DURATION}') || duration(self) <= duration('87840h')",
        "must not be longer than ten years",
    ),
]

_DIGITS: Final = r"(\.[0-9]{1,9})?"
_QUANTITY: Final = (
    rf"^([0-9]{{1,15}}{_DIGITS}(m|k|Ki)?|[0-9]{{1,12}}{_DIGITS}Mi?|[0-9]{{1,9}}{_DIGITS}Gi?"
    rf"|[0-9]{{1,6}}{_DIGITS}Ti?|[0-9]{{1,3}}{_DIGITS}Pi?|[0-7]{_DIGITS}Ei?)$"
)
RULES_OF_QUANTITY: Final = [
    rule(
        f"type(self) == int ? self < {10**15} : self.matches(r'{_QUANTITY}')",
        "must be a quantity such as 500m, 2 or 1Gi",
    ),
    rule(
        "type(self) == int ? self > 0"
        " : !isQuantity(self) || quantity(self).isGreaterThan(quantity('0'))",
        "must be more than nothing",
    ),
]

_NAMED: Final = [
    rule(
        f"size(self.metadata.name) <= {LONGEST_SESSION_NAME}",
        f"metadata.name: must be at most {LONGEST_SESSION_NAME} characters long",
    ),
    rule(
        "self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: must be lower-case letters, digits and '-', starting and ending with a"
        " letter or a digit",
    ),
]

_ENVIRONMENT: Final = [
    rule(
        f"self.map(one, size(one.name) + size(one.value)).sum() <= {LONGEST_ENVIRONMENT}",
        f"must be at most {LONGEST_ENVIRONMENT} characters long in all",
    )
]
_KEY: Final = (
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_LABELS: Final = [
    rule(
        f"self.all(key, key.matches(r'{_KEY}'))",
        "keys must be those of labels: a name of at most 63 letters, digits, '-', '_' and '.',"
        " with a domain and a slash before it if need be",
    ),
    rule(
        f"!self.exists(key, key.startsWith('{GROUP}/') || key.contains('.{GROUP}/'))",
        f"labels under {GROUP}/ are Porthole's own",
    ),
]
_OWNER: Final = [
    # Python and Kubernetes must agree on what can be printed.
    rule(r"!self.matches(r'[\p{C}\p{Z}]')", "must not contain invisible characters"),
    rule("self == oldSelf", "never changes; make a new session for another owner"),
]

SESSION: Final = {
    "": _NAMED,
    "spec.owner": _OWNER,
    "spec.env": _ENVIRONMENT,
    "spec.labels": _LABELS,
}
TEMPLATE: Final = {
    "": _NAMED,
    "spec.defaults.env": _ENVIRONMENT,
    "spec.programs": [
        rule(
            f"self.map(one, one.command.map(part, size(part)).sum()).sum() <= {LONGEST_COMMANDS}",
            f"commands must be at most {LONGEST_COMMANDS} characters long in all",
        )
    ],
}
TICKET: Final = {
    "": [],
    "spec": [rule("self == oldSelf", "never changes; ask again with another ticket")],
}
