"""Which agent takes a session, and what lets one in. Pure.

Named checks, each with a reason and a sentence: the first one that an agent fails says why
it is not the one; if all fail, the one that got furthest says why the session waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from porthole_contract.conditions import Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of an agent when a session needs one.

    Attributes:
        offers: whether it can run the template; None: it said nothing about it.
        why_not: its sentence, if it cannot.
        sessions: how many it has that use something.
        most: how many it takes; None: it did not say.
        leaving: it says itself that it takes no new ones.
    """

    id: UUID
    name: str
    state: str
    linked: bool
    offers: bool | None
    why_not: str
    sessions: int
    most: int | None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session asks of its agent.

    Attributes:
        template: its name.
        ours: whether that template is one of ours; any agent can run it that does not
            refuse. If not, only agents that offer it can.
        agent: the one that its creator asked for.
        home_at: the one where its home is.
    """

    template: str
    ours: bool
    agent: UUID | None = None
    home_at: UUID | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """Why no agent takes the session now."""

    reason: Reason
    sentence: str


def is_account_token(token: str) -> bool:
    """Return whether a token has the form of a ServiceAccount's (a JWT), not of a join token."""
    return token.count(".") == _JWT_DOTS and token.startswith("ey")


_JWT_DOTS = 2


Check = Callable[[Wish, Candidate], Waits | None]


def asked_for(wish: Wish, agent: Candidate) -> Waits | None:
    """An agent that was asked for by name is the only one."""
    if wish.agent is None or wish.agent == agent.id:
        return None
    return Waits(Reason.NO_AGENT, "The agent that it was asked for is no longer there.")


def where_the_home_is(wish: Wish, agent: Candidate) -> Waits | None:
    """Files do not move, so a session goes where its home is."""
    if wish.home_at is None or wish.home_at == agent.id:
        return None
    return Waits(Reason.HOME_UNREACHABLE, "Its home is on an agent that cannot take it.")


def offers_the_template(wish: Wish, agent: Candidate) -> Waits | None:
    """It must be able to run the template."""
    if agent.offers or (agent.offers is None and wish.ours):
        return None
    why = agent.why_not or f"Agent {agent.name!r} does not offer the template {wish.template!r}."
    return Waits(Reason.TEMPLATE_NOT_OFFERED, why)


def takes_new_ones(_wish: Wish, agent: Candidate) -> Waits | None:
    """An agent that is being drained takes nothing new."""
    if agent.state == "enrolled" and not agent.leaving:
        return None
    return Waits(
        Reason.AGENT_DRAINING, f"Agent {agent.name!r} is being drained and takes no new sessions."
    )


def has_room(_wish: Wish, agent: Candidate) -> Waits | None:
    """It must have room for one more."""
    if agent.most is None or agent.sessions < agent.most:
        return None
    return Waits(
        Reason.NO_CAPACITY,
        f"Agent {agent.name!r} is full: it takes {agent.most} sessions at a time.",
    )


CHECKS: tuple[Check, ...] = (
    asked_for,
    where_the_home_is,
    offers_the_template,
    takes_new_ones,
    has_room,
)


def choose(wish: Wish, agents: Sequence[Candidate]) -> Candidate | Waits:
    """Return the agent that takes a session, or why it waits.

    Among those that pass all checks a linked one is preferred, then the least loaded. If
    none of them is linked, the session is given to one all the same: its command waits in
    the queue, and `assign_waiting` moves it if another agent comes first.
    """
    furthest: tuple[int, Waits] = (
        -1,
        Waits(Reason.NO_AGENT, "No agent is enrolled that could run it."),
    )
    fit: list[Candidate] = []
    for agent in agents:
        for depth, check in enumerate(CHECKS):
            waits = check(wish, agent)
            if waits is not None:
                furthest = max(furthest, (depth, waits), key=lambda pair: pair[0])
                break
        else:
            fit.append(agent)
    if not fit:
        return furthest[1]
    return min(fit, key=lambda agent: (not agent.linked, agent.sessions, agent.name))
