"""What is seen around one Session at one moment: values that `decide` judges, read from objects.

Reading is pure; `observe` gets the objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from porthole_contract.effective import Effective
from porthole_contract.names import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_FILES,
    ANNOTATION_FINGERPRINT,
    ANNOTATION_HOME_CLAIM,
    ANNOTATION_HOME_HOLDER,
    ANNOTATION_OWNER,
    ANNOTATION_SHAPE,
    ANNOTATION_TEMPLATE_DIGEST,
    LABEL_HOME,
    LABEL_MANAGED_BY,
    OPERATOR,
)
from porthole_contract.session import PinnedName
from porthole_contract.stream.control import State
from porthole_contract.template import SessionTemplateSpec
from porthole_operator.subject import Subject, read_time

DESKTOP: Final = "desktop"
GATE: Final = "gate"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is not as it should be: a word for programs and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod, as the kubelet tells it.

    `waiting`: why it does not run, and `says` in whose words. `exit_code`: of the last time
    that it ended, None if it never did.
    """

    image: str = ""
    running: bool = False
    waiting: str = ""
    says: str = ""
    exit_code: int | None = None
    exit_reason: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that carries the Session's name.

    Made by us for this very Session. `attempt`: for which of its attempts. `begun`:
    its desktop's container has run. `files`: it has none, and serves files while a Session sleeps,
    as `wish` asked for.
    `over`: it will not run any more. `deleting_since`: when
    its end was asked for, `grace`: the seconds it was given. `disrupted`: why the cluster
    took it away. `says`: what its node says about it. `finalizers`: of others, that keep it.
    """

    uid: str
    attempt: int | None
    shape: str
    digest: str | None
    fingerprint: str | None
    created_at: datetime
    files: bool = False
    wish: str | None = None
    node: str | None = None
    address: str | None = None
    ready: bool = False
    over: bool = False
    deleting_since: datetime | None = None
    grace: int | None = None
    finalizers: tuple[str, ...] = ()
    unschedulable: str = ""
    disrupted: Finding | None = None
    evicted: str = ""
    says: str = ""
    desktop: Container = Container()
    gate: Container = Container()

    @property
    def begun(self) -> bool:
        """Whether its desktop has run."""
        return self.over or self.desktop.running or self.desktop.exit_code is not None


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody of the cluster said about the pod, newest last."""

    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the pod is on; `fenced`: it is gone, or somebody vouches that it is off."""

    name: str
    answers: bool
    fenced: bool


@dataclass(frozen=True, slots=True)
class Home:
    """The volume of the Session's home.

    `ours`: made by us. `holder`: the uid of the Session that holds it. `claim`: what it was
    begun with last, by its own words. `taken`: who keeps us from it, in words; empty if nobody
    does.
    """

    name: str
    ours: bool
    owner: str
    holder: str | None
    resource_version: str
    phase: str
    claim: str = ""
    taken: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """The revision that the Session is held to."""

    pin: PinnedName
    spec: SessionTemplateSpec


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that `decide` asks about.

    `pod`: made by us for this very Session. `foreign`: objects of its name that we did not
    make, `leftovers`: those of an earlier Session of its name, in words. `template` is None if it
    could not be found or used, and `no_template` says why; both are None where nobody
    looked. `effective` is None if its spec cannot be run, `over_limit` says why. `shape`: of
    the pod that would be made now. `lacking`: something that stands beside a running pod was
    looked for and is not there. `gate`: what its gate says, None if it is not heard.
    """

    pod: Pod | None = None
    notes: tuple[Note, ...] = ()
    node: Node | None = None
    foreign: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    template: Template | None = None
    no_template: Finding | None = None
    effective: Effective | None = None
    over_limit: Finding | None = None
    home: Home | None = None
    shape: str = ""
    lacking: bool = False
    gate: State | None = None


