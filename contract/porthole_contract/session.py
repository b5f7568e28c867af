"""Session `porthole.dev/v1alpha1`: one desktop for one user, for as long as it lives."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from porthole_contract.conditions import Condition
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
Owner = Annotated[str, AfterValidator(check_owner)]
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


class TemplateRef(Frozen):
    """Which template, and which of its revisions (None: the newest at creation)."""

    name: Name
    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class Display(Frozen):
    """The screen. Width and height in pixels, scale in percent of 96 dpi."""

    width: Annotated[int, Field(ge=320, le=7680)] = 1280
    height: Annotated[int, Field(ge=240, le=4320)] = 720
    scale: Annotated[int, Field(ge=50, le=400)] = 100


class EnvVar(Frozen):
    """One variable of the desktop's environment."""

    name: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: Annotated[str, Field(max_length=32768, pattern=r"^[^\x00]*$")] = ""


class ResourceList(Frozen):
    """Amounts of what a machine has; None leaves it to the template or the runtime."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    storage: Quantity | None = None

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
    limits: ResourceList = ResourceList()


class Idle(Frozen):
    """What happens when nobody has used the session for `after` (None: nothing)."""

    after: Duration | None = None
    action: Literal["Hibernate", "Delete"] = "Hibernate"


Locale = Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z_]+(\.[A-Za-z0-9-]+)?(@[a-z]+)?$")]
Timezone = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")]
Keyboard = Annotated[str, Field(max_length=32, pattern=r"^[a-z]{2,8}(\([a-z0-9_-]+\))?$")]
Start = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00\n\r]*$")]


class SessionFields(Frozen):
    """What a session may ask for and a template may give defaults to."""

    protocol: Protocol | None = None
    display: Display | None = None
    keyboard: Keyboard | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None
    env: (
        Annotated[tuple[EnvVar, ...], Field(max_length=256), AfterValidator(_not_too_long)] | None
    ) = None
    start: Start | None = None
    resources: Resources | None = None
    idle: Idle | None = None
    lifetime: Duration | None = None


class SessionSpec(SessionFields):
    """What a session should be. `owner` never changes; `home` is a display name or None.

    `desired` is the only field that the API may set on a session made by kubectl.
    """

    owner: Owner
    template: TemplateRef
    desired: Desired = Desired.RUNNING
    home: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f/]+$")] | None = (
        None
    )
    labels: Labels = Field(default_factory=dict)


Count = Annotated[int, Field(ge=0, lt=2**31)]


class GateAddress(Message):
    """Where a session's gate listens, and the SHA-256 of its certificate (lower hex)."""

    address: Annotated[str, Field(max_length=512, pattern=NO_NUL)]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SessionStatus(Message):
    """What a session is, as the runtime saw it. Only the runtime writes it."""

    phase: Phase = Phase.PENDING
    reason: Code = ""
    message: Sentence = ""
    observed_generation: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    order: Annotated[int, Field(ge=0, lt=2**53)] = 0
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32)] = ()
    pod_name: Annotated[str, Field(max_length=253, pattern=NO_NUL)] | None = None
    gate: GateAddress | None = None
    started_at: Moment | None = None
    last_activity_at: Moment | None = None
    viewers: Count = 0
    restarts: Count = 0
    home: UUID | None = None


class PinnedName(Message):
    """Which revision of a template a session is held to; `revision` if a control plane counts."""

    name: Name
    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Attempt(Message):
    """What the operator remembers of its attempts to run a session.

    `number`: of the present or next one; a pod that carries a lower one is of the past.
    `begun_at`: when the present one was begun, none while there is none. `not_before`: the
    end of a back-off. `losses`: the moments of losses that count against it, oldest first.
    `drawn`: its screen has been painted at least once.
    """

    number: Count = 0
    begun_at: Moment | None = None
    not_before: Moment | None = None
    losses: Annotated[tuple[Moment, ...], Field(max_length=16)] = ()
    drawn: bool = False


class ObjectStatus(SessionStatus):
    """The status of a Session object: what is told of it, and what the operator must remember.

    `phase_since`: when the phase was entered. Only the operator writes it; what an agent
    reports is the `SessionStatus` in it.
    """

    phase_since: Moment | None = None
    template: PinnedName | None = None
    attempt: Attempt = Attempt()


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
