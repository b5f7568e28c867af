"""Session `porthole.dev/v1alpha1`: one desktop for one user, for as long as it lives."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from porthole_contract.conditions import Condition
from porthole_contract.keyboard import Keyboard
from porthole_contract.lifecycle import Phase
from porthole_contract.model import NO_NUL, Code, Frozen, Message, Moment, Sentence
from porthole_contract.names import GROUP, LONGEST_SESSION_NAME, check_name, check_owner
from porthole_contract.quantities import Duration, Quantity, parse_quantity

LONGEST_ENVIRONMENT = 128 * 1024
"""Characters of all names and values of a desktop's environment together."""


def _not_ours(key: str) -> str:
    prefix = key.partition("/")[0]
    if "/" in key and (prefix == GROUP or prefix.endswith(f".{GROUP}")):
        raise ValueError(f"labels under {GROUP}/ are Porthole's own")
    return key


def _not_too_long(env: tuple["EnvVar", ...]) -> tuple["EnvVar", ...]:
    if sum(len(one.name) + len(one.value) for one in env) > LONGEST_ENVIRONMENT:
        raise ValueError(f"must be at most {LONGEST_ENVIRONMENT} characters long in all")
    return env


class Desired(StrEnum):
    """What a session should be. Ending it is deletion, not a desired value."""

    RUNNING = "Running"
    HIBERNATED = "Hibernated"


class Protocol(StrEnum):
    """How a desktop is looked at."""

    VNC = "vnc"
    RDP = "rdp"


Name = Annotated[
    str,
    AfterValidator(check_name),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_SESSION_NAME,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        }
    ),
]
Owner = Annotated[
    str,
    AfterValidator(check_owner),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": 253, "pattern": r"^[^\x00-\x20\x7f/\\]+$"}
    ),
]
_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_VALUE_SCHEMA = {"type": "string", "maxLength": 63, "pattern": _VALUE}
_MOST_LABELS = 64


def _labels_schema(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "maxProperties": _MOST_LABELS,
        "propertyNames": {"pattern": _KEY},
        "additionalProperties": values,
    }


LabelValue = Annotated[str, Field(max_length=63, pattern=_VALUE)]
LabelKey = Annotated[str, Field(pattern=_KEY), AfterValidator(_not_ours)]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(max_length=_MOST_LABELS),
    WithJsonSchema(_labels_schema(_VALUE_SCHEMA)),
]
LabelsPatch = Annotated[
    dict[LabelKey, LabelValue | None],
    Field(max_length=_MOST_LABELS),
    WithJsonSchema(_labels_schema({"anyOf": [_VALUE_SCHEMA, {"type": "null"}]})),
]
"""A merge patch of labels: None takes one away."""


TEMPLATE_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?(@[1-9][0-9]{0,8})?$"
TEMPLATE_SENTENCE = (
    "must be the name of a template, such as desktop, or one of its revisions, such as"
    f" desktop@3: at most {LONGEST_SESSION_NAME} lower-case letters, digits and '-', then, if"
    " need be, '@' and a number from 1 on"
)


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """Which template, and which of its revisions (None: the newest at creation).

    `str` makes the one form in which people and programs write it: `desktop`, `desktop@3`.
    """

    name: str
    revision: int | None = None

    @classmethod
    def parse(cls, text: str) -> "TemplateRef":
        """Read `name` or `name@revision`.

        Raises:
            ValueError: it is neither.
        """
        if not isinstance(text, str) or re.fullmatch(TEMPLATE_PATTERN, text) is None:
            raise ValueError(TEMPLATE_SENTENCE)
        name, _, revision = text.partition("@")
        return cls(name, int(revision) if revision else None)

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def _template(value: Any) -> TemplateRef:
    return TemplateRef.parse(str(value) if isinstance(value, TemplateRef) else value)


Template = Annotated[
    TemplateRef,
    PlainValidator(_template),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_SESSION_NAME + 10,
            "pattern": TEMPLATE_PATTERN,
        }
    ),
]