def read_pod(body: Mapping[str, Any]) -> Pod:
    """Return what a pod object says."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    status = body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    deleted = metadata.get("deletionTimestamp")
    attempt = annotations.get(ANNOTATION_ATTEMPT, "")
    scheduled = conditions.get("PodScheduled", {})
    disrupted = conditions.get("DisruptionTarget", {})
    return Pod(
        uid=metadata["uid"],
        attempt=int(attempt) if attempt.isascii() and attempt.isdecimal() else None,
        shape=annotations.get(ANNOTATION_SHAPE, ""),
        digest=annotations.get(ANNOTATION_TEMPLATE_DIGEST),
        fingerprint=annotations.get(ANNOTATION_FINGERPRINT),
        created_at=read_time(metadata["creationTimestamp"]),
        files=ANNOTATION_FILES in annotations,
        wish=annotations.get(ANNOTATION_FILES),
        node=spec.get("nodeName"),
        address=status.get("podIP"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        over=status.get("phase") in {"Failed", "Succeeded"},
        deleting_since=None if deleted is None else read_time(deleted),
        grace=metadata.get("deletionGracePeriodSeconds"),
        finalizers=tuple(metadata.get("finalizers") or ()),
        unschedulable=(
            scheduled.get("message") or "No node takes it."
            if scheduled.get("reason") == "Unschedulable"
            else ""
        ),
        disrupted=(
            Finding(disrupted.get("reason", ""), disrupted.get("message", ""))
            if disrupted.get("status") == "True"
            else None
        ),
        evicted=(
            status.get("message") or "The node had no room for it."
            if status.get("reason") == "Evicted"
            else ""
        ),
        says=status.get("message") or "",
        desktop=_container(status.get("containerStatuses"), DESKTOP),
        gate=_container(status.get("initContainerStatuses"), GATE),
    )


def read_home(body: Mapping[str, Any], home: UUID, taken: str = "") -> Home:
    """Return what a PersistentVolumeClaim says."""
    metadata = body["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return Home(
        name=metadata["name"],
        ours=labels.get(LABEL_HOME) == home.hex and labels.get(LABEL_MANAGED_BY) == OPERATOR,
        owner=annotations.get(ANNOTATION_OWNER, ""),
        holder=annotations.get(ANNOTATION_HOME_HOLDER) or None,
        resource_version=metadata["resourceVersion"],
        phase=(body.get("status") or {}).get("phase", "Pending"),
        claim=annotations.get(ANNOTATION_HOME_CLAIM, ""),
        taken=taken,
    )


def read_node(name: str, body: Mapping[str, Any] | None) -> Node:
    """Return what a Node object says; None if there is none of that name."""
    if body is None:
        return Node(name, answers=False, fenced=True)
    taints = {taint.get("key") for taint in (body.get("spec") or {}).get("taints") or ()}
    ready = next(
        (
            condition.get("status")
            for condition in (body.get("status") or {}).get("conditions") or ()
            if condition.get("type") == "Ready"
        ),
        None,
    )
    return Node(name, answers=ready == "True", fenced="node.kubernetes.io/out-of-service" in taints)


def read_notes(events: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Return what Events say, newest last."""
    notes = []
    for event in events:
        series = event.get("series") or {}
        at = (
            series.get("lastObservedTime")
            or event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"]["creationTimestamp"]
        )
        notes.append(Note(event.get("reason", ""), event.get("message", ""), read_time(at)))
    return tuple(sorted(notes, key=lambda note: note.at))


def is_child(metadata: Mapping[str, Any], subject: Subject) -> bool:
    """Whether an object was made by us for this very Session."""
    return (metadata.get("labels") or {}).get(LABEL_MANAGED_BY) == OPERATOR and any(
        owner.get("uid") == subject.uid and owner.get("controller") is True
        for owner in metadata.get("ownerReferences") or ()
    )


def is_leftover(metadata: Mapping[str, Any], subject: Subject) -> bool:
    """Whether an object was made by us for an earlier Session of the same name."""
    return (metadata.get("labels") or {}).get(LABEL_MANAGED_BY) == OPERATOR and any(
        owner.get("kind") == "Session"
        and owner.get("name") == subject.name
        and owner.get("uid") != subject.uid
        for owner in metadata.get("ownerReferences") or ()
    )


def _container(statuses: Sequence[Mapping[str, Any]] | None, name: str) -> Container:
    found = next((one for one in statuses or () if one.get("name") == name), None)
    if found is None:
        return Container()
    state = found.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (found.get("lastState") or {}).get("terminated") or {}
    return Container(
        image=found.get("image", ""),
        running="running" in state,
        waiting=waiting.get("reason", ""),
        says=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        restarts=found.get("restartCount", 0),
    )
