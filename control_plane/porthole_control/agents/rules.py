"""Which agent takes a session, and what lets one in. Pure.

Named checks, each with a reason and a sentence: the first one that an agent fails says why
it is not the one; if all fail, the one that got furthest says why the session waits.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
        protocols: what its desktops speak; None: it did not say.
        labels: what its keeper calls it by.
        cpu: cores that are set aside for its sessions.
        most_cpu: cores that it has for them; None: it did not say.
        memory: bytes that are set aside for its sessions.
        most_memory: bytes that it has for them; None: it did not say.
        kept: its room is for one that has waited for longer.
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
    protocols: Collection[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu: float = 0
    most_cpu: float | None = None
    memory: int = 0
    most_memory: int | None = None
    kept: bool = False

    def shares(self, wish: "Wish") -> Iterator[float]:
        """Yield what part of each thing that it has would be taken, with that session too."""
        if self.most is not None:
            yield _part(self.sessions + 1, self.most)
        if self.most_cpu is not None:
            yield _part(self.cpu + wish.cpu, self.most_cpu)
        if self.most_memory is not None:
            yield _part(self.memory + wish.memory, self.most_memory)

    def could(self, wish: "Wish") -> bool:
        """Return whether it could take that session if it had no other."""
        return (
            (self.most is None or self.most > 0)
            and (self.most_cpu is None or wish.cpu <= self.most_cpu + _ROUNDING)
            and (self.most_memory is None or wish.memory <= self.most_memory)
        )

    def load(self, wish: "Wish") -> float:
        """Return the part that would be taken of what it is shortest of: full at 1."""
        return max(self.shares(wish), default=_part(self.sessions + 1, _USUAL))


_USUAL = 10
"""How many sessions an agent is taken to have room for that has not said it yet."""


def _part(taken: float, most: float) -> float:
    return taken / most if most > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session asks of its agent.

    Attributes:
        template: its name.
        ours: whether that template is one of ours; any agent can run it that does not
            refuse. If not, only agents that offer it can.
        agent: the one that its creator asked for.
        home_at: the one where its home is.
        protocol: what it is looked at by; None: whatever there is.
        labels: what its agent must be called by.
        cpu: cores that are set aside for it.
        memory: bytes that are set aside for it.
    """

    template: str
    ours: bool
    agent: UUID | None = None
    home_at: UUID | None = None
    protocol: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu: float = 0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Waits:
    """Why no agent takes the session now."""

    reason: Reason
    sentence: str


TELLS_WITHIN = timedelta(seconds=30)
"""For so long it is waited for what an agent has, after the database was put back."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An agent that may have been given more, before `since`, than we know."""

    name: str
    since: datetime


def unheard(agents: Iterable[tuple[str, datetime | None]], now: datetime) -> Sequence[Unheard]:
    """Return which agents (name, unheard since when) have to be waited for."""
    return [
        Unheard(name, since)
        for name, since in agents
        if since is not None and now - since < TELLS_WITHIN
    ]


def perhaps_given(created_at: datetime, agents: Sequence[Unheard]) -> Waits | None:
    """Return why a session without an agent waits that one of these may have been given."""
    names = [repr(agent.name) for agent in agents if created_at <= agent.since]
    if not names:
        return None
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return Waits(
        Reason.AGENT_UNREACHABLE,
        "The database was put back to an earlier state; first these agents tell what they have: "
        f"{', '.join(names[:_NAMED])}{more}.",
    )


_NAMED = 5


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


def speaks_the_protocol(wish: Wish, agent: Candidate) -> Waits | None:
    """Its desktops must speak what the session is looked at by."""
    if wish.protocol is None or agent.protocols is None or wish.protocol in agent.protocols:
        return None
    return Waits(
        Reason.TEMPLATE_NOT_OFFERED,
        f"Agent {agent.name!r} has no desktops over {wish.protocol}.",
    )


