"""The Kubernetes runtime: what the cluster has, followed and held to; and the port."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from porthole_agent.runtimes.kubernetes import gate, lending, seen
from porthole_agent.runtimes.kubernetes.judge import LetBe, PutBack, Undo, Verdict, judge
from porthole_agent.runtimes.kubernetes.reflector import Reflector
from porthole_agent.runtimes.kubernetes.revisions import Revisions
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_agent.runtimes.kubernetes.store import Store
from porthole_agent.runtimes.kubernetes.tombstones import Tombstone, Tombstones
from porthole_agent.runtimes.kubernetes.usage import Heard, Uses
from porthole_agent.runtimes.kubernetes.writing import Wanted, Writing
from porthole_agent.runtimes.listeners import Listeners
from porthole_agent.runtimes.port import (
    Capacity,
    Change,
    HomeGone,
    Inventory,
    Observation,
    Offer,
    Overview,
    UseHeard,
)
from porthole_contract.cluster import Kind, Object
from porthole_contract.conditions import Reason
from porthole_contract.errors import PortholeError, Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.link.reports import ObservedEvent
from porthole_contract.names import ANNOTATION_HOME_HOLDER, check_name, check_owner
from porthole_contract.session import Protocol, SessionSpec, SessionStatus
from porthole_contract.stream.grant import SigningKey
from porthole_contract.template import PinnedTemplate
from porthole_contract.trace import Traceparent
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing, Unanswered
from porthole_kube.kinds import (
    CLAIMS,
    NAMESPACES,
    NODES,
    PODS,
    SESSIONS,
    TEMPLATES,
)
from porthole_kube.objects import Key, annotation, key_of, uid_of

_log = structlog.get_logger(__name__)

_ROOM_OLD_AFTER: Final = 10.0
"""Seconds for which a look at nodes and pods is good enough."""
_MEND_AGAIN_AFTER: Final = 2.0
"""Seconds between two corrections of one session: whoever fights us is not fought in a rush."""
_OPEN_WITHIN: Final = 60.0
_OPEN_AGAIN_AFTER: Final = 0.5
"""Seconds; kinds that were installed a moment ago are not served yet."""
_LISTED_WITHIN: Final = 120.0
"""Seconds that a list and the end of a watch may take besides."""
_KUBE_SYSTEM: Final = "kube-system"
_NOT_EXPOSED: Final = (
    "In a cluster nothing listens on a session's port; `porthole session connect` opens one on"
    " your own machine."
)
_OWN_ENDS: Final = frozenset({Reason.IDLE, Reason.LIFETIME_OVER})


class KubernetesRuntime:
    """Desktops as Session objects; implements `porthole_agent.runtimes.port`.

    What runs is the operator's business and goes on without an agent. So there is nothing
    here that could be ended with the agent: `end_everything` and `stop_all` end nothing.

    Args:
        settings: which namespaces, and how much of the cluster.
        api: the API server; the caller closes it.
    """

    def __init__(self, settings: KubernetesSettings, api: Cluster) -> None:
        self._settings = settings
        self._api = api
        self._uid = UUID(int=0)
        self._listeners = Listeners()
        self._sessions = Store(self._session_changed)
        self._templates = Store(self._template_changed)
        self._volumes = Store(self._volume_changed)
        self._keys: dict[UUID, Key] = {}
        self._ending: set[UUID] = set()
        self._tombstones = Tombstones(api, settings.system_namespace)
        self._revisions = Revisions(api, self._templates)
        self._writing = Writing(
            api,
            settings.namespaces[0],
            sessions=self._sessions,
            volumes=self._volumes,
            revisions=self._revisions,
            tombstones=self._tombstones,
            find=self._find,
        )
        self._reflectors = [
            Reflector(api, kind, namespace, store, every=settings.resync_seconds)
            for namespace in settings.namespaces
            for kind, store in (
                (TEMPLATES, self._templates),
                (CLAIMS, self._volumes),
                (SESSIONS, self._sessions),
            )
        ]
        self._tasks: set[asyncio.Task[None]] = set()
        self._mending: set[Key] = set()
        self._started = False
        self._room: Capacity | None = None
        self._room_seen_at = 0.0
        self._uses: Uses | None = None
        self._undoing: set[str] = set()
        self.undone = 0
        """How many sessions were made after their deletion, and undone; each object once."""

    @property
    def uid(self) -> UUID:
        """The cluster's own uid: that of its namespace kube-system."""
        return self._uid

    @property
    def overdue(self) -> float:
        """The seconds by which a collection should have been listed anew; 0 if none is due."""
        if not self._started:
            return 0.0
        turned = min(reflector.turned_at for reflector in self._reflectors)
        return max(0.0, monotonic() - turned - self._settings.resync_seconds - _LISTED_WITHIN)

    # Life

    async def open(self) -> None:
        """Read what is there; see the port."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + _OPEN_WITHIN
        while True:
            try:
                return await self._read()
            except Unanswered as error:
                if clock() > give_up:
                    raise
                _log.warning("cluster_waited_for", why=str(error))
                await asyncio.sleep(_OPEN_AGAIN_AFTER)

    async def _read(self) -> None:
        system = await self._api.get(NAMESPACES, None, _KUBE_SYSTEM)
        if system is None:
            raise Refused("no_cluster", "The cluster has no namespace kube-system.")
        self._uid = UUID(uid_of(system))
        await self._tombstones.load()
        try:
            for reflector in self._reflectors:
                await reflector.list()
        except Missing as error:
            raise Refused(
                "no_sessions_here",
                "The cluster does not know what a Session is. Install Porthole's kinds there"
                " (`kubectl apply -f crds/`, or the chart).",
            ) from error

    async def end_everything(self) -> None:
        """End nothing: what runs is the operator's; see the class."""

    async def start(self) -> None:
        """Follow what is there, and hold it to what was ordered; see the port."""
        self._started = True
        for reflector in self._reflectors:
            self._run(reflector.run())
        self._run(self._look_after_revisions())
        for thing in self._sessions:
            self._mend_soon(thing)

    def hear_gates(self, key: SigningKey) -> None:
        """Hear from gates what their sessions use; `key` signs grants for them."""
        self._uses = Uses(key, self.connect_gate, lambda one: self._listeners.tell(UseHeard(one)))
        for thing in self._sessions:
            self._hear(thing)

    async def close(self) -> None:
        """Stop following; what runs goes on; see the port."""
        self._started = False
        if self._uses is not None:
            await self._uses.close()
            self._uses = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop_all(self) -> None:
        """Stop following; nothing is ended: see the class."""
        await self.close()

    # Orders

    async def apply(
        self,
        session: UUID,
        order: int,
        *,
        name: str,
        owner: str,
        spec: SessionSpec,
        template: PinnedTemplate,
        home: UUID | None = None,
        exposed: Exposure | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Hold a session to `spec`; see the port."""
        if exposed is not None:
            raise Refused("expose_not_served", _NOT_EXPOSED)
        check_name(name)
        check_owner(owner)
        wanted = Wanted(session, order, name, owner, spec, template, home, traceparent)
        await self._writing.apply(wanted)

    async def delete(self, session: UUID, order: int) -> None:
        """End a session; see the port."""
        self._ending.add(session)
        try:
            await self._writing.delete(session, order)
        finally:
            self._ending.discard(session)

    async def delete_home(self, home: UUID) -> None:
        """Delete a home; see the port."""
        await self._writing.delete_home(home)

    async def drain(self, draining: bool) -> None:
        """Take no new sessions, or take them again; see the port."""
        self._writing.draining = draining

    # News

    def observe(self) -> AsyncIterator[Change]:
        """Yield what changes; see the port."""
        return self._listeners.changes()

    async def overview(self) -> Overview:
        """Return how it is with the runtime itself; see the port."""
        return Overview(
            runtime=self._uid,
            offers=self._offers(),
            capacity=await self._capacity(),
            draining=self._writing.draining,
            uses=() if self._uses is None else self._uses.all(),
        )

    async def inventory(self) -> Inventory:
        """Return everything that there is, listed now; see the port."""
        for reflector in self._reflectors:
            await reflector.list()
        overview = await self.overview()
        # From here on nothing waits: what is told meanwhile would be newer than what is returned.
        there = [thing for thing in self._sessions if not self._is_undone(thing)]
        ids = {seen.session_id(thing) for thing in there}
        by_uid = {uid_of(thing): seen.session_id(thing) for thing in there}
        homes = (seen.home(thing, by_uid) for thing in self._volumes)
        return Inventory(
            overview=overview,
            sessions=tuple(self._observations(there)),
            ended=tuple(one for one in self._tombstones.ended() if one.session not in ids),
            homes=tuple(one for one in homes if one is not None),
        )

    async def connect_gate(self, session: UUID) -> tuple[StreamReader, StreamWriter]:
        """Connect to a session's gate; see the port."""
        return await gate.connect(self._api, self._known(session))

    async def lend_files(self, session: UUID) -> str:
        """Have the files of a session that sleeps served; see the port."""
        return await lending.lend(self._api, lambda: self._known(session), self._sessions.put)

    def shut_ports(self, shut: bool, /) -> None:
        """Do nothing: there are none."""

    async def logs(self, session: UUID) -> str:
        """Return the last lines that a session's programs have logged; see the port."""
        return await gate.logs(self._api, self._known(session))

    # What is seen

    def _find(self, session: UUID) -> Object | None:
        key = self._keys.get(session)
        return None if key is None else self._sessions.get(key)

    def _known(self, session: UUID) -> Object:
        found = self._find(session)
        if found is None:
            raise Refused("session_unknown", "There is no such session in this cluster.")
        return found

    def _observations(self, things: list[Object]) -> list[Observation]:
        found: dict[UUID, Observation] = {}
        for thing in things:
            one = seen.observation(thing)
            if one is None:
                _log.warning("session_not_understood", name=thing["metadata"]["name"])
            elif self._keys.get(one.session) == key_of(thing):
                found[one.session] = one
        return list(found.values())

    def _verdict(self, thing: Object) -> Verdict:
        return judge(thing, self._tombstones.order(seen.session_id(thing)))

    def _is_undone(self, thing: Object) -> bool:
        """Whether a session is none any more, and is not being ended in the ordinary way."""
        ending = seen.session_id(thing) in self._ending
        return not ending and isinstance(self._verdict(thing), Undo)

    def _session_changed(self, before: Object | None, after: Object | None) -> None:
        if after is None:
            assert before is not None
            self._undoing.discard(uid_of(before))
            self._session_gone(before)
            return
        session = seen.session_id(after)
        if before is not None and seen.session_id(before) != session:
            self._session_gone(before)
            before = None
        holder = self._sessions.get(self._keys.setdefault(session, key_of(after)))
        if holder is None or seen.session_id(holder) != session:
            self._keys[session] = key_of(after)
        elif key_of(holder) != key_of(after):
            # Somebody copied an object with its annotations; the first one is the session.
            _log.warning("session_twice", session=str(session), name=after["metadata"]["name"])
            return
        if self._started:
            self._mend_soon(after)
        self._hear(after)
        if self._is_undone(after):
            return
        told = seen.observation(after)
        if told is not None and (before is None or seen.observation(before) != told):
            self._listeners.tell(told)

    def _session_gone(self, thing: Object) -> None:
        session = seen.session_id(thing)
        if self._keys.get(session) != key_of(thing):
            return
        del self._keys[session]
        if self._uses is not None:
            self._uses.follow(session, None)
        if session not in self._ending and isinstance(self._verdict(thing), Undo):
            return  # nobody was told that it was there
        told = seen.observation(thing)
        reason, message = _why_it_ended(thing, asked=self._was_asked(session, thing))
        if told is not None:
            status = SessionStatus(
                phase=Phase.TERMINATED, reason=reason, message=message, order=told.order
            )
            self._listeners.tell(replace(told, status=status))
        self._home_let_go(uid_of(thing))
        if self._started and seen.is_ours(thing) and not self._was_asked(session, thing):
            tombstone = Tombstone(
                order=seen.order_of(thing), reason=reason, message=message, at=datetime.now(UTC)
            )
            self._run(self._bury(session, tombstone))

    def _hear(self, thing: Object) -> None:
        """Listen to the gate of a session whose use is asked for, while it runs."""
        session = seen.session_id(thing)
        if self._uses is not None and self._keys.get(session) == key_of(thing):
            self._uses.follow(session, _gate_to_hear(seen.observation(thing)))

    def _home_let_go(self, holder: str) -> None:
        """Tell the home of a session that is gone: the volume still names it, and holds nothing."""
        by_uid = {uid_of(one): seen.session_id(one) for one in self._sessions}
        by_uid.pop(holder, None)
        for thing in self._volumes:
            if annotation(thing, ANNOTATION_HOME_HOLDER) == holder:
                told = seen.home(thing, by_uid)
                if told is not None:
                    self._listeners.tell(told)

    def _was_asked(self, session: UUID, thing: Object) -> bool:
        ended = self._tombstones.order(session)
        return session in self._ending or (ended is not None and ended >= seen.order_of(thing))

    async def _bury(self, session: UUID, tombstone: Tombstone) -> None:
        with contextlib.suppress(PortholeError):  # the next inventory has its absence
            await self._tombstones.bury(session, tombstone)

    def _template_changed(self, before: Object | None, after: Object | None) -> None:
        thing = after or before
        assert thing is not None
        offer = seen.offer(thing)
        if offer is not None:
            gone = after is None
            self._listeners.tell(
                Offer(offer.template, offered=offer.offered and not gone, reason=offer.reason)
            )

    def _volume_changed(self, before: Object | None, after: Object | None) -> None:
        if after is None:
            assert before is not None
            home = seen.home_id(before)
            if home is not None:
                self._listeners.tell(HomeGone(home))
            return
        by_uid = {uid_of(thing): seen.session_id(thing) for thing in self._sessions}
        told = seen.home(after, by_uid)
        if told is not None and (before is None or seen.home(before, by_uid) != told):
            self._listeners.tell(told)

    def _offers(self) -> tuple[Offer, ...]:
        """Return what is on offer; of two templates of a name, that of the first namespace."""
        found: dict[str, Offer] = {}
        for namespace in self._settings.namespaces:
            for thing in self._templates:
                offer = seen.offer(thing) if key_of(thing)[0] == namespace else None
                if offer is not None:
                    found.setdefault(offer.template.name, offer)
        return tuple(found[name] for name in sorted(found))

    async def _capacity(self) -> Capacity:
        clock = asyncio.get_running_loop().time
        if self._room is None or clock() - self._room_seen_at > _ROOM_OLD_AFTER:
            nodes = await self._all_of(NODES, "")
            pods = [
                pod
                for namespace in self._settings.namespaces
                for pod in await self._all_of(PODS, namespace)
            ]
            self._room_seen_at = clock()
            self._room = seen.capacity(
                nodes,
                pods,
                sessions=self._settings.max_sessions,
                sessions_used=0,
                cpu=self._settings.cpu,
                memory=self._settings.memory,
            )
        return replace(
            self._room, sessions_used=sum(seen.occupies(thing) for thing in self._sessions)
        )

    async def _all_of(self, kind: Kind, namespace: str) -> list[Object]:
        """Return all objects of a kind, a little old; none where we may not look."""
        try:
            things = await self._api.list(kind, namespace, cached=True)
        except Refused as error:
            _log.warning("room_not_known", kind=kind.plural, why=str(error))
            return []
        return things

    # What is put right

    def _mend_soon(self, thing: Object) -> None:
        if not isinstance(self._verdict(thing), LetBe) and key_of(thing) not in self._mending:
            self._mending.add(key_of(thing))
            self._run(self._mend(key_of(thing)))

    async def _mend(self, key: Key) -> None:
        """Correct one session until there is nothing to correct."""
        try:
            while (thing := self._sessions.get(key)) is not None:
                try:
                    if not await self._correct(thing):
                        return
                except Conflicted:
                    pass  # changed since; the watch will tell
                except PortholeError as error:
                    _log.warning("not_corrected", name=key[1], why=str(error))
                await asyncio.sleep(_MEND_AGAIN_AFTER)
        finally:
            self._mending.discard(key)

    async def _correct(self, thing: Object) -> bool:
        """Do what the verdict says; return whether there was anything to do."""
        session = seen.session_id(thing)
        match self._verdict(thing):
            case PutBack() as verdict:
                await self._writing.put_back(thing, verdict)
                _log.warning("put_back", session=str(session), why=verdict.message)
                self._tell_put_back(session, verdict)
            case Undo() if session not in self._ending:
                if uid_of(thing) not in self._undoing:
                    self._undoing.add(uid_of(thing))
                    self.undone += 1
                    _log.warning("late_session_undone", session=str(session), in_all=self.undone)
                await self._writing.undo(thing)
            case Undo():
                pass
            case _:
                return False
        return True

    def _tell_put_back(self, session: UUID, verdict: PutBack) -> None:
        now = self._find(session)
        told = None if now is None else seen.observation(now)
        if told is not None:
            event = ObservedEvent(at=datetime.now(UTC), reason="PutBack", message=verdict.message)
            self._listeners.tell(replace(told, events=(event,)))

    async def _look_after_revisions(self) -> None:
        while True:
            for namespace in self._settings.namespaces:
                try:
                    await self._revisions.look_after(namespace, self._sessions)
                except PortholeError as error:
                    _log.warning("revisions_not_looked_after", why=str(error))
            await asyncio.sleep(self._settings.resync_seconds)

    def _run(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _gate_to_hear(one: Observation | None) -> Heard | None:
    """Return the gate that says what a session uses, if that is asked for and it runs."""
    if one is None or one.spec.protocol is not Protocol.RDP:
        return None
    gate = one.status.gate
    if one.status.phase is not Phase.RUNNING or gate is None or gate.fingerprint is None:
        return None
    order = Traceparent.read(one.traceparent)
    return Heard(gate.fingerprint, None if order is None else order.trace)


def _why_it_ended(thing: Object, *, asked: bool) -> tuple[str, str]:
    """Return the reason and the sentence for a session that is gone."""
    if asked:
        return Reason.REQUESTED, ""
    status = thing.get("status") or {}
    # While it runs, that it is idle is a warning.
    if status.get("reason") in _OWN_ENDS and status.get("phase") != Phase.RUNNING:
        return str(status["reason"]), str(status.get("message") or "")
    return Reason.DELETED_IN_CLUSTER, "It was deleted in the cluster."
