"""Carries out plans: the only writer of the operator.

Every write is fenced. What is made is created, so that a name that is taken is a conflict and
never overwritten; what is changed carries the uid that was seen, a status the resourceVersion
as well; what is deleted carries its uid. A conflict changes nothing: one looks again.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from porthole_contract.cluster import Object
from porthole_contract.conditions import Reason
from porthole_contract.errors import PortholeError
from porthole_contract.lifecycle import Phase
from porthole_contract.names import (
    ANNOTATION_FILES,
    ANNOTATION_HOME_CLAIM,
    ANNOTATION_HOME_HOLDER,
    API_VERSION,
    OPERATOR,
    OPERATOR_IDLE,
    revision_object,
)
from porthole_contract.session import Desired
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Denied
from porthole_kube.kinds import (
    CLAIMS,
    EVENTS,
    PODS,
    REVISIONS,
    SECRETS,
    SESSIONS,
)
from porthole_operator.decide import refused
from porthole_operator.desired.home import home_claim
from porthole_operator.desired.network_policy import network_policy
from porthole_operator.desired.profiles import pod
from porthole_operator.desired.recipe import Recipe, shape_of
from porthole_operator.desired.revision import owner, revision
from porthole_operator.desired.secret import Keys, secret
from porthole_operator.desired.service import service
from porthole_operator.desired.shelf import shelf
from porthole_operator.failpoints import failpoint
from porthole_operator.kinds import kind_of
from porthole_operator.observe import World
from porthole_operator.plan import (
    Begin,
    DeleteSession,
    EndPod,
    Lend,
    LetGo,
    Mend,
    Plan,
    Sleep,
)
from porthole_operator.seen import Finding
from porthole_operator.subject import Subject

_LONGEST_NOTE: Final = 1000
"""Bytes of an Event's note that Kubernetes takes are 1024."""
_TROUBLE: Final = frozenset(
    {
        Reason.BACK_OFF,
        Reason.CRASH_LOOP,
        Reason.DESKTOP_LOST,
        Reason.EVICTED,
        Reason.FOREIGN_OBJECT,
        Reason.HOME_FOREIGN,
        Reason.HOME_UNREACHABLE,
        Reason.IMAGE_UNAVAILABLE,
        Reason.LIMIT_EXCEEDED,
        Reason.NODE_LOST,
        Reason.POD_REFUSED,
        Reason.SPEC_INVALID,
        Reason.START_TIMED_OUT,
        Reason.TEMPLATE_NOT_OFFERED,
        Reason.TEMPLATE_UNKNOWN,
        Reason.UNSCHEDULABLE,
        Reason.VOLUME_UNAVAILABLE,
    }
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a plan.

    `plan`: it, or what it became where the cluster did not want what would have been made.
    `wrote`: whether anything was written. `version`: of the Session, if its status was.
    """

    plan: Plan
    wrote: bool
    version: str | None = None


class Applier:
    """Carries out plans.

    Args:
        cluster: where.
        instance: who we are, for Events.
    """

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance

    async def apply(self, world: World, plan: Plan) -> "Done":
        """Carry out a plan; return what came of it.

        Raises:
            Conflicted: the world is not as it was seen; look again.
            Unanswered: the API server is not there; try again.
        """
        subject = world.subject
        match plan.action:
            case Begin():
                try:
                    await self._begin(world, plan)
                except Denied as error:
                    _log.warning("pod_refused", session=subject.name, why=str(error))
                    plan = refused(subject, world.seen, _refusal(error), _now())
            case Mend():
                await self._mend(world)
            case Lend() | LetGo():
                subject = await self._lend(world, plan)
            case EndPod(uid, grace):
                await self._cluster.delete(PODS, subject.namespace, subject.name, uid, grace=grace)
                _passed_the_end(plan)
            case Sleep():
                subject = await self._put_to_sleep(subject)
            case DeleteSession(reason, message):
                await self._tell(subject, reason, message)
                await self._cluster.delete(
                    SESSIONS,
                    subject.namespace,
                    subject.name,
                    subject.uid,
                    version=subject.resource_version,
                    foreground=True,
                )
                return Done(plan, wrote=True)
            case None:
                pass
        if plan.status == subject.status:
            return Done(plan, wrote=plan.action is not None)
        return Done(plan, wrote=True, version=await self._note(subject, plan))

    # Beginning

    async def _begin(self, world: World, plan: Plan) -> None:
        recipe = world.recipe
        assert recipe is not None, "what cannot be made is not begun"
        failpoint("operator.start.decided")
        keys = _keys(world)
        start = world.subject.start(plan.status.attempt.number)
        await asyncio.gather(
            self._keep_revision(world),
            self._hold_home(world, recipe, f"{plan.status.attempt.number}"),
            self._ensure(world, secret(recipe, keys, start), "operator.start.secret-made"),
            self._ensure(world, service(recipe), "operator.start.service-made"),
            self._ensure(world, network_policy(recipe), "operator.start.policy-made"),
        )
        made = pod(recipe, plan.status.attempt.number, keys.gate.fingerprint)
        await self._cluster.create(PODS, made)
        failpoint("operator.start.pod-made")

    async def _lend(self, world: World, plan: Plan) -> Subject:
        """Make what serves its files while it sleeps; or take the wish back, if that is the plan.

        What the cluster does not let us make is not wished for either. Returns the Session as it
        is then.
        """
        if isinstance(plan.action, Lend):
            try:
                await self._make_shelf(world)
            except Denied as error:
                _log.warning("files_refused", session=world.subject.name, why=str(error))
            else:
                return world.subject
        subject = world.subject
        head = {
            "uid": subject.uid,
            "resourceVersion": subject.resource_version,
            "annotations": {ANNOTATION_FILES: None},
        }
        patch = {"metadata": head}
        body = await self._cluster.merge(SESSIONS, subject.namespace, subject.name, patch)
        return replace(subject, resource_version=body["metadata"]["resourceVersion"])

    async def _make_shelf(self, world: World) -> None:
        recipe = world.recipe
        assert recipe is not None, "what cannot be made is not lent"
        keys = _keys(world)
        await asyncio.gather(
            self._hold_home(world, recipe, "files"),
            self._ensure(world, secret(recipe, keys), "operator.start.secret-made"),
            self._ensure(world, service(recipe), "operator.start.service-made"),
            self._ensure(world, network_policy(recipe), "operator.start.policy-made"),
        )
        await self._cluster.create(PODS, shelf(recipe, keys.gate.fingerprint))

    async def _mend(self, world: World) -> None:
        """Make the Service and the NetworkPolicy again; without keys no Secret can be."""
        assert world.recipe is not None, "what cannot be made is not mended"
        for manifest in (service(world.recipe), network_policy(world.recipe)):
            if kind_of(manifest) in world.lacking:
                await self._cluster.create(kind_of(manifest), manifest)
                _log.warning("mended", session=world.subject.name, kind=manifest["kind"])

    async def _ensure(self, world: World, manifest: Object, passed: str) -> None:
        """Make a child, or change ours if it is not as it should be."""
        kind = kind_of(manifest)
        present = world.children.get(kind)
        if present is None:
            await self._cluster.create(kind, manifest)
        elif shape_of(present) != shape_of(manifest):
            head = {**manifest["metadata"], "uid": present["metadata"]["uid"]}
            await self._cluster.apply(kind, {**manifest, "metadata": head})
        failpoint(passed)

    async def _keep_revision(self, world: World) -> None:
        """Keep the template's revision as long as this Session lives.

        An agent that asked for a revision sees to that itself.
        """
        subject, template = world.subject, world.seen.template
        assert template is not None, "what has no template is not begun"
        present = world.revision
        if present is None:
            await self._cluster.create(REVISIONS, revision(subject, template))
        elif subject.digest is None:
            owners = present["metadata"].get("ownerReferences") or []
            if all(one.get("uid") != subject.uid for one in owners):
                uid = present["metadata"]["uid"]
                patch = {"metadata": {"uid": uid, "ownerReferences": [owner(subject)]}}
                name = revision_object(template.pin.digest, subject.name)
                # As a list with keys, so that two Sessions that begin at once do not collide.
                await self._cluster.merge(REVISIONS, subject.namespace, name, patch, strategic=True)
        failpoint("operator.start.revision-kept")

    async def _hold_home(self, world: World, recipe: Recipe, what: str) -> None:
        """Have its home be its own, for this attempt (or `files`).

        Each attempt writes, also who holds it already: whoever has seen that one as failed is
        about to take it, and of two writes to what both have read the second is refused.
        """
        subject, home = world.subject, world.seen.home
        if subject.home is None:
            return
        claim = f"{subject.uid}/{what}"
        if home is None:
            await self._cluster.create(CLAIMS, home_claim(recipe, subject.home))
        elif (home.holder, home.claim) != (subject.uid, claim):
            head = {
                "resourceVersion": home.resource_version,
                "annotations": {
                    ANNOTATION_HOME_HOLDER: subject.uid,
                    ANNOTATION_HOME_CLAIM: claim,
                },
            }
            await self._cluster.merge(CLAIMS, subject.namespace, home.name, {"metadata": head})
        failpoint("operator.start.home-held")

    # Sleeping

    async def _put_to_sleep(self, subject: Subject) -> Subject:
        """Set `spec.desired`, as a field manager of its own; return the Session as it is then."""
        wish = _same(subject) | {"spec": {"desired": Desired.HIBERNATED.value}}
        body = await self._cluster.apply(SESSIONS, wish, manager=OPERATOR_IDLE)
        return replace(subject, resource_version=body["metadata"]["resourceVersion"])

    # Telling

    async def _note(self, subject: Subject, plan: Plan) -> str:
        """Write the status, and tell in an Event what is new; return the Session's version."""
        before, after = subject.status, plan.status
        status = after.to_dict()
        about = _same(subject) | {"status": status}
        body = await self._cluster.apply(SESSIONS, about, part="status")
        _passed_a_note(before.phase, plan)
        _log.info(
            "session",
            name=subject.name,
            phase=str(after.phase),
            reason=after.reason,
            message=after.message,
        )
        new = (after.phase, after.reason) != (before.phase, before.reason)
        # That it is begun says nothing that its end or its picture will not say.
        if new and after.reason not in {Reason.STARTING, Reason.PULLING_IMAGE}:
            await self._tell(subject, after.reason, after.message)
        return str(body["metadata"]["resourceVersion"])

    async def _tell(self, subject: Subject, reason: str, message: str) -> None:
        """Say something in an Event; whether that works changes nothing."""
        try:
            await self._cluster.create(EVENTS, event(subject, reason, message, self._instance))
        except PortholeError as error:
            _log.warning("event_not_told", session=subject.name, why=str(error))


def _keys(world: World) -> Keys:
    present = world.children.get(SECRETS)
    kept = Keys.read(present) if present is not None else None
    return kept or Keys.make(world.subject.id, _now())


def _refusal(error: Denied) -> Finding:
    words = error.said.strip().rstrip(".")
    if "exceeded quota" in words:
        return Finding(Reason.NO_CAPACITY, f"The namespace's quota is used up: {words}.")
    return Finding(Reason.POD_REFUSED, f"The cluster does not accept what it needs: {words}.")


def _same(subject: Subject) -> dict[str, Any]:
    """Return what says: this very Session, in this very state."""
    return {
        "apiVersion": API_VERSION,
        "kind": SESSIONS.name,
        "metadata": {
            "name": subject.name,
            "namespace": subject.namespace,
            "uid": subject.uid,
            "resourceVersion": subject.resource_version,
        },
    }


def event(subject: Subject, reason: str, message: str, instance: str) -> Object:
    """Return the Event that says something about a Session, in the name of `instance`."""
    now = _now()
    note = message.encode()[:_LONGEST_NOTE].decode(errors="ignore")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.name,
        "metadata": {
            "name": f"{subject.name}.{int(now.timestamp() * 1e6):x}",
            "namespace": subject.namespace,
        },
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": "Warning" if reason in _TROUBLE else "Normal",
        "reason": reason,
        "note": note,
        "action": "Reconcile",
        "reportingController": OPERATOR,
        "reportingInstance": instance,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": SESSIONS.name,
            "name": subject.name,
            "namespace": subject.namespace,
            "uid": subject.uid,
        },
    }


def _passed_a_note(before: Phase, plan: Plan) -> None:
    """Pass the failpoint of what was just noted."""
    after = plan.status
    if isinstance(plan.action, Begin):
        failpoint("operator.start.noted")
    elif before is not after.phase:
        passed = {
            Phase.RUNNING: "operator.start.drawn-noted",
            Phase.HIBERNATING: "operator.sleep.noted",
            Phase.HIBERNATED: "operator.sleep.stopped-noted",
            Phase.TERMINATING: "operator.delete.noted",
        }.get(after.phase)
        if passed is not None:
            failpoint(passed)
        elif before is Phase.RUNNING:
            failpoint("operator.lose.noted")


def _passed_the_end(plan: Plan) -> None:
    """Pass the failpoint of a pod's end."""
    match plan.status.phase:
        case Phase.HIBERNATING:
            failpoint("operator.sleep.pod-ended")
        case Phase.TERMINATING:
            failpoint("operator.delete.pod-ended")
        case _:
            failpoint("operator.lose.pod-ended")


def _now() -> datetime:
    return datetime.now(UTC)
