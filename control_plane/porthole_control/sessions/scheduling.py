"""Giving sessions to agents: at once if it can be, else later and by itself."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict
from uuid import UUID

from porthole_contract.conditions import Reason
from porthole_contract.effective import set_aside
from porthole_contract.lifecycle import Phase
from porthole_contract.quantities import parse_quantity
from porthole_control.agents import repository as agents
from porthole_control.agents.repository import Place
from porthole_control.agents.rules import (
    PASSES,
    Candidate,
    Unheard,
    Waits,
    Wish,
    choose,
    could_ever,
    perhaps_given,
    unheard,
)
from porthole_control.commands import repository as commands
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell
from porthole_control.events import service as events
from porthole_control.homes import repository as homes
from porthole_control.metrics import ASSIGNED
from porthole_control.sessions import orders, repository
from porthole_control.sessions.repository import Session
from porthole_control.templates import repository as templates

_BATCH = 100


class Market:
    """The agents as they are now, and what they offer; loads rise as sessions are given away.

    Attributes:
        agents: those that are not revoked.
        kept: the one whose room is for somebody who waits for it.
        unheard: those that may have been given something that was forgotten here.
    """

    def __init__(self) -> None:
        self.agents: Sequence[Place] = ()
        self.unheard: Sequence[Unheard] = ()
        self.kept: UUID | None = None
        self._taken: dict[UUID, _Amounts] = {}
        self._offers: dict[str, Sequence[templates.Offer]] = {}
        self._ours: dict[str, bool] = {}

    async def take_turn(self, unit: Unit) -> None:
        """Wait until nobody else gives sessions away, and look at all agents.

        Until the transaction ends nobody else does, on whatever replica.
        """
        await repository.take_turn(unit.connection)
        self.agents = await agents.places(unit.connection)
        self.unheard = unheard(
            ((agent.name, agent.unheard_since) for agent in self.agents), unit.now
        )
        self._taken = {agent.id: _taken(agent) for agent in self.agents}

    async def look_at(self, unit: Unit, names: Collection[str]) -> None:
        """Look at what agents say about these templates."""
        new = set(names) - self._offers.keys()
        if not new:
            return
        said = await templates.offers(unit.connection, names=new)
        ours = await templates.ours(unit.connection, new)
        for name in new:
            self._offers[name] = [offer for offer in said if offer.name == name]
            self._ours[name] = name in ours

    def offers(self, name: str) -> Sequence[templates.Offer]:
        """Return what agents say about a template that was looked at."""
        return self._offers[name]

    def is_ours(self, name: str) -> bool:
        """Return whether a template that was looked at was ever made here."""
        return self._ours[name]

    def candidates(self, template: str) -> Sequence[Candidate]:
        """Return what is known of each agent when it comes to a template."""
        said = {offer.agent_id: offer for offer in self._offers[template]}
        return [
            Candidate(
                id=agent.id,
                name=agent.name,
                state=agent.state,
                linked=agent.linked_replica is not None,
                offers=said[agent.id].offered if agent.id in said else None,
                why_not=said[agent.id].message if agent.id in said else "",
                sessions=self._taken[agent.id].sessions,
                most=_most(agent.capacity),
                leaving=agent.capacity.get("draining") is True,
                protocols=agent.capacity.get("protocols"),
                labels=agent.labels,
                cpu=self._taken[agent.id].cpu,
                most_cpu=_amount(agent.capacity, "total", "cpu"),
                memory=int(self._taken[agent.id].memory),
                most_memory=_whole(_amount(agent.capacity, "total", "memory")),
                kept=agent.id == self.kept,
            )
            for agent in self.agents
        ]

    def given(self, agent: UUID, wish: Wish) -> Place:
        """Note that an agent was given a session; return what is known of it."""
        self._taken[agent] += _Amounts(1, wish.cpu, wish.memory)
        return next(place for place in self.agents if place.id == agent)


def _most(capacity: dict[str, Any]) -> int | None:
    most = capacity.get("sessions")
    return most if isinstance(most, int) else None


def _amount(capacity: dict[str, Any], kind: str, name: str) -> float | None:
    said = (capacity.get(kind) or {}).get(name)
    return None if said is None else float(parse_quantity(said))


def _whole(amount: float | None) -> int | None:
    return None if amount is None else int(amount)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Sessions, cores and bytes."""

    sessions: int = 0
    cpu: float = 0
    memory: float = 0

    def __add__(self, other: "_Amounts") -> "_Amounts":
        return _Amounts(
            self.sessions + other.sessions, self.cpu + other.cpu, self.memory + other.memory
        )

    def __or__(self, other: "_Amounts") -> "_Amounts":
        """Return the greater of each."""
        return _Amounts(
            max(self.sessions, other.sessions),
            max(self.cpu, other.cpu),
            max(self.memory, other.memory),
        )


