"""Named reasons why a Session is not as it should be: each a function that finds or does not.

Three chains, tried in order, first finding first: `OBSTACLES` keep a session from being
begun, `TROUBLES` keep a pod that was made from beginning, and `lost` tells why a pod that had
begun is no more. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from porthole_contract.conditions import Reason
from porthole_contract.template import Profile
from porthole_operator.seen import Container, Finding, Pod, Seen
from porthole_operator.subject import Subject

Check = Callable[[Subject, Seen], Finding | None]

_NO_IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_NO_CONTAINER: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_NO_VOLUME: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_HOME_IS_ELSEWHERE: Final = ("volume node affinity", "PersistentVolume's node affinity")
"""How schedulers say it, in older and in newer releases."""
_NODE_IS_GONE: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})


def first(checks: tuple[Check, ...], subject: Subject, seen: Seen) -> Finding | None:
    """Return what the first of `checks` that finds anything has found."""
    return next(
        (found for check in checks if (found := check(subject, seen)) is not None),
        None,
    )


# What keeps a session from being begun


def spec_is_none(subject: Subject, _seen: Seen) -> Finding | None:
    """Its spec cannot be read."""
    if subject.spec is not None:
        return None
    return Finding(Reason.SPEC_INVALID, f"Its spec cannot be run. {subject.fault}")


def name_is_taken(_subject: Subject, seen: Seen) -> Finding | None:
    """Objects that must carry its name are there and are not its own."""
    if not seen.foreign:
        return None
    what = ", ".join(seen.foreign)
    return Finding(
        Reason.FOREIGN_OBJECT,
        f"{what} has its name and was not made for it, so it is not touched;"
        " remove it or give the session another name.",
    )


def namesake_is_not_over(_subject: Subject, seen: Seen) -> Finding | None:
    """An earlier Session of the same name has left something."""
    if not seen.leftovers:
        return None
    what = ", ".join(seen.leftovers)
    return Finding(
        Reason.STILL_ENDING, f"{what} of an earlier session of this name has not ended yet."
    )


def before_is_not_over(subject: Subject, seen: Seen) -> Finding | None:
    """The pod that ran before is still there."""
    pod = seen.pod
    if pod is None:
        return None
    if seen.node is not None and not seen.node.answers and not seen.node.fenced:
        keeps = " Its home cannot be used elsewhere before that." if subject.home else ""
        return Finding(
            Reason.NODE_LOST,
            f"The node {seen.node.name} does not answer. It goes on when that node is back, is"
            f" deleted, or is tainted node.kubernetes.io/out-of-service.{keeps}",
        )
    if pod.finalizers:
        return Finding(
            Reason.STILL_ENDING,
            f"What ran before is kept by a finalizer of others: {', '.join(pod.finalizers)}.",
        )
    return Finding(Reason.STILL_ENDING, "What ran before has not ended yet.")


def template_is_missing(_subject: Subject, seen: Seen) -> Finding | None:
    """Its template cannot be found or read."""
    return seen.no_template


def template_cannot_run_here(_subject: Subject, seen: Seen) -> Finding | None:
    """Its template asks for what this cluster's operator does not make."""
    if seen.template is None:
        return None
    spec, name = seen.template.spec, seen.template.pin.name
    if spec.profile is Profile.SANDBOX:
        return Finding(
            Reason.TEMPLATE_NOT_OFFERED,
            f"The template {name} needs the pod profile '{spec.profile}', which is not served"
            " here; 'restricted' and 'rdp' are.",
        )
    if spec.image is None:
        return Finding(
            Reason.TEMPLATE_NOT_OFFERED,
            f"The template {name} names no image, and a cluster runs images only.",
        )
    return None


def asks_for_too_much(_subject: Subject, seen: Seen) -> Finding | None:
    """It is over a limit of its template."""
    return seen.over_limit


