"""What the runtime shows, as the reports that are owed to the control plane.

Pure: `News` is told what was seen and what left, and says what to send next. Of each
session and home only the newest report is kept, so what waits here is bounded by what there
is, however long the control plane is away; results of commands are all kept, because each
of them is owed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from porthole_agent.runtimes import port
from porthole_contract.lifecycle import Phase
from porthole_contract.link.codec import size_of
from porthole_contract.link.reports import (
    MOST_EVENTS,
    MOST_USES,
    AgentObserved,
    Capacity,
    CommandResult,
    HomeObserved,
    InventoryPart,
    ObservedEvent,
    SessionEnded,
    SessionObserved,
    SessionUse,
    TemplateOffered,
)
from porthole_contract.session import Protocol, ResourceList

PART = 100
"""How many sessions, homes and ended sessions stand in one part of an inventory."""
PART_BYTES = 1024 * 1024
"""Nothing is added to a part that would then be longer: a frame must be able to carry it."""

_Thing = SessionObserved | HomeObserved | SessionEnded


class News:
    """What is owed: results first, then what was observed, oldest change first.

    `changed` is called whenever something is owed; whoever keeps the link sets it.
    """

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._urgent: deque[Any] = deque()
        self._observed: dict[tuple[str, UUID], SessionObserved | HomeObserved] = {}
        self._agent: AgentObserved | None = None

    def __bool__(self) -> bool:
        return bool(self._urgent or self._observed or self._agent)

    def __len__(self) -> int:
        """How many things are owed."""
        return len(self._urgent) + len(self._observed) + (self._agent is not None)

    def owe(self, item: Any) -> None:
        """Add something that must be said: a result, a refusal, a part of an inventory."""
        self._urgent.append(item)
        self.changed()

    def observed(self, item: SessionObserved | HomeObserved) -> None:
        """Replace what is owed about one session or home by what was just seen."""
        key = (item.type, item.session if isinstance(item, SessionObserved) else item.home)
        before = self._observed.pop(key, None)
        if isinstance(item, SessionObserved) and isinstance(before, SessionObserved):
            events = (*before.events, *item.events)[-MOST_EVENTS:]
            item = item.model_copy(update={"events": events})
        self._observed[key] = item
        self.changed()

    def agent(self, item: AgentObserved) -> None:
        """Replace what is owed about the agent itself."""
        self._agent = item
        self.changed()

    def inventory(self, parts: Iterable[InventoryPart]) -> None:
        """Owe a complete inventory; it stands for all that was observed before it.

        What happened to a session, and has not been said, goes with the inventory.
        """
        self._urgent = deque(item for item in self._urgent if not isinstance(item, InventoryPart))
        stories = {
            item.session: item.events
            for item in self._observed.values()
            if isinstance(item, SessionObserved) and item.events
        }
        self._observed.clear()
        self._urgent.extend(_with_stories(part, stories) for part in parts)
        self.changed()

    def returned(self, items: Iterable[Any]) -> None:
        """Take back what the peer may not have heard: results are owed again, no more."""
        self._urgent.extendleft(
            reversed([item for item in items if isinstance(item, CommandResult)])
        )

    def take(self, room: int) -> list[Any]:
        """Return up to `room` items to say now; they are not owed any more.

        What is taken of an agent is said last, behind the sessions that take it: who hears of it
        before would count those twice. It never waits for more than one helping of them.
        """
        before = room if self._agent is None else room - 1
        out: list[Any] = []
        while len(out) < before and self._urgent:
            out.append(self._urgent.popleft())
        while len(out) < before and self._observed:
            out.append(self._observed.pop(next(iter(self._observed))))
        if self._agent is not None and room > 0:
            out.append(self._agent)
            self._agent = None
        return out


def _with_stories(
    part: InventoryPart, stories: Mapping[UUID, tuple[ObservedEvent, ...]]
) -> InventoryPart:
    if not any(one.session in stories for one in part.sessions):
        return part
    told = []
    for one in part.sessions:
        events = (*stories.get(one.session, ()), *one.events)
        told.append(one.model_copy(update={"events": events[-MOST_EVENTS:]}))
    return part.model_copy(update={"sessions": tuple(told)})


def of_session(seen: port.Observation) -> SessionObserved:
    """Return the report on one session."""
    return SessionObserved(
        session=seen.session,
        name=seen.name,
        owner=seen.owner,
        origin=seen.origin,
        order=seen.order,
        desired=seen.spec.desired,
        spec=seen.spec,
        status=seen.status,
        gone=seen.status.phase is Phase.TERMINATED,
        events=seen.events,
        traceparent=seen.traceparent,
        streams=seen.streams,
    )


def of_home(seen: port.Home) -> HomeObserved:
    """Return the report on one home."""
    return HomeObserved(
        home=seen.home,
        owner=seen.owner,
        name=seen.name,
        size=seen.size,
        used=seen.used,
        holder=seen.holder,
    )


def of_agent(seen: port.Overview, *, runtime: str, program: str) -> AgentObserved:
    """Return the report on the agent itself."""
    capacity = seen.capacity
    return AgentObserved(
        place=seen.runtime,
        runtime=runtime,
        program=program,
        capacity=Capacity(
            sessions=capacity.sessions,
            sessions_used=capacity.sessions_used,
            total=_amounts(capacity.cpu, capacity.memory),
            used=_amounts(capacity.cpu_used, capacity.memory_used),
        ),
        protocols=tuple(Protocol),
        templates=tuple(
            TemplateOffered(
                name=offer.template.name,
                spec=offer.template.spec,
                available=offer.offered,
                message=offer.reason,
            )
            for offer in seen.offers
        ),
        draining=seen.draining,
        uses=tuple(
            SessionUse(
                session=one.session,
                cpu_seconds=one.cpu_seconds,
                memory=one.memory,
                disk=one.disk,
                received=one.received,
                sent=one.sent,
                age=one.age,
            )
            for one in seen.uses[:MOST_USES]
        ),
        rdp_listen=seen.rdp_listen,
    )


def of_inventory(seen: port.Inventory, snapshot: UUID) -> Iterator[InventoryPart]:
    """Yield the parts of a complete inventory; there is at least one."""
    ended = (
        SessionEnded(
            session=one.session,
            order=one.order,
            reason=one.reason,
            message=one.message,
            at=one.at,
        )
        for one in seen.ended
    )
    pieces = _pieces([*map(of_session, seen.sessions), *map(of_home, seen.homes), *ended])
    for index, piece in enumerate(pieces):
        yield InventoryPart(
            snapshot=snapshot,
            index=index,
            last=index == len(pieces) - 1,
            place=seen.overview.runtime,
            sessions=tuple(one for one in piece if isinstance(one, SessionObserved)),
            homes=tuple(one for one in piece if isinstance(one, HomeObserved)),
            ended=tuple(one for one in piece if isinstance(one, SessionEnded)),
        )


def _pieces(things: Iterable[_Thing]) -> list[list[_Thing]]:
    """Return the things in their order, cut so that each piece fits a frame; at least one."""
    pieces: list[list[_Thing]] = [[]]
    length = 0
    for thing in things:
        size = size_of(thing)
        if len(pieces[-1]) == PART or (pieces[-1] and length + size > PART_BYTES):
            pieces.append([])
            length = 0
        pieces[-1].append(thing)
        length += size
    return pieces


def _amounts(cpu: float, memory: int) -> ResourceList:
    """Return cores and bytes as Kubernetes writes them; nothing is left out, not zero."""
    return ResourceList(
        cpu=f"{round(cpu * 1000)}m" if cpu > 0 else None,
        memory=str(memory) if memory > 0 else None,
    )