class Display(Frozen):
    """The screen. Width and height in pixels, scale in percent of 96 dpi."""

    width: Annotated[int, Field(ge=320, le=7680)] = 1280
    """Pixels from left to right."""
    height: Annotated[int, Field(ge=240, le=4320)] = 720
    """Pixels from top to bottom."""
    scale: Annotated[int, Field(ge=50, le=400)] = 100
    """How large things are drawn, in percent: 200 suits a screen of twice the density."""


class EnvVar(Frozen):
    """One variable of the desktop's environment."""

    name: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """The variable's name: letters, digits and `_`, not beginning with a digit."""
    value: Annotated[str, Field(max_length=32768, pattern=NO_NUL)] = ""
    """Its value, taken as it is: nothing in it is expanded."""


class ResourceList(Frozen):
    """Amounts of what a machine has; None leaves it to the template or the runtime."""

    cpu: Quantity | None = None
    """Processors: `2`, or `500m` for half of one."""
    memory: Quantity | None = None
    """Bytes of memory, such as `2Gi`."""
    storage: Quantity | None = None
    """Bytes of the home, or of what stands in for one, such as `5Gi`."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        for name in ("cpu", "memory", "storage"):
            value = getattr(self, name)
            if value is not None and parse_quantity(value) <= 0:
                raise ValueError(f"{name} must be more than nothing")
        return self


class Resources(Frozen):
    """What is set aside for a session, and what it may use at the most."""

    requests: ResourceList = ResourceList()
    """What is set aside for it, so that it is there when it is needed."""
    limits: ResourceList = ResourceList()
    """What it may use at the most."""


class Idle(Frozen):
    """What happens when nobody has used the session for `after` (None: nothing)."""

    after: Duration | None = None
    """How long nobody must have touched pointer or keys, such as `30m`. Left out: nothing
    happens, however long that is."""
    action: Literal["Hibernate", "Delete"] = "Hibernate"
    """What happens then. `Hibernate` stops it and keeps its home, `Delete` ends it."""


Locale = Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z_]+(\.[A-Za-z0-9-]+)?(@[a-z]+)?$")]
Timezone = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")]
Start = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00\n\r]*$")]


Home = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f/]+$")]


class SessionFields(Frozen):
    """What a session may ask for and a template may give defaults to."""

    protocol: Protocol | None = None
    """How it is looked at: `vnc` or `rdp`. Left out: what its template speaks first."""
    display: Display | None = None
    """The screen. Left out: as the template says, else 1280 by 720."""
    keyboard: Keyboard | None = None
    """The layout of the keyboard as X knows it: `us`, `de(nodeadkeys)`."""
    locale: Locale | None = None
    """Language and country of programs, such as `de_DE.UTF-8`."""
    timezone: Timezone | None = None
    """The time zone of the desktop's clock, such as `Europe/Berlin`."""
    env: (
        Annotated[tuple[EnvVar, ...], Field(max_length=256), AfterValidator(_not_too_long)] | None
    ) = None
    """Variables of the environment of all its programs; of two with one name the later is
    taken."""
    start: Start | None = None
    """What is opened in it at first: a URL or a command, as the template's programs take it."""
    resources: Resources | None = None
    """What of a machine it gets. Left out: as the template says."""
    idle: Idle | None = None
    """What happens when nobody uses it. Left out: as the template says."""
    lifetime: Duration | None = None
    """How long it may live from its creation, such as `8h`; then it is deleted. Left out: as
    long as the template allows."""