def home_is_of_others(subject: Subject, seen: Seen) -> Finding | None:
    """The home is not its owner's, or the volume is not one of ours."""
    home, spec = seen.home, subject.spec
    if home is None or spec is None:
        return None
    if not home.ours:
        return Finding(
            Reason.FOREIGN_OBJECT,
            f"The volume claim {home.name} was not made by Porthole, so it is not touched.",
        )
    if home.owner != spec.owner:
        return Finding(Reason.HOME_FOREIGN, "The home belongs to somebody else.")
    return None


def home_is_in_use(_subject: Subject, seen: Seen) -> Finding | None:
    """Another session holds the home."""
    if seen.home is None or not seen.home.taken:
        return None
    return Finding(Reason.HOME_IN_USE, seen.home.taken)


def home_is_lost(_subject: Subject, seen: Seen) -> Finding | None:
    """The volume behind the home is no more."""
    if seen.home is None or seen.home.phase != "Lost":
        return None
    return Finding(
        Reason.HOME_UNREACHABLE, "The volume of its home is lost; the cluster cannot find it."
    )


OBSTACLES: Final[tuple[Check, ...]] = (
    spec_is_none,
    name_is_taken,
    namesake_is_not_over,
    before_is_not_over,
    template_is_missing,
    template_cannot_run_here,
    asks_for_too_much,
    home_is_of_others,
    home_is_in_use,
    home_is_lost,
)


# What keeps a pod from beginning


def no_node_takes_it(_subject: Subject, seen: Seen) -> Finding | None:
    """The scheduler found no node."""
    pod = seen.pod
    if pod is None or not pod.unschedulable:
        return None
    if any(words in pod.unschedulable for words in _HOME_IS_ELSEWHERE):
        return Finding(
            Reason.HOME_UNREACHABLE,
            f"Its home is where no pod can go now: {_sentence(pod.unschedulable)}",
        )
    if "PersistentVolumeClaim" in pod.unschedulable:
        return Finding(
            Reason.VOLUME_UNAVAILABLE,
            f"Its home has no volume yet: {_sentence(pod.unschedulable)}",
        )
    return Finding(Reason.UNSCHEDULABLE, f"No node takes it now: {_sentence(pod.unschedulable)}")


def image_is_unavailable(_subject: Subject, seen: Seen) -> Finding | None:
    """An image cannot be pulled."""
    for container in _containers(seen.pod):
        if container.waiting in _NO_IMAGE:
            says = f" ({container.says.rstrip('.')})" if container.says else ""
            return Finding(
                Reason.IMAGE_UNAVAILABLE,
                f"The image {container.image} cannot be pulled: {container.waiting}{says}.",
            )
    return None


def container_cannot_be_made(_subject: Subject, seen: Seen) -> Finding | None:
    """The kubelet cannot make a container as it was described."""
    for container in _containers(seen.pod):
        if container.waiting in _NO_CONTAINER:
            return Finding(
                Reason.POD_REFUSED,
                f"A container cannot be made: {_sentence(container.says or container.waiting)}",
            )
    return None


def volume_cannot_be_mounted(_subject: Subject, seen: Seen) -> Finding | None:
    """A volume does not come to the node."""
    for note in reversed(seen.notes):
        if note.reason in _NO_VOLUME:
            return Finding(
                Reason.VOLUME_UNAVAILABLE,
                f"A volume of it cannot be mounted: {_sentence(note.message)}",
            )
        if note.reason in {"SuccessfulAttachVolume", "Pulling", "Pulled"}:
            return None
    return None


def image_is_on_its_way(_subject: Subject, seen: Seen) -> Finding | None:
    """An image is being pulled."""
    for note in reversed(seen.notes):
        if note.reason == "Pulled":
            return None
        if note.reason == "Pulling":
            return Finding(
                Reason.PULLING_IMAGE,
                f"Its node is fetching what it needs: {_sentence(note.message)}",
            )
    return None


TROUBLES: Final[tuple[Check, ...]] = (
    no_node_takes_it,
    image_is_unavailable,
    container_cannot_be_made,
    volume_cannot_be_mounted,
    image_is_on_its_way,
)
TROUBLED: Final = frozenset(
    {
        Reason.UNSCHEDULABLE,
        Reason.HOME_UNREACHABLE,
        Reason.VOLUME_UNAVAILABLE,
        Reason.IMAGE_UNAVAILABLE,
        Reason.POD_REFUSED,
        Reason.PULLING_IMAGE,
    }
)
"""The reasons that `TROUBLES` find."""


