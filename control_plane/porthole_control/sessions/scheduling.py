"""Giving sessions to agents: at once if it can be, else later and by itself."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import Phase
from porthole_control.agents import repository as agents
from porthole_control.agents.repository import Place
from porthole_control.agents.rules import Candidate, Waits, Wish, choose
from porthole_control.commands import repository as commands
from porthole_control.db.database import Database, Unit
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
    """

    def __init__(self, found: Sequence[Place]) -> None:
        self.agents = found
        self._loads = {agent.id: agent.sessions for agent in found}
        self._offers: dict[str, Sequence[templates.Offer]] = {}
        self._ours: dict[str, bool] = {}

    @classmethod
    async def open(cls, unit: Unit, *names: str) -> "Market":
        """Look at all agents, and at what they say about the templates of these names."""
        market = cls(await agents.places(unit.connection))
        await market.look_at(unit, names)
        return market

    async def look_at(self, unit: Unit, names: Collection[str]) -> None:
        """Look at what agents say about these templates, too."""
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
                sessions=self._loads[agent.id],
                most=_most(agent.capacity),
                leaving=agent.capacity.get("draining") is True,
            )
            for agent in self.agents
        ]

    def given(self, agent: UUID) -> Place:
        """Note that an agent was given a session; return what is known of it."""
        self._loads[agent] += 1
        return next(place for place in self.agents if place.id == agent)


def _most(capacity: dict[str, Any]) -> int | None:
    most = capacity.get("sessions")
    return most if isinstance(most, int) else None


async def assign(unit: Unit, session: Session, market: Market) -> Session:
    """Give a session to an agent if one can take it; else say why it waits.

    The caller has locked the session's row, and the market has looked at its template.
    Returns the session as it is then.
    """
    home_at: UUID | None = None
    if session.home_id is not None:
        home = await homes.locked(unit.connection, session.home_id)
        assert home is not None
        home_at = home.agent_id
        other = await repository.home_promised(unit.connection, session.home_id, but=session.id)
        if other is not None:
            sentence = f"Its home {home.name!r} is used by the session {other!r}."
            return await _wait(unit, session, Waits(Reason.HOME_IN_USE, sentence))
    wish = Wish(
        template=session.template,
        ours=session.template_revision is not None and market.is_ours(session.template),
        agent=session.wanted_agent_id,
        home_at=home_at,
    )
    chosen = choose(wish, market.candidates(session.template))
    if isinstance(chosen, Waits):
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
    return await _give(unit, session, chosen, market)


async def _give(unit: Unit, session: Session, agent: Candidate, market: Market) -> Session:
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
    place = market.given(agent.id)
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
    await orders.apply(unit, given)
    events.changed(unit, "session", session.id, owner=session.owner)
    ASSIGNED.inc()
    return given


def _out_of_reach(agent: Candidate) -> Waits:
    return Waits(
        Reason.AGENT_UNREACHABLE,
        f"Agent {agent.name!r} is not linked; the session waits for it in the queue.",
    )


async def _wait(unit: Unit, session: Session, why: Waits) -> Session:
    if session.reason == why.reason and session.message == why.sentence:
        return session
    waiting = await repository.change(
        unit.connection, session, unit.now, reason=str(why.reason), message=why.sentence
    )
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


async def assign_waiting(database: Database) -> None:
    """Look at all sessions that wait, and give away those that can go on.

    Call it from time to time, and when an agent, a home or a template has changed.
    """
    after: repository.Place | None = None
    while True:
        async with database.unit() as unit:
            waiting = await repository.waiting(unit.connection, after=after, limit=_BATCH)
            if not waiting:
                return
            market = await Market.open(unit, *(session.template for session in waiting))
            for session in waiting:
                await assign(unit, session, market)
            after = (waiting[-1].created_at, waiting[-1].id)
