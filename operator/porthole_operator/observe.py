"""The world around one Session, read from the cluster: for `decide` to judge, `apply` to change.

Everything is read anew for each look; nothing rests on a cache that may be old. A look at a
desktop that runs costs two reads, one at a session that is to be begun a few more.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from porthole_contract.cluster import Kind, Object
from porthole_contract.conditions import Reason
from porthole_contract.effective import Effective, resolve
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.names import LABEL_HOME, home_object, revision_object
from porthole_contract.session import Desired
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import (
    CLAIMS,
    CORE_EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REVISIONS,
    SECRETS,
    SESSIONS,
)
from porthole_operator.desired.extras import read_extras
from porthole_operator.desired.profiles import PROFILES, plain_pod
from porthole_operator.desired.recipe import Recipe, Site, shape_of
from porthole_operator.desired.secret import Keys
from porthole_operator.gates import Gate, Gates
from porthole_operator.kinds import CHILDREN, MENDABLE
from porthole_operator.seen import (
    Finding,
    Home,
    Pod,
    Seen,
    Template,
    is_child,
    is_leftover,
    read_home,
    read_node,
    read_notes,
    read_pod,
)
from porthole_operator.subject import Subject, read_subject
from porthole_operator.templates import Templates

_SLOW: Final = timedelta(seconds=3)
"""A pod that has not begun after this long is asked about."""
_BEFORE_A_START: Final = frozenset(
    {Phase.PENDING, Phase.STARTING, Phase.WAKING, Phase.HIBERNATED, Phase.FAILED}
)


@dataclass(frozen=True, slots=True)
class World:
    """One look: the Session, what `decide` is told, and what it was read from.

    `recipe` is None if nothing can be made; `children` are those that are its own.
    """

    subject: Subject
    seen: Seen
    recipe: Recipe | None = None
    children: Mapping[Kind, Object] = field(default_factory=dict)
    revision: Object | None = None
    lacking: frozenset[Kind] = frozenset()


class Observer:
    """Looks at Sessions.

    Args:
        cluster: where.
        site: returns what is the same for all of them now.
        gates: the gates that are listened to.
    """

    def __init__(self, cluster: Cluster, site: Callable[[], Site], gates: Gates) -> None:
        self._cluster = cluster
        self._site = site
        self._gates = gates
        self._templates = Templates(cluster)
        self._namespaces: dict[str, UUID] = {}

    async def look(
        self, namespace: str, name: str, heard: Callable[[], None], *, thorough: bool = False
    ) -> World | None:
        """Return what is seen of a Session; None if it is not there.

        Args:
            namespace: where it is.
            name: what it is called.
            heard: called whenever its gate has something to say.
            thorough: look also for what stands beside a running pod.
        """
        body, pod_body = await asyncio.gather(
            self._cluster.get(SESSIONS, namespace, name),
            self._cluster.get(PODS, namespace, name),
        )
        if body is None:
            return None
        subject = read_subject(body, await self._namespace_uid(namespace))
        if subject.spec is None:
            return World(subject, _sorted(Seen(), subject, {PODS: pod_body}))
        mine = pod_body is not None and is_child(pod_body["metadata"], subject)
        pod = read_pod(pod_body) if pod_body is not None and mine else None
        found = await self._templates.of(subject, pod.digest if pod is not None else None)
        seen = Seen(
            pod=pod,
            template=found if isinstance(found, Template) else None,
            no_template=found if isinstance(found, Finding) else None,
        )
        seen, recipe = self._settled(subject, seen)
        bodies: dict[Kind, Object | None] = {} if mine else {PODS: pod_body}
        revision = None
        if pod is None and _is_to_be_made(subject):
            bodies |= await self._named_alike(subject)
            seen = replace(seen, home=await self._home(subject))
            revision = await self._revision(subject, seen)
        if pod is not None:
            seen = await self._around(subject, seen, pod)
        if pod is not None and not pod.files:
            await self._listen(subject, pod, heard)
        else:
            self._gates.forget(subject.uid)
        lacking: frozenset[Kind] = frozenset()
        if thorough and subject.status.phase is Phase.RUNNING and recipe is not None:
            lacking = await self._lacking(subject)
            seen = replace(seen, lacking=bool(lacking))
        children = {
            kind: body
            for kind, body in bodies.items()
            if body is not None and is_child(body["metadata"], subject)
        }
        return World(subject, _sorted(seen, subject, bodies), recipe, children, revision, lacking)

    async def keys(self, subject: Subject) -> Keys | None:
        """Return the secrets of a Session, if it has any."""
        body = await self._cluster.get(SECRETS, subject.namespace, subject.name)
        mine = body is not None and is_child(body["metadata"], subject)
        return Keys.read(body) if body is not None and mine else None

    def _settled(self, subject: Subject, seen: Seen) -> tuple[Seen, Recipe | None]:
        """Return what its spec comes to under its template, and what its objects are made from."""
        template = seen.template
        if template is None or subject.spec is None:
            return seen, None
        spec = template.spec
        try:
            effective: Effective = resolve(subject.spec, spec)
        except Refused as refusal:
            offered = refusal.code != "protocol_not_offered"
            reason = Reason.LIMIT_EXCEEDED if offered else Reason.TEMPLATE_NOT_OFFERED
            return replace(seen, over_limit=Finding(reason, refusal.sentence)), None
        seen = replace(seen, effective=effective)
        try:
            extras = read_extras(spec.pod)
        except Refused as refusal:
            words = f"Its template cannot be used: {refusal.sentence}"
            return replace(seen, over_limit=Finding(Reason.TEMPLATE_NOT_OFFERED, words)), None
        if spec.profile not in PROFILES or spec.image is None:
            return seen, None
        recipe = Recipe(self._site(), subject, template, effective, extras)
        return replace(seen, shape=shape_of(plain_pod(recipe))), recipe

    async def _named_alike(self, subject: Subject) -> dict[Kind, Object | None]:
        bodies = await asyncio.gather(
            *(self._cluster.get(kind, subject.namespace, subject.name) for kind in CHILDREN)
        )
        return dict(zip(CHILDREN, bodies, strict=True))

    async def _lacking(self, subject: Subject) -> frozenset[Kind]:
        bodies = await asyncio.gather(
            *(self._cluster.get(kind, subject.namespace, subject.name) for kind in MENDABLE)
        )
        return frozenset(kind for kind, body in zip(MENDABLE, bodies, strict=True) if body is None)

    async def _revision(self, subject: Subject, seen: Seen) -> Object | None:
        if seen.template is None:
            return None
        name = revision_object(seen.template.pin.digest, subject.name)
        return await self._cluster.get(REVISIONS, subject.namespace, name)

    async def _home(self, subject: Subject) -> Home | None:
        if subject.home is None:
            return None
        name = home_object(subject.home)
        body = await self._cluster.get(CLAIMS, subject.namespace, name)
        if body is None:
            return None
        home = read_home(body, subject.home)
        if home.holder is None or home.holder == subject.uid or not home.ours:
            return home
        return replace(home, taken=await self._holder(subject, subject.home, home.holder))

    async def _holder(self, subject: Subject, home: UUID, uid: str) -> str:
        """Return who keeps the home, in words; nothing if its holder is gone or has let go."""
        sessions, pods = await asyncio.gather(
            self._cluster.list(SESSIONS, subject.namespace),
            self._cluster.list(PODS, subject.namespace, labels=f"{LABEL_HOME}={home.hex}"),
        )
        holder = next((one for one in sessions if one["metadata"]["uid"] == uid), None)
        if holder is not None:
            other = read_subject(holder, subject.namespace_uid)
            # Who failed has let go, and so has who was given another home.
            if other.status.phase is not Phase.FAILED and other.home == home:
                return f"The session {other.name} holds its home; it goes on when that one lets go."
        for pod in pods:
            if (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}:
                name = pod["metadata"]["name"]
                return f"The pod {name}, which is ending, still uses its home."
        return ""

    async def _around(self, subject: Subject, seen: Seen, pod: Pod) -> Seen:
        """Return what is seen with what others say about its pod."""
        now = datetime.now(UTC)
        if not pod.begun and pod.node is not None and now - pod.created_at > _SLOW:
            fields = f"involvedObject.uid={pod.uid}"
            events = await self._cluster.list(CORE_EVENTS, subject.namespace, fields=fields)
            seen = replace(seen, notes=read_notes(events))
        if pod.deleting_since is not None and pod.node is not None:
            body = await self._cluster.get(NODES, None, pod.node)
            seen = replace(seen, node=read_node(pod.node, body))
        return replace(seen, gate=self._gates.state(subject.uid, pod.uid))

    async def _listen(self, subject: Subject, pod: Pod, heard: Callable[[], None]) -> None:
        """See to it that its gate is listened to as long as there is one."""
        if pod.over or pod.deleting_since is not None or not pod.gate.running:
            self._gates.forget(subject.uid)
            return
        if pod.address is None or not pod.fingerprint or self._gates.watched(subject.uid, pod.uid):
            return
        keys = await self.keys(subject)
        if keys is None or keys.gate.fingerprint != pod.fingerprint:
            return
        order = subject.traceparent
        trace = None if order is None else order.trace
        gate = Gate(subject.id, pod.uid, pod.address, pod.fingerprint, keys.observer, trace)
        self._gates.watch(subject.uid, gate, heard)

    async def _namespace_uid(self, namespace: str) -> UUID:
        if namespace not in self._namespaces:
            body = await self._cluster.get(NAMESPACES, None, namespace)
            if body is None:
                raise Refused("namespace_missing", f"There is no namespace {namespace}.")
            self._namespaces[namespace] = UUID(body["metadata"]["uid"])
        return self._namespaces[namespace]


def _is_to_be_made(subject: Subject) -> bool:
    return (
        subject.deleting_since is None
        and subject.spec is not None
        and subject.status.phase in _BEFORE_A_START
        and (subject.spec.desired is Desired.RUNNING or subject.files_until is not None)
    )


def _sorted(seen: Seen, subject: Subject, bodies: Mapping[Kind, Object | None]) -> Seen:
    """Return what is seen with the objects of its name that are not its own."""
    foreign: list[str] = []
    leftovers: list[str] = []
    for kind, body in bodies.items():
        if body is None or is_child(body["metadata"], subject):
            continue
        called = f"The {kind.name} {subject.name}"
        (leftovers if is_leftover(body["metadata"], subject) else foreign).append(called)
    return replace(seen, foreign=tuple(foreign), leftovers=tuple(leftovers))