class SessionSpec(SessionFields):
    """What a session should be.

    On a session that was made with kubectl the API sets `desired` and nothing else.
    """

    owner: Owner
    """Whose it is: a user's name, without spaces and slashes. It never changes."""
    template: Template
    """What it is made from, by its name: `desktop`. It keeps the revision that it started with;
    `desktop@3` is the third, where a control plane counts them. In a cluster the template lies
    in the namespace of the session."""
    desired: Desired = Desired.RUNNING
    """What it should be: `Running`, or `Hibernated`, which stops it and keeps its home. It is
    ended by deleting it."""
    home: Home | None = None
    """The name of the owner's home that is mounted in it, made if there is none yet. It stays
    when the session is gone, and one session at a time has it. Left out: its files end with
    it."""
    labels: Labels = Field(default_factory=dict)
    """Words of your own to find it by: keys and values as Kubernetes takes them in labels.
    Keys below `porthole.dev/` are Porthole's."""


Count = Annotated[int, Field(ge=0, lt=2**31)]


class GateAddress(Message):
    """Where a session's gate listens, and the SHA-256 of its certificate (lower hex)."""

    address: Annotated[str, Field(max_length=512, pattern=NO_NUL)]
    """Where it listens: a host and a port in a cluster, a unix socket on one machine."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of its certificate, in lower-case hexadecimal digits."""


class SessionStatus(Message):
    """What a session is, as the runtime saw it. Only the runtime writes it."""

    phase: Phase = Phase.PENDING
    """Where it is in its life: `docs/lifecycle.md` tells what each phase means."""
    reason: Code = ""
    """Why it is in this phase, as one word for programs."""
    message: Sentence = ""
    """Why it is in this phase, as a sentence for people."""
    observed_generation: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The `metadata.generation` of the spec that this status is about."""
    order: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """The number of the control plane's wish that this status is about; 0 without one."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32)] = ()
    """What holds of it and what does not, one entry for each type; `Ready` is the one to wait
    for."""
    pod_name: Annotated[str, Field(max_length=253, pattern=NO_NUL)] | None = None
    """The pod that it runs in, while it has one."""
    gate: GateAddress | None = None
    """Where viewers are let in."""
    started_at: Moment | None = None
    """When its screen was first painted."""
    last_activity_at: Moment | None = None
    """When somebody last used pointer or keys in it."""
    viewers: Count = 0
    """How many look at it now."""
    restarts: Count = 0
    """How often what ran was lost and begun again."""
    home: UUID | None = None
    """The id of the home that it holds."""


class PinnedName(Message):
    """Which revision of a template a session is held to; `revision` if a control plane counts."""

    name: Name
    """The template's name."""
    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    """The number of the revision, if a control plane counts them."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of what the revision says, in lower-case hexadecimal digits."""
    protocols: Annotated[tuple[Protocol, ...], Field(max_length=8)] = ()
    """Over which protocols its desktops are seen, the usual one first; none: it was not noted."""


class Attempt(Message):
    """What the operator remembers of its attempts to run a session."""

    number: Count = 0
    """The number of the present or next attempt; a pod that carries a lower one is of the past."""
    begun_at: Moment | None = None
    """When the present attempt was begun; left out while there is none."""
    not_before: Moment | None = None
    """The end of a back-off: it is not begun again before."""
    losses: Annotated[tuple[Moment, ...], Field(max_length=16)] = ()
    """The moments of losses that count against it, oldest first."""
    drawn: bool = False
    """Whether its screen has been painted at least once."""


class ObjectStatus(SessionStatus):
    """What a session is, and what the operator must remember of it.

    Only the operator writes it. What an agent reports is the `SessionStatus` in it.
    """

    phase_since: Moment | None = None
    """When it entered its phase."""
    template: PinnedName | None = None
    """The revision of its template that it keeps."""
    attempt: Attempt = Attempt()
    """What the operator remembers of its attempts to run it."""


class Session(Frozen):
    """The object: who it is, what it should be, what it is."""

    id: UUID
    name: Name
    spec: SessionSpec
    status: SessionStatus = SessionStatus()

    def manifest(self) -> dict[str, Any]:
        """Return the Kubernetes object (without `status`)."""
        return {
            "apiVersion": "porthole.dev/v1alpha1",
            "kind": "Session",
            "metadata": {"name": self.name},
            "spec": self.spec.to_dict(),
        }