# Why what had begun is no more


@dataclass(frozen=True, slots=True)
class Loss:
    """How a desktop was lost; `counts`: towards back-off and giving up."""

    reason: str
    message: str
    counts: bool


_EXITS: Final = {
    69: "its image lacks a program that a desktop cannot do without",
    75: "its X server ended",
    78: "its configuration was refused, which is a fault of Porthole",
}


def lost(subject: Subject, seen: Seen) -> Loss | None:
    """Return how the desktop was lost; None if it is not."""
    pod = seen.pod
    again = "it is begun again" + (" on its home." if subject.home else ".")
    if pod is None or pod.attempt != subject.status.attempt.number:
        return _deleted(again)
    if pod.evicted:
        # Who uses up a node's disk or memory does so again: that counts.
        why = _sentence(pod.evicted)
        return Loss(Reason.EVICTED, f"Its node drove it out; {again} {why}", counts=True)
    if pod.disrupted is not None and (pod.over or pod.deleting_since is not None):
        return _disrupted(pod.disrupted, again)
    if pod.over:
        return Loss(Reason.DESKTOP_LOST, _how_it_ended(pod, again), counts=True)
    if pod.deleting_since is not None:
        silent = seen.node is not None and not seen.node.answers
        return _node_is_silent(pod, again) if silent else _deleted(again)
    return None


def _deleted(again: str) -> Loss:
    return Loss(Reason.DESKTOP_LOST, f"Somebody deleted its pod; {again}", counts=False)


def _disrupted(found: Finding, again: str) -> Loss:
    reason = Reason.NODE_LOST if found.reason in _NODE_IS_GONE else Reason.EVICTED
    why = _sentence(found.message or found.reason)
    return Loss(reason, f"The cluster took it off its node; {again} {why}", counts=False)


def _node_is_silent(pod: Pod, again: str) -> Loss:
    message = f"The node {pod.node} does not answer; {again}"
    return Loss(Reason.NODE_LOST, message, counts=False)


def undrawn(seen: Seen) -> str:
    """Return what is known of why a screen was not painted in time, or nothing."""
    pod = seen.pod
    if pod is None:
        return ""
    if pod.gate.waiting == "CrashLoopBackOff":
        return f" Its gate ended {pod.gate.restarts} times."
    if pod.node is None:
        return " No node has taken it."
    if not pod.begun:
        return " Its desktop's container did not begin."
    if not pod.gate.running:
        return " Its gate does not run."
    return ""


def gate_trouble(pod: Pod) -> Finding | None:
    """Return what is wrong with the gate of a pod that has begun."""
    if pod.gate.running:
        return None
    if pod.gate.waiting == "CrashLoopBackOff":
        message = f"Its gate ended {pod.gate.restarts} times and is started again in a while."
        return Finding(Reason.CRASH_LOOP, message)
    return Finding(Reason.STARTING, "Its gate is not running.")


def _how_it_ended(pod: Pod, again: str) -> str:
    desktop = pod.desktop
    if desktop.exit_code is None and pod.says:
        return f"Its node did not run it; {again} {_sentence(pod.says)}"
    if desktop.exit_reason == "OOMKilled":
        return f"It used more memory than it may and was killed; {again}"
    if desktop.exit_code in _EXITS:
        return f"Its desktop ended: {_EXITS[desktop.exit_code]}; {again}"
    code = "" if desktop.exit_code is None else f" with code {desktop.exit_code}"
    return f"Its desktop ended by itself{code}; {again}"


def _containers(pod: Pod | None) -> tuple[Container, ...]:
    return () if pod is None else (pod.gate, pod.desktop)


def _sentence(words: str) -> str:
    """Return somebody's words as the end of a sentence of ours."""
    words = words.strip()
    return words if words.endswith((".", "!", "?")) else f"{words}."