def has_the_labels(wish: Wish, agent: Candidate) -> Waits | None:
    """It must be called by all that was asked for."""
    missing = [f"{k}={v}" for k, v in wish.labels.items() if agent.labels.get(k) != v]
    if not missing:
        return None
    return Waits(Reason.NO_AGENT, f"No agent that can run it is labelled {', '.join(missing)}.")


def takes_new_ones(_wish: Wish, agent: Candidate) -> Waits | None:
    """An agent that is being drained takes nothing new."""
    if agent.state == "enrolled" and not agent.leaving:
        return None
    return Waits(
        Reason.AGENT_DRAINING, f"Agent {agent.name!r} is being drained and takes no new sessions."
    )


def has_room(wish: Wish, agent: Candidate) -> Waits | None:
    """It must have room for one more: a place, cores and memory."""
    if agent.most is not None and agent.sessions >= agent.most:
        return Waits(
            Reason.NO_CAPACITY,
            f"Agent {agent.name!r} is full: it takes {agent.most} sessions at a time.",
        )
    if agent.most_cpu is not None and agent.cpu + wish.cpu > agent.most_cpu + _ROUNDING:
        return Waits(
            Reason.NO_CAPACITY,
            f"Agent {agent.name!r} is full: of its {agent.most_cpu:g} cores fewer are free than"
            f" the {wish.cpu:g} that are asked for.",
        )
    if agent.most_memory is not None and agent.memory + wish.memory > agent.most_memory:
        return Waits(
            Reason.NO_CAPACITY,
            f"Agent {agent.name!r} is full: of its {agent.most_memory // 2**20} MiB of memory"
            f" less is free than the {wish.memory // 2**20} that are asked for.",
        )
    return None


_ROUNDING = 1e-6


def is_not_kept(_wish: Wish, agent: Candidate) -> Waits | None:
    """Its room may be for somebody who has been passed too often."""
    if not agent.kept:
        return None
    return Waits(
        Reason.NO_CAPACITY,
        f"Agent {agent.name!r} keeps its room for a session that has waited for longer.",
    )


PASSES = 10
"""How many that came later may go before one that waits for room."""

ABLE: tuple[Check, ...] = (
    asked_for,
    where_the_home_is,
    offers_the_template,
    speaks_the_protocol,
    has_the_labels,
    takes_new_ones,
)
ROOM: tuple[Check, ...] = (has_room, is_not_kept)
CHECKS = (*ABLE, *ROOM)


def choose(wish: Wish, agents: Sequence[Candidate]) -> Candidate | Waits:
    """Return the agent that takes a session, or why it waits.

    Among those that pass all checks it is the linked one that would be the least loaded,
    measured by what it has. A session waits for room on a linked agent rather than for one
    that is silent. If no linked one could ever take it, it is given to a silent one: its
    command waits in the queue, and `assign_waiting` moves it if another agent comes first.
    """
    furthest: tuple[int, Waits] = (
        -1,
        Waits(Reason.NO_AGENT, "No agent is enrolled that could run it."),
    )
    fit: list[Candidate] = []
    full: Waits | None = None
    for agent in agents:
        for depth, check in enumerate(CHECKS):
            waits = check(wish, agent)
            if waits is not None:
                furthest = max(furthest, (depth, waits), key=lambda pair: pair[0])
                if agent.linked and check in ROOM:
                    full = full or waits
                break
        else:
            fit.append(agent)
    if full is not None and not any(agent.linked for agent in fit):
        return full
    if not fit:
        return furthest[1]
    return min(fit, key=lambda a: (not a.linked, a.load(wish), a.sessions, a.name))


def could_ever(wish: Wish, agents: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the linked agents that could take a session if they had room, first the closest.

    Of the closest one the least has to end before the session fits.
    """
    able = [
        agent
        for agent in agents
        if agent.linked and agent.could(wish) and not any(check(wish, agent) for check in ABLE)
    ]
    return sorted(able, key=lambda agent: (agent.load(wish), agent.name))
