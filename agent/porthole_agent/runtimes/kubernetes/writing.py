"""Orders, written into the cluster; each write behind its fence.

Every step looks first and then writes what it saw to be right, on the condition that it is
still as it was seen. When it is not, it looks again. So whoever comes late (an agent that has
lost its link, an answer that was lost and an order that came again) changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

import structlog

from porthole_agent.failpoints import failpoint
from porthole_agent.metrics import FENCED, PUT_BACK, UNANSWERED, UNDONE
from porthole_agent.runtimes import fence
from porthole_agent.runtimes.kubernetes import manifests, seen
from porthole_agent.runtimes.kubernetes.judge import PutBack, strays
from porthole_agent.runtimes.kubernetes.revisions import Revisions
from porthole_agent.runtimes.kubernetes.store import Store
from porthole_agent.runtimes.kubernetes.tombstones import Tombstone, Tombstones
from porthole_contract.cluster import Kind, Object
from porthole_contract.conditions import Reason
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.names import (
    ANNOTATION_HOME_HOLDER,
    ANNOTATION_HOME_ID,
    ANNOTATION_TEMPLATE_DIGEST,
    ANNOTATION_TRACEPARENT,
    session_name,
)
from porthole_contract.session import SessionSpec
from porthole_contract.template import PinnedTemplate
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing, Unanswered
from porthole_kube.kinds import CLAIMS, CORE_EVENTS, SESSIONS
from porthole_kube.objects import annotation, is_ending, key_of, uid_of, version_of

_log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_FIRST_PAUSE: Final = 0.02
_LAST_PAUSE: Final = 5.0
_LOOK_EVERY: Final = 2.0
"""Seconds after which the end of an object is asked for, if no watch has told it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order: what a session is to be."""

    session: UUID
    order: int
    name: str
    owner: str
    spec: SessionSpec
    template: PinnedTemplate
    home: UUID | None
    traceparent: str | None = None


class Writing:
    """Writes orders.

    Args:
        api: the API server.
        namespace: where sessions are made.
        sessions: what is seen of them.
        volumes: what is seen of homes.
        revisions: of templates.
        tombstones: of sessions.
        find: returns a session's object as it was last seen.
    """

    def __init__(
        self,
        api: Cluster,
        namespace: str,
        *,
        sessions: Store,
        volumes: Store,
        revisions: Revisions,
        tombstones: Tombstones,
        find: Callable[[UUID], Object | None],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._sessions = sessions
        self._volumes = volumes
        self._revisions = revisions
        self._tombstones = tombstones
        self._find = find
        self.draining = False

    # Sessions

    async def apply(self, wanted: Wanted) -> None:
        """Write an order; returns when the cluster has it, or a newer one.

        Raises:
            Refused: it is not done; the sentence says why.
        """
        failpoint("kubernetes.create.received")
        await _until_done(lambda: self._apply(wanted))

    async def _apply(self, wanted: Wanted) -> None:
        if fence.too_late(wanted.order, self._tombstones.order(wanted.session)):
            return
        found, free = await self._look(wanted)
        if found is None:
            await self._create(wanted, free)
        else:
            await self._change(found, wanted)

    async def _look(self, wanted: Wanted) -> tuple[Object | None, str | None]:
        """Return the session's object as it is now, or a name under which it can be made."""
        last = self._find(wanted.session)
        if last is not None:
            found = await self._api.get(SESSIONS, *key_of(last))
            if found is not None and uid_of(found) == uid_of(last):
                return found, None
        free = None
        for name in _names(wanted):
            found = await self._api.get(SESSIONS, self._namespace, name)
            if found is None:
                free = free or name
            elif seen.session_id(found) == wanted.session:
                return found, None
        return None, free

    async def _create(self, wanted: Wanted, name: str | None) -> None:
        if self.draining:
            raise Refused("agent_draining", "This agent is being drained; it takes no new ones.")
        if name is None:
            raise Refused(
                "name_taken",
                f"There is a session '{wanted.name}' in the cluster that is another one.",
            )
        template = wanted.template
        content = template.spec or self._revisions.content(template.digest)
        if content is None:
            raise Refused(
                "template_content_missing",
                f"The content of the template '{template.name}' is not known here.",
            )
        await self._revisions.make(self._namespace, template.name, content, name)
        failpoint("kubernetes.create.revision-made")
        made = await self._api.apply(
            SESSIONS,
            manifests.session(
                namespace=self._namespace,
                name=name,
                identity=wanted.session,
                order=wanted.order,
                spec=wanted.spec,
                digest=content.digest(),
                home=wanted.home,
                traceparent=wanted.traceparent,
            ),
        )
        failpoint("kubernetes.create.session-made")
        self._sessions.put(made)
        await self._revisions.use(self._namespace, template.name, content, made)
        failpoint("kubernetes.create.revision-owned")

    async def _change(self, found: Object, wanted: Wanted) -> None:
        owner = (found.get("spec") or {}).get("owner")
        if owner != wanted.owner:
            raise Refused("owner_changed", "The session belongs to somebody else.")
        verdict = fence.on_apply(wanted.order, held=seen.order_of(found), ended=None)
        if is_ending(found) or verdict is not fence.Apply.CHANGE:
            return
        failpoint("kubernetes.change.read")
        if seen.is_ours(found):
            news = manifests.session(
                namespace=found["metadata"]["namespace"],
                name=found["metadata"]["name"],
                identity=wanted.session,
                order=wanted.order,
                spec=wanted.spec,
                digest=annotation(found, ANNOTATION_TEMPLATE_DIGEST),
                home=wanted.home,
                traceparent=wanted.traceparent,
                before=found,
            )
        else:
            news = manifests.wish(found, order=wanted.order, desired=wanted.spec.desired)
        written = await self._api.apply(SESSIONS, news)
        failpoint("kubernetes.change.written")
        self._sessions.put(written)

    async def delete(self, session: UUID, order: int) -> None:
        """Delete a session; returns when nothing of it is left but its home."""
        failpoint("kubernetes.delete.received")
        ending = await _until_done(lambda: self._ask_for_the_end(session, order))
        if ending is not None:
            await self._until_gone(SESSIONS, self._sessions, ending)
            failpoint("kubernetes.delete.gone")

    async def _ask_for_the_end(self, session: UUID, order: int) -> Object | None:
        """Return the object whose end was asked for; None if there is none to wait for."""
        last = self._find(session)
        found = None if last is None else await self._api.get(SESSIONS, *key_of(last))
        if found is not None and seen.session_id(found) != session:
            found = None
        held = None if found is None else seen.order_of(found)
        if fence.on_delete(order, held=held, ended=None) is fence.Delete.NOTHING:
            return None
        tombstone = Tombstone(order=order, reason=Reason.REQUESTED, at=datetime.now(UTC))
        await self._tombstones.bury(session, tombstone)
        failpoint("kubernetes.delete.tombstone-written")
        if last is not None and found is None:
            self._sessions.drop(last)
        if found is None:
            return None
        await self._end(found)
        failpoint("kubernetes.delete.asked")
        return found

    async def undo(self, thing: Object) -> None:
        """Delete a session that was made after its deletion."""
        UNDONE.inc()
        await self._end(thing)

    async def _end(self, thing: Object) -> None:
        if is_ending(thing):
            return
        if not await self._delete(SESSIONS, thing, foreground=True):
            self._sessions.drop(thing)

    async def put_back(self, thing: Object, verdict: PutBack) -> None:
        """Make a session again what was ordered, and say so.

        Raises:
            Conflicted: it was changed since; it will be seen and judged again.
        """
        written = await self._api.apply(SESSIONS, _ordered(thing, verdict.spec))
        stray = strays(written["spec"], verdict.spec.to_dict())
        if stray:
            patch = {
                "metadata": {"resourceVersion": version_of(written)},
                "spec": stray,
            }
            without = await self._api.merge(SESSIONS, *key_of(thing), patch)
            written = await self._api.apply(SESSIONS, _ordered(without, verdict.spec))
        self._sessions.put(written)
        PUT_BACK.inc()
        now = datetime.now(UTC)
        try:
            await self._api.create(
                CORE_EVENTS, manifests.put_back_event(thing, verdict.message, now)
            )
        except PortholeError as error:
            _log.warning("event_not_written", why=str(error))

    # Homes

    async def delete_home(self, home: UUID) -> None:
        """Delete a home that nobody holds; returns when it is gone.

        Raises:
            Refused: `home_in_use`.
        """
        ending = await _until_done(lambda: self._ask_for_the_end_of_home(home))
        if ending is not None:
            await self._until_gone(CLAIMS, self._volumes, ending)

    async def _ask_for_the_end_of_home(self, home: UUID) -> Object | None:
        last = next((one for one in self._volumes if seen.home_id(one) == home), None)
        if last is None:
            return None
        found = await self._api.get(CLAIMS, *key_of(last))
        if found is None:
            self._volumes.drop(last)
            return None
        holder = annotation(found, ANNOTATION_HOME_HOLDER)
        for session in self._sessions:
            if uid_of(session) == holder:
                name = session["metadata"]["name"]
                raise Refused("home_in_use", f"The home is held by the session '{name}'.")
        if not is_ending(found) and not await self._delete(CLAIMS, found):
            self._volumes.drop(found)
            return None
        return found

    # Inside

    async def _delete(self, kind: Kind, thing: Object, *, foreground: bool = False) -> bool:
        """Delete exactly this object, in exactly this state; return whether it was there."""
        return await self._api.delete(
            kind,
            *key_of(thing),
            uid_of(thing),
            version=version_of(thing),
            foreground=foreground,
        )

    async def _until_gone(self, kind: Kind, store: Store, thing: Object) -> None:
        """Wait for an object's end: told by a watch, or found by asking now and then."""
        uid = uid_of(thing)
        while True:
            seen_now = store.get(key_of(thing))
            if seen_now is None or uid_of(seen_now) != uid:
                return
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await store.until_gone(uid)
            except TimeoutError:
                try:
                    found = await self._api.get(kind, *key_of(thing))
                except Unanswered:
                    continue
                if found is None or uid_of(found) != uid:
                    store.drop(thing)


def _ordered(thing: Object, spec: SessionSpec) -> Object:
    """Return what is applied to make a session again what its present order says."""
    home = annotation(thing, ANNOTATION_HOME_ID)
    return manifests.session(
        namespace=thing["metadata"]["namespace"],
        name=thing["metadata"]["name"],
        identity=seen.session_id(thing),
        order=seen.order_of(thing),
        spec=spec,
        digest=annotation(thing, ANNOTATION_TEMPLATE_DIGEST),
        home=None if home is None else UUID(home),
        traceparent=annotation(thing, ANNOTATION_TRACEPARENT),
        before=thing,
    )


def _names(wanted: Wanted) -> tuple[str, str]:
    """Return what a session's object may be called: its name, and another if that is taken.

    Two people may call a session the same; in a namespace there is one object of a name.
    """
    return wanted.name, session_name(wanted.name, wanted.session)


async def _until_done(attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Try until it is done or refused: what is in conflict, or not answered, is looked at again."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except Conflicted:
            FENCED.inc()
        except (Missing, Unanswered) as error:
            UNANSWERED.inc()
            _log.warning("order_waits", why=str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)
