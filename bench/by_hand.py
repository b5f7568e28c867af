"""Sessions made by a bare loop: the objects and the words of the operator, and no operator.

Nothing is looked at and nothing is decided; one thing is written after the other, as fast as
the API server takes it. What it reaches is the most that any operator could.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bench.fleet import AT_ONCE, NAMESPACE, Fleet, a_session, create
from porthole_contract.cluster import Object
from porthole_contract.conditions import Reason
from porthole_contract.effective import resolve
from porthole_contract.lifecycle import Phase
from porthole_contract.names import API_VERSION
from porthole_contract.session import ObjectStatus, PinnedName
from porthole_contract.template import SessionTemplate
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Unanswered
from porthole_kube.kinds import EVENTS, PODS, POLICIES, REVISIONS, SECRETS, SERVICES, SESSIONS
from porthole_operator.apply import event
from porthole_operator.desired.extras import read_extras
from porthole_operator.desired.network_policy import network_policy
from porthole_operator.desired.profiles import pod
from porthole_operator.desired.recipe import Recipe
from porthole_operator.desired.revision import owner, revision
from porthole_operator.desired.secret import Keys, secret
from porthole_operator.desired.service import service
from porthole_operator.seen import Template
from porthole_operator.settings import Settings
from porthole_operator.subject import Subject, read_subject
from tests.support.operator_cluster import TEMPLATE


class ByHand:
    """Makes Sessions run.

    Args:
        fleet: where.
        writer: writes as the operator.
    """

    def __init__(self, fleet: Fleet, writer: Cluster) -> None:
        self._fleet = fleet
        self._writer = writer
        spec = SessionTemplate.from_manifest(TEMPLATE).spec
        pin = PinnedName(name=TEMPLATE["metadata"]["name"], digest=spec.digest())
        self._template = Template(pin, spec)
        self._site = Settings().site()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._revisions: dict[str, asyncio.Task[Object]] = {}
        self._subjects: dict[str, Subject] = {}
        self.telling: set[asyncio.Task[None]] = set()
        """What is being said."""

    async def ask_for(self, names: Iterable[str]) -> None:
        """Make these Sessions and everything that they need."""
        await asyncio.gather(*map(self._begin, names))

    async def _begin(self, name: str) -> None:
        async with self._slots:
            body = await create(self._fleet.admin, SESSIONS, a_session(name))
            subject = read_subject(body, self._fleet.namespace_uid)
            assert subject.spec is not None
            template = self._template
            extras = read_extras(template.spec.pod)
            effective = resolve(subject.spec, template.spec)
            recipe = Recipe(self._site, subject, template, effective, extras)
            keys = Keys.make(subject.id, datetime.now(UTC))
            self._subjects[name] = subject
            await asyncio.gather(
                self._keep_revision(subject),
                create(self._writer, SECRETS, secret(recipe, keys)),
                create(self._writer, SERVICES, service(recipe)),
                create(self._writer, POLICIES, network_policy(recipe)),
            )
            await create(self._writer, PODS, pod(recipe, 0, keys.gate.fingerprint))
            await self._say(subject, Phase.STARTING, Reason.STARTING)

    async def _keep_revision(self, subject: Subject) -> None:
        """Make the template's revision, or become one more of its owners."""
        made = revision(subject, self._template)
        name = made["metadata"]["name"]
        if name not in self._revisions:
            creating = create(self._writer, REVISIONS, made)
            self._revisions[name] = asyncio.create_task(creating)
            await self._revisions[name]
            return
        await self._revisions[name]
        patch = {"metadata": {"ownerReferences": [owner(subject)]}}
        with contextlib.suppress(Unanswered):  # who owns it is not what is measured
            await self._writer.merge(REVISIONS, NAMESPACE, name, patch, strategic=True)

    async def follow(self) -> None:
        """Say of each Session that it runs as soon as its pod is ready; until cancelled."""
        said: set[str] = set()
        _, version = await self._writer.list_to_watch(PODS, NAMESPACE)
        async for _, body in self._writer.watch(PODS, NAMESPACE, version, seconds=3600):
            name = body["metadata"]["name"]
            if name not in said and _is_ready(body):
                said.add(name)
                task = asyncio.create_task(self._finish(self._subjects[name]))
                self.telling.add(task)
                task.add_done_callback(self.telling.discard)

    async def _finish(self, subject: Subject) -> None:
        async with self._slots:
            await self._say(subject, Phase.RUNNING, Reason.DRAWN)
            told = event(subject, Reason.DRAWN, "Its screen was painted.", "by hand")
            await create(self._writer, EVENTS, told)

    async def _say(self, subject: Subject, phase: Phase, reason: Reason) -> None:
        status = ObjectStatus(
            phase=phase,
            phase_since=datetime.now(UTC),
            reason=reason,
            message="It was written by hand.",
            observed_generation=subject.generation,
            pod_name=subject.name,
            template=self._template.pin,
        )
        head = {"name": subject.name, "namespace": subject.namespace, "uid": subject.uid}
        body = {"apiVersion": API_VERSION, "kind": SESSIONS.name, "metadata": head}
        told = body | {"status": status.to_dict()}
        while True:
            with contextlib.suppress(Unanswered):
                await self._writer.apply(SESSIONS, told, part="status")
                return


@asynccontextmanager
async def by_hand(fleet: Fleet) -> AsyncIterator[ByHand]:
    """Have somebody who does by hand what the operator does."""
    writer = await Cluster.connect(fleet.kubeconfig, "by-hand")
    hand = ByHand(fleet, writer)
    following = asyncio.create_task(hand.follow())
    try:
        yield hand
        if following.done():
            following.result()
    finally:
        await asyncio.gather(*hand.telling, return_exceptions=True)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await writer.close()


def _is_ready(body: Object) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
