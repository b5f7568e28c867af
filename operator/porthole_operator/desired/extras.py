"""What a template's `pod` may add to a pod, and nothing else (pure).

Whoever may write templates is trusted with images and Secrets, not with the pod's walls: a
field that is not in `Extras` is refused, and so is a volume of a kind that `restricted` does
not know or a mount over a folder of ours.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StrictBool, ValidationError

from porthole_contract.errors import Refused
from porthole_contract.model import Frozen

Object = dict[str, Any]
_VOLUMES: Final = frozenset(
    {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "ephemeral", "csi"}
)
_OURS: Final = ("/run/porthole", "/run/porthole-config", "/run/gate-config", "/opt/porthole")
_EXACTLY_OURS: Final = frozenset({"/", "/home", "/home/user", "/tmp", "/dev", "/dev/shm", "/run"})  # noqa: S108 - of the container
_ALWAYS_MEASURED: Final = frozenset({"cpu", "memory", "ephemeral-storage"})


def _volumes(volumes: tuple[Object, ...]) -> tuple[Object, ...]:
    for volume in volumes:
        name, kinds = volume.get("name"), set(volume) - {"name"}
        if not isinstance(name, str) or len(kinds) != 1 or not kinds <= _VOLUMES:
            raise ValueError(f"a volume has a name and one of {', '.join(sorted(_VOLUMES))}")
        if name in {"home", "sockets", "tmp", "shm", "desktop-config", "gate-config"}:
            raise ValueError(f"the name '{name}' is used by Porthole itself")
        if any("serviceAccountToken" in source for source in _sources(volume)):
            raise ValueError("a desktop gets no token of the cluster")
    return volumes


def _sources(volume: Object) -> list[Object]:
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    return [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []


def _mounts(mounts: tuple[Object, ...]) -> tuple[Object, ...]:
    for mount in mounts:
        path = str(mount.get("mountPath", "")).rstrip("/") or "/"
        under = any(path == ours or path.startswith(f"{ours}/") for ours in _OURS)
        if not path.startswith("/") or ".." in path.split("/") or under or path in _EXACTLY_OURS:
            raise ValueError(f"nothing can be mounted at '{path}'")
    return mounts


def _extended(amounts: dict[str, str | int]) -> dict[str, str | int]:
    for name in amounts:
        if "/" not in name or name in _ALWAYS_MEASURED:
            raise ValueError(
                f"'{name}' is no extended resource; CPU, memory and storage stand in `resources`"
            )
    return amounts


class Extras(Frozen):
    """The fields of `spec.pod`; each but the last is what the field of that name is in a pod."""

    image_pull_secrets: tuple[Object, ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Object, ...] = ()
    affinity: Object | None = None
    runtime_class_name: str | None = None
    priority_class_name: str | None = None
    env: tuple[Object, ...] = ()
    env_from: tuple[Object, ...] = ()
    volumes: Annotated[tuple[Object, ...], AfterValidator(_volumes)] = ()
    volume_mounts: Annotated[tuple[Object, ...], AfterValidator(_mounts)] = ()
    resources: Annotated[dict[str, str | int], AfterValidator(_extended)] = Field(
        default_factory=dict
    )
    """Extended resources, e.g. `{"nvidia.com/gpu": 1}`."""
    pre_pull: StrictBool = False
    """Whether its image is kept on every node that may run it; it is no field of a pod."""


def read_extras(pod: dict[str, Any]) -> Extras:
    """Return what a template's `pod` says.

    Raises:
        Refused: `template_pod`, with the first fault in a sentence.
    """
    try:
        return Extras.model_validate(pod)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(("spec.pod", *(str(part) for part in fault["loc"])))
        says = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            says = "is not a field that a template may set"
        raise Refused("template_pod", f"{where}: {says}.") from None