def _taken(agent: Place) -> _Amounts:
    """Return what of an agent is taken: what it said, what it has not heard of yet besides.

    What it said may be older than what we know of its sessions, so it is never less than that.
    """
    capacity = agent.capacity
    used = capacity.get("sessions_used")
    said = _Amounts(
        used if isinstance(used, int) else 0,
        _amount(capacity, "used", "cpu") or 0,
        _amount(capacity, "used", "memory") or 0,
    )
    known = unheard = _Amounts()
    for some in agent.sessions:
        cpu, memory = set_aside(some.cpu, some.memory)
        amount = _Amounts(some.count, some.count * cpu, some.count * memory)
        known += amount
        if not some.seen:
            unheard += amount
    return (said + unheard) | known


async def assign(unit: Unit, session: Session, market: Market, *, is_new: bool = False) -> Session:
    """Give a session to an agent if one can take it; else say why it waits.

    The caller has taken its turn and locked the session's row, and the market has looked at
    its template. A session that is new goes behind those that wait for the same room.
    Returns the session as it is then.
    """
    wish, chosen = await _chosen(unit, session, market, is_new=is_new)
    if isinstance(chosen, Waits):
        if chosen.reason is Reason.NO_CAPACITY and session.agent_id is not None:
            return session  # it has a place already, where its agent is silent
        return await _wait(unit, session, chosen)
    if chosen.id == session.agent_id:
        return session if chosen.linked else await _wait(unit, session, _out_of_reach(chosen))
    if session.agent_id is not None:
        # It was never told, and another can do it now.
        if not chosen.linked:
            return session
        if await commands.sent_or_held(unit.connection, "session", session.id):
            return session  # just now; two agents must not have it
        await commands.withdraw(
            unit.connection, subject_kind="session", subject_id=session.id, now=unit.now
        )
    return await _give(unit, session, chosen, market, wish)


async def _chosen(
    unit: Unit, session: Session, market: Market, *, is_new: bool
) -> tuple[Wish, Candidate | Waits]:
    """Return what a session asks of its agent, and the one that takes it or why none does."""
    home = None if session.home_id is None else await homes.locked(unit.connection, session.home_id)
    wish = _wish(session, market, home_at=None if home is None else home.agent_id)
    if home is not None:
        other = await repository.home_promised(unit.connection, home.id, but=session.id)
        if other is not None:
            sentence = f"Its home {home.name!r} is used by the session {other!r}."
            return wish, Waits(Reason.HOME_IN_USE, sentence)
    if (unsure := perhaps_given(session.created_at, market.unheard)) is not None:
        return wish, unsure
    chosen = choose(wish, market.candidates(session.template))
    if not is_new or isinstance(chosen, Waits):
        return wish, chosen
    if not await repository.wait_for(unit.connection, chosen.id):
        return wish, chosen
    unit.ring_after_commit(Bell.WAITING)
    return wish, _OTHERS_FIRST


def _wish(session: Session, market: Market, *, home_at: UUID | None) -> Wish:
    return Wish(
        template=session.template,
        ours=session.template_revision is not None and market.is_ours(session.template),
        agent=session.wanted_agent_id,
        home_at=home_at,
        protocol=session.spec.get("protocol"),
        labels=session.wanted_labels,
        **_requests(session),
    )


_OTHERS_FIRST = Waits(Reason.NO_CAPACITY, "Others have waited for room before it.")


class _Requests(TypedDict):
    cpu: float
    memory: int


def _requests(session: Session) -> _Requests:
    asked = (session.spec.get("resources") or {}).get("requests") or {}
    cpu, memory = set_aside(asked.get("cpu"), asked.get("memory"))
    return {"cpu": cpu, "memory": memory}


