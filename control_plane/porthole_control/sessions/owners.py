"""Whose what an agent tells of is, here.

An object that somebody made in a cluster has an owner as the cluster's API server calls them.
An administrator says which user of ours that is (`users.kubernetes_username`); it is never
guessed from a name for whom that was said. What we made ourselves carries our own names.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from porthole_contract.names import ORIGIN_KUBECTL
from porthole_control.agents import repository as agents
from porthole_control.agents.repository import Agent
from porthole_control.db.database import Unit
from porthole_control.db.doorbell import Bell
from porthole_control.events import service as events
from porthole_control.people import repository as people
from porthole_control.sessions import repository

_MADE_THERE: Final = 5
"""The version of the UUID of a home that was made with kubectl (`names.home_id`)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Under whom something is listed.

    Attributes:
        owner: the name of a user.
        foreign: to whom its agent says that it belongs, if it may not say so.
    """

    owner: str
    foreign: str | None = None


async def listing(unit: Unit, agent: Agent, told: str, *, made_there: bool) -> Listing:
    """Return under whom something is listed that an agent has.

    Args:
        unit: the transaction.
        agent: who has it.
        told: whose it is, as the agent says.
        made_there: whether it was made in its cluster, and not by us.
    """
    foreign = Listing(agent.enrolled_by, told)
    if made_there:
        for user in await people.called_in_clusters(unit.connection, told):
            return Listing(user.name) if user.kubernetes_username == told else foreign
    if told == agent.enrolled_by or await repository.owner_was_on(unit.connection, agent.id, told):
        return Listing(told)
    return foreign


def is_made_there(home: UUID) -> bool:
    """Return whether a home was made with kubectl: its id then is made of its owner's name."""
    return home.version == _MADE_THERE


async def relist(unit: Unit, told: Collection[str]) -> None:
    """List the living sessions that were made in clusters for these owners anew."""
    found = await repository.made_in_clusters(unit.connection, told)
    by: dict[tuple[UUID, str], Listing] = {}
    wrong = set()
    for session in found:
        if session.agent_id is None:
            continue
        key = (session.agent_id, session.owner_there)
        if key not in by:
            agent = await agents.agent(unit.connection, session.agent_id)
            assert agent is not None, "its row is referred to"
            by[key] = await listing(unit, agent, session.owner_there, made_there=True)
        if by[key] != Listing(session.owner, session.foreign_owner):
            wrong.add(session.id)
    for session in (await repository.all_locked(unit.connection, wrong)).values():
        if session.agent_id is None or session.ended or session.origin != ORIGIN_KUBECTL:
            continue
        now = by.get((session.agent_id, session.owner_there))
        if now is not None:
            await _list_under(unit, session, now)


async def _list_under(unit: Unit, session: repository.Session, now: Listing) -> None:
    await repository.change(
        unit.connection, session, unit.now, owner=now.owner, foreign_owner=now.foreign
    )
    events.happened(
        unit,
        session=session.id,
        owner=now.owner,
        kind="Listed",
        phase=session.phase,
        reason="Foreign" if now.foreign else "",
        message=f"It is listed under {now.owner!r} now; in its cluster it belongs to"
        f" {session.owner_there!r}.",
    )
    for owner in {session.owner, now.owner}:
        events.changed(unit, "session", session.id, owner=owner)
    unit.ring_after_commit(Bell.STREAMS)  # of whom it is no more
