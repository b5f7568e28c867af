"""The revisions of templates that sessions are pinned to, kept beside them in the cluster.

A revision is held by an object (by several, if many sessions use it) that is made before the
first of its sessions, and names each of them as its owner: when the last one is gone, the
cluster removes it. One that was made for a session that never came is removed after a while.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from porthole_agent.runtimes.kubernetes import manifests, seen
from porthole_agent.runtimes.kubernetes.store import Store
from porthole_contract.cluster import Object
from porthole_contract.names import (
    AGENT,
    ANNOTATION_TEMPLATE_DIGEST,
    LABEL_MANAGED_BY,
    LABEL_TEMPLATE,
    revision_object,
    shared_revision,
)
from porthole_contract.session import TemplateRef
from porthole_contract.template import SessionTemplateSpec
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing
from porthole_kube.kinds import REVISIONS
from porthole_kube.objects import annotation, is_ending, key_of, uid_of, version_of

_log = structlog.get_logger(__name__)

_UNUSED_FOR: Final = timedelta(minutes=10)


class Revisions:
    """The revisions in one cluster.

    Args:
        api: the API server.
        templates: what is seen of SessionTemplates; their content is known as well.
    """

    def __init__(self, api: Cluster, templates: Store) -> None:
        self._api = api
        self._templates = templates
        self._contents: dict[str, SessionTemplateSpec] = {}
        self._there: set[tuple[str, str]] = set()
        self._noted_soon: dict[tuple[str, str], dict[str, Object]] = {}
        self._noting = asyncio.Lock()

    def content(self, digest: str) -> SessionTemplateSpec | None:
        """Return the content of a revision, if it is known here."""
        known = self._contents.get(digest)
        if known is not None:
            return known
        for thing in self._templates:
            found = seen.template(thing)
            if found is not None and found.spec.digest() == digest:
                return found.spec
        return None

    async def make(
        self, namespace: str, name: str, spec: SessionTemplateSpec, session: str
    ) -> None:
        """Have a revision in a namespace, before the session of that name uses it."""
        held = revision_object(spec.digest(), session)
        if (namespace, held) in self._there:
            return
        with contextlib.suppress(Conflicted):  # it is there already; its name says what it is
            await self._api.create(REVISIONS, manifests.revision(namespace, held, name, spec))
        self._remember(namespace, held, spec)

    async def use(self, namespace: str, name: str, spec: SessionTemplateSpec, user: Object) -> None:
        """Keep a revision for as long as a session is there.

        Sessions that begin together are noted together: they all write to the one object.
        """
        held = revision_object(spec.digest(), user["metadata"]["name"])
        key = (namespace, held)
        self._noted_soon.setdefault(key, {})[uid_of(user)] = user
        async with self._noting:
            users = self._noted_soon.pop(key, {})
            if uid_of(user) not in users:
                self._noted_soon.setdefault(key, {}).update(users)
                return  # whoever had the lock before us has noted ours as well
            try:
                await self._note(key, name, spec, list(users.values()))
            except BaseException:
                del users[uid_of(user)]
                self._noted_soon.setdefault(key, {}).update(users)
                raise
        self._remember(namespace, held, spec)

    async def _note(
        self, key: tuple[str, str], name: str, spec: SessionTemplateSpec, users: list[Object]
    ) -> None:
        patch: Object = {"metadata": {"ownerReferences": [*map(manifests.used_by, users)]}}
        try:
            await self._api.merge(REVISIONS, *key, patch, strategic=True)
        except Missing:
            # The last one that used it has just gone.
            await self._api.create(REVISIONS, manifests.revision(*key, name, spec, users))

    async def look_after(self, namespace: str, sessions: Iterable[Object]) -> None:
        """Finish what was cut short: uses that were not noted, revisions that nobody uses.

        Raises:
            PortholeError: the API server does not answer, or refuses.
        """
        things = await self._api.list(REVISIONS, namespace, labels=LABEL_TEMPLATE)
        there = {thing["metadata"]["name"]: thing for thing in things}
        self._there = {one for one in self._there if one[0] != namespace}
        for held, thing in there.items():
            spec = seen.revision_spec(thing)
            if spec is not None and held.startswith(shared_revision(spec.digest())):
                self._remember(namespace, held, spec)
        used = set()
        for session in sessions:
            digest = annotation(session, ANNOTATION_TEMPLATE_DIGEST)
            if session["metadata"]["namespace"] != namespace or digest is None:
                continue
            held = revision_object(digest, session["metadata"]["name"])
            used.add(held)
            await self._note_use(there.get(held), digest, session)
        for name, thing in there.items():
            if name not in used and _is_forgotten(thing):
                await self._remove(thing)

    async def _note_use(self, revision: Object | None, digest: str, session: Object) -> None:
        owners = [] if revision is None else revision["metadata"].get("ownerReferences") or []
        spec = self.content(digest)
        noted = any(owner["uid"] == uid_of(session) for owner in owners)
        if not noted and spec is not None and seen.is_ours(session) and not is_ending(session):
            template = TemplateRef.parse(session["spec"]["template"])
            await self.use(session["metadata"]["namespace"], template.name, spec, session)

    async def _remove(self, thing: Object) -> None:
        _log.info("revision_removed", name=thing["metadata"]["name"])
        try:
            await self._api.delete(
                REVISIONS, *key_of(thing), uid_of(thing), version=version_of(thing)
            )
        except Conflicted:
            return  # somebody uses it after all
        finally:
            self._there.clear()

    def _remember(self, namespace: str, held: str, spec: SessionTemplateSpec) -> None:
        self._contents[spec.digest()] = spec
        self._there.add((namespace, held))


def _is_forgotten(thing: Object) -> bool:
    """Whether we made it, nobody owns it, and whoever it was made for would be there by now."""
    metadata = thing["metadata"]
    ours = (metadata.get("labels") or {}).get(LABEL_MANAGED_BY) == AGENT
    made = datetime.fromisoformat(metadata["creationTimestamp"])
    old = datetime.now(UTC) - made > _UNUSED_FOR
    return ours and old and not metadata.get("ownerReferences") and not is_ending(thing)
