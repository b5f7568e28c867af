"""What a session comes to: its own wishes, its template's defaults, ours, within limits.

Pure. A wish wins over the template's default, that over the runtime's. Where nobody wished
for anything the template's limit is the ceiling; a wish that is over a limit is refused in
a sentence and never cut silently.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, NamedTuple, TypeVar

from porthole_contract.errors import Refused
from porthole_contract.keyboard import DEFAULT_KEYBOARD
from porthole_contract.quantities import (
    format_bytes,
    format_cores,
    format_duration,
    parse_quantity,
)
from porthole_contract.session import (
    Display,
    EnvVar,
    Protocol,
    ResourceList,
    SessionSpec,
)
from porthole_contract.template import (
    ClipboardRules,
    Egress,
    FileRules,
    Program,
    SessionTemplateSpec,
)

T = TypeVar("T")


class _Ours(NamedTuple):
    """What the runtime sets aside and allows if nobody says, and the least that makes sense."""

    request: float
    limit: float
    smallest: float


_CPU: Final = _Ours(0.25, 2, 0.05)
_MEMORY: Final = _Ours(512 * 2**20, 2 * 2**30, 128 * 2**20)
_STORAGE: Final = _Ours(5 * 2**30, 5 * 2**30, 16 * 2**20)


@dataclass(frozen=True, slots=True)
class Effective:
    """Everything that the runtime needs to begin a session; cores, bytes.

    `protocols` is what its desktop speaks, all of it at once: whatever its template lists.
    """

    protocols: tuple[Protocol, ...]
    display: Display
    keyboard: str
    locale: str
    timezone: str
    env: tuple[EnvVar, ...]
    start: str | None
    programs: tuple[Program, ...]
    packages: tuple[str, ...]
    egress: Egress
    files: FileRules
    clipboard: ClipboardRules
    cpu_request: float
    cpu_limit: float
    memory_request: int
    memory_limit: int
    storage: int
    idle_after: timedelta | None
    idle_action: Literal["Hibernate", "Delete"]
    lifetime: timedelta | None


def resolve(spec: SessionSpec, template: SessionTemplateSpec) -> Effective:
    """Return what `spec` comes to under `template`.

    Raises:
        Refused: `limit_exceeded`, `protocol_not_offered` or `resources_too_small`.
    """
    defaults = template.defaults
    protocol = _first(spec.protocol, defaults.protocol, template.protocols[0])
    if protocol not in template.protocols:
        raise Refused("protocol_not_offered", f"The template has no desktop over {protocol}.")
    idle = _first(spec.idle, defaults.idle, template.idle)
    limits = template.limits
    cpu_request, cpu_limit = _share(spec, template, "cpu", _CPU)
    memory_request, memory_limit = _share(spec, template, "memory", _MEMORY)
    _, storage = _share(spec, template, "storage", _STORAGE)
    return Effective(
        protocols=template.protocols,
        display=_first(spec.display, defaults.display, Display()),
        keyboard=keyboard_of(spec, template),
        locale=_first(spec.locale, defaults.locale, "C.UTF-8"),
        timezone=_first(spec.timezone, defaults.timezone, "Etc/UTC"),
        env=_environment(defaults.env or (), spec.env or ()),
        start=spec.start if spec.start is not None else defaults.start,
        programs=template.programs,
        packages=template.packages,
        egress=template.egress,
        files=template.files,
        clipboard=template.clipboard,
        cpu_request=cpu_request,
        cpu_limit=cpu_limit,
        memory_request=int(memory_request),
        memory_limit=int(memory_limit),
        storage=int(storage),
        idle_after=_span(idle.after, limits.idle_after, "be idle for"),
        idle_action=idle.action,
        lifetime=_span(
            spec.lifetime if spec.lifetime is not None else defaults.lifetime,
            limits.lifetime,
            "live for",
        ),
    )


def set_aside(cpu: str | None, memory: str | None) -> tuple[float, int]:
    """Return cores and bytes that requests come to; None takes what the runtime sets aside."""
    return (
        _CPU.request if cpu is None else float(parse_quantity(cpu)),
        int(_MEMORY.request if memory is None else parse_quantity(memory)),
    )


def keyboard_of(spec: SessionSpec, template: SessionTemplateSpec) -> str:
    """Return the keyboard layout of a session, as X knows it."""
    return _first(spec.keyboard, template.defaults.keyboard, DEFAULT_KEYBOARD)


def _first(*values: T | None) -> T:
    """Return the first that is not None; the last one never is."""
    found = next(value for value in values if value is not None)
    assert found is not None
    return found


def _environment(*layers: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    """Return the variables of all layers; a later one of the same name wins."""
    return tuple({variable.name: variable for layer in layers for variable in layer}.values())


def _share(
    spec: SessionSpec,
    template: SessionTemplateSpec,
    name: Literal["cpu", "memory", "storage"],
    ours: _Ours,
) -> tuple[float, float]:
    """Return (what is set aside, what may be used) of one resource."""
    sources = [spec.resources, template.defaults.resources, template.resources]
    requests = [_amount(source.requests, name) for source in sources if source is not None]
    limits = [_amount(source.limits, name) for source in sources if source is not None]
    ceiling = _amount(template.limits.resources, name)
    most = next((value for value in limits if value is not None), None)
    least = next((value for value in requests if value is not None), None)
    if most is None:
        most = max(ours.limit, least or 0)
        if ceiling is not None and (least is None or least <= ceiling):
            most = min(most, ceiling)
    if least is None:
        least = min(ours.request, most)
    most = max(most, least)
    says = format_cores if name == "cpu" else format_bytes
    if ceiling is not None and most > ceiling:
        raise Refused(
            "limit_exceeded",
            f"It asks for more {name} than its template allows"
            f" ({says(most)} over {says(ceiling)}).",
        )
    if most < ours.smallest:
        raise Refused(
            "resources_too_small",
            f"A desktop needs at least {says(ours.smallest)} of {name}; it may have {says(most)}.",
        )
    return least, most


def _amount(resources: ResourceList, name: Literal["cpu", "memory", "storage"]) -> float | None:
    text = {"cpu": resources.cpu, "memory": resources.memory, "storage": resources.storage}[name]
    return None if text is None else float(parse_quantity(text))


def _span(wish: timedelta | None, limit: timedelta | None, what: str) -> timedelta | None:
    if wish is not None and limit is not None and wish > limit:
        raise Refused(
            "limit_exceeded",
            f"It asks to {what} {format_duration(wish)};"
            f" its template allows {format_duration(limit)}.",
        )
    return limit if wish is None else wish