async def _give(
    unit: Unit, session: Session, agent: Candidate, market: Market, wish: Wish
) -> Session:
    waits = None if agent.linked else _out_of_reach(agent)
    given = await repository.change(
        unit.connection,
        session,
        unit.now,
        agent_id=agent.id,
        home_assigned=session.home_id is not None,
        reason=str(waits.reason if waits else Reason.ACCEPTED),
        message=waits.sentence if waits else "",
    )
    place = market.given(agent.id, wish)
    given = replace(
        given,
        agent=place.name,
        agent_linked=place.linked_replica,
        agent_linked_at=place.linked_at,
        agent_last_seen_at=place.last_seen_at,
    )
    if session.home_id is not None:
        await homes.change(unit.connection, session.home_id, unit.now, agent_id=agent.id)
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Assigned",
        phase=Phase.PENDING,
        reason=waits.reason if waits else "",
        message=f"Given to the agent {agent.name!r}." + (f" {waits.sentence}" if waits else ""),
    )
    await orders.apply(unit, given, traceparent=session.traceparent)
    events.changed(unit, "session", session.id, owner=session.owner)
    ASSIGNED.inc()
    return given


def _out_of_reach(agent: Candidate) -> Waits:
    return Waits(
        Reason.AGENT_UNREACHABLE,
        f"Agent {agent.name!r} is not linked; the session waits for it in the queue.",
    )


async def _wait(unit: Unit, session: Session, why: Waits) -> Session:
    if session.reason == why.reason and (session.message == why.sentence or why is _OTHERS_FIRST):
        return session
    waiting = await repository.change(
        unit.connection, session, unit.now, reason=str(why.reason), message=why.sentence
    )
    if why.reason is Reason.NO_CAPACITY:
        place = await repository.queue_place(unit.connection, waiting)
        waiting = replace(waiting, queue_place=place)
    if session.reason == why.reason:
        # The place that it waits for is another one; that is no news.
        return waiting
    events.happened(
        unit,
        session=session.id,
        owner=session.owner,
        kind="Waiting",
        phase=Phase.PENDING,
        reason=why.reason,
        message=why.sentence,
    )
    events.changed(unit, "session", session.id, owner=session.owner)
    return waiting


async def queue_moved(unit: Unit, after: repository.Place | None = None) -> None:
    """Tell live lists of those that are one place further in the queue."""
    for identity, owner in await repository.queue(unit.connection, after=after, limit=_TOLD):
        events.changed(unit, "session", identity, owner=owner)


_TOLD = 200


async def assign_waiting(database: Database) -> None:
    """Look at all sessions that wait, and give away those that can go on.

    Who came first is looked at first. What fits goes on, though something larger may wait
    before it, until that has been passed too often: then an agent keeps its room for it. Call
    it from time to time, and when an agent, a home or a template has changed.
    """
    # To look at all agents costs more than anything else that goes on while nothing happens.
    async with database.reading() as unit:
        if not await repository.any_waits(unit.connection):
            return
    after: repository.Place | None = None
    kept: UUID | None = None
    while True:
        async with database.unit() as unit:
            market = Market()
            await market.take_turn(unit)
            market.kept = kept
            waiting = await repository.waiting(unit.connection, after=after, limit=_BATCH)
            if not waiting:
                return
            await market.look_at(unit, {session.template for session in waiting})
            moved = False
            for session in waiting:
                found = await assign(unit, session, market)
                moved |= session.queue_place is not None and found.queue_place is None
                if market.kept is None and found.queue_place is not None:
                    market.kept = await _kept_for(unit, found, market)
            kept = market.kept
            if moved:
                await queue_moved(unit)
            after = (waiting[-1].created_at, waiting[-1].id)


async def _kept_for(unit: Unit, session: Session, market: Market) -> UUID | None:
    """Return the agent that keeps its room for a session that waits for some; None: none yet.

    It is the one of which the least has to end, so it stays the same until another is closer.
    """
    home = None if session.home_id is None else await homes.locked(unit.connection, session.home_id)
    wish = _wish(session, market, home_at=None if home is None else home.agent_id)
    able = could_ever(wish, market.candidates(session.template))
    if not able:
        return None
    passed = await repository.passed_by(
        unit.connection, session, on=[agent.id for agent in able], most=PASSES
    )
    return able[0].id if passed >= PASSES else None
