"""From the queue to the agents: claimed in batches, sent, and noted as received.

No command has a transaction of its own. A claim takes as many as an agent has room for; what
agents acknowledge is written down a little later, together, and left out if the result was
there before.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from porthole_contract.errors import LocalProtocolError
from porthole_contract.link.commands import ApplySession, Body, Command, DeleteSession
from porthole_control.background import keep_going
from porthole_control.commands import repository, story
from porthole_control.commands.repository import Claimed
from porthole_control.commands.rules import CommandState
from porthole_control.db.database import Database
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.db.ids import moment_of
from porthole_control.events import service as events
from porthole_control.failpoints import failpoint
from porthole_control.link import repository as links
from porthole_control.link.conversation import Conversation
from porthole_control.metrics import COMMANDS_RESENT, COMMANDS_SENT
from porthole_telemetry import tracing

logger = structlog.get_logger(__name__)

_Result = tuple[UUID, CommandState, str]

_BODY: TypeAdapter[Any] = TypeAdapter(Body)
_POLL_SECONDS: Final = 1.0
_RECEIVED_SECONDS: Final = 0.05
_FORGOTTEN_SECONDS: Final = 30.0
_STORY_SECONDS: Final = 0.1
_AT_ONCE: Final = 4
"""Claims under way; more would only wait for one another in the database."""
_FEW: Final = 8
"""For so many agents it is cheaper to ask for the commands of each than which have any."""


class Dispatcher:
    """Sends the commands of the agents that are linked here.

    Args:
        database: where the queue is.
        doorbell: rings when something was put into it.
        linked: returns the links of this process.
    """

    def __init__(
        self, database: Database, doorbell: Doorbell, linked: Callable[[], list[Conversation]]
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._linked = linked
        self._wake = asyncio.Event()
        self._all = True
        self._some: set[UUID] = set()
        self._hungry: set[UUID] = set()
        self._received: dict[UUID, tuple[Conversation, set[UUID]]] = {}
        self._news = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    # Told by links -----------------------------------------------------------------------

    def linked(self, link: Conversation) -> None:
        """A link has begun: what waits for its agent can be sent."""
        self._some.add(link.agent)
        self._wake.set()

    def has_room(self, link: Conversation) -> None:
        """An agent has finished something, or taken it in."""
        if link.agent in self._hungry and link.credit:
            self._some.add(link.agent)
            self._wake.set()

    def received(self, link: Conversation, commands: Sequence[UUID]) -> None:
        """An agent has these commands."""
        failpoint("commands.received")
        _, ids = self._received.setdefault(link.agent, (link, set()))
        ids.update(commands)
        self._news.set()

    # In the background -------------------------------------------------------------------

    async def run(self) -> None:
        """Send what is to be sent, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(), name="dispatch-bell")
            group.create_task(self._note_received(), name="dispatch-received")
            group.create_task(self._find_forgotten(), name="dispatch-forgotten")
            while True:
                await self._wake.wait()
                self._wake.clear()
                await keep_going("dispatch", self._round)

    async def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + _POLL_SECONDS
        with self._doorbell.hearing(Bell.COMMANDS) as hearing:
            while True:
                await hearing.next(max(0.0, due - loop.time()))
                self._some |= hearing.about or set()
                # Nobody rings for what is to be tried again, however often it rings for others.
                if hearing.about is None or loop.time() >= due:
                    self._all = True
                    due = loop.time() + _POLL_SECONDS
                self._wake.set()

    async def _with_work(self) -> list[Conversation]:
        links = self._linked()
        if len(links) > _FEW:
            async with self._database.reading() as unit:
                having = set(await repository.agents_with_work(unit.connection, unit.now))
            links = [link for link in links if link.agent in having]
        return [link for link in links if link.credit]

    async def _round(self) -> None:
        everybody, self._all = self._all, False
        some, self._some = self._some, set()
        chosen = {link.agent: link for link in (await self._with_work() if everybody else [])}
        if some:
            chosen |= {link.agent: link for link in self._linked() if link.agent in some}
        await asyncio.gather(*(self._send_to(link) for link in chosen.values()))

    async def _send_to(self, link: Conversation) -> None:
        async with self._turn, link.ordering:
            credit, epoch = link.credit, link.epoch
            if not credit:
                self._hungry.add(link.agent)
                return
            async with self._database.statement() as unit:
                claimed = await repository.claim(
                    unit.connection, agent=link.agent, epoch=epoch, credit=credit, now=unit.now
                )
            if not claimed:
                self._hungry.discard(link.agent)
                return
            failpoint("commands.claimed")
            await self._tell(link, epoch, claimed)
            # The commands of a link that has ended meanwhile are found by the next one.
            if link.linked and link.epoch == epoch:
                await self._order(link, claimed)
                COMMANDS_SENT.inc(len(claimed))
            if len(claimed) == credit:
                self._hungry.add(link.agent)
            else:
                self._hungry.discard(link.agent)

    async def _tell(self, link: Conversation, epoch: int, claimed: Sequence[Claimed]) -> None:
        """Tell sessions' stories what goes out, before it does.

        Who holds a session up holds up its story, and not the queue.
        """
        remarks = [story.sent(row, link.name, epoch) for row in claimed]
        telling = asyncio.create_task(
            events.remark(self._database, *(line for line in remarks if line is not None))
        )
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await asyncio.wait({telling}, timeout=_STORY_SECONDS)

    async def _order(self, link: Conversation, claimed: Sequence[Claimed]) -> None:
        orders = []
        broken = []
        for row in claimed:
            try:
                orders.append(_command(row))
            except ValidationError as error:
                broken.append((row.id, CommandState.FAILED, f"It cannot be read any more: {error}"))
        if broken:
            await self._give_up(link, broken)
        try:
            link.order(orders)
        except LocalProtocolError:
            # One of them is too long for a frame; the others are not to blame.
            for order in orders:
                try:
                    link.order([order])
                except LocalProtocolError as error:
                    link.unfinished.discard(order.id)
                    await self._give_up(link, [(order.id, CommandState.FAILED, str(error))])

    async def _give_up(self, link: Conversation, results: Sequence[_Result]) -> None:
        logger.error("commands_unreadable", agent=link.name, count=len(results))
        async with self._database.unit() as unit:
            await repository.finish(
                unit.connection, agent=link.agent, results=results, now=unit.now
            )

    async def _note_received(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_RECEIVED_SECONDS)
            self._news.clear()
            noted, self._received = self._received, {}
            for link, ids in noted.values():
                still = [identity for identity in ids if identity in link.unfinished]
                if still:
                    # Where it fails they are shown as sent, which they are.
                    await keep_going("dispatch: received", partial(self._note, link, still))
                failpoint("commands.received-noted")

    async def _note(self, link: Conversation, ids: Sequence[UUID]) -> None:
        async with self._database.statement() as unit:
            await repository.mark_received(unit.connection, ids, link.epoch)

    async def _find_forgotten(self) -> None:
        while True:
            await asyncio.sleep(_FORGOTTEN_SECONDS)
            await keep_going("dispatch: forgotten", self._look_for_all_forgotten)

    async def _look_for_all_forgotten(self) -> None:
        async with self._database.reading() as unit:
            unfinished = set(await repository.agents_with_unfinished(unit.connection))
        for link in self._linked():
            if link.agent in unfinished:
                work = partial(self._look_for_forgotten, link)
                await keep_going("dispatch: forgotten", work)

    async def _look_for_forgotten(self, link: Conversation) -> None:
        # In turn with claims: what is claimed and not yet said is not forgotten.
        async with link.ordering, self._database.unit() as unit:
            found = await links.send_forgotten(
                unit.connection,
                link.agent,
                epoch=link.epoch,
                under_way=link.unfinished,
                now=unit.now,
            )
            if found:
                logger.warning("commands_forgotten", agent=link.name, count=found)
                COMMANDS_RESENT.labels("forgotten").inc(found)
                unit.ring_after_commit(Bell.COMMANDS)


def _command(row: Claimed) -> Command:
    body = _BODY.validate_python({**row.payload, "type": row.kind})
    if isinstance(body, ApplySession | DeleteSession) and body.traceparent is not None:
        body = body.model_copy(update={"traceparent": _queued(row, body.traceparent)})
    return Command(id=row.id, sequence=row.sequence, body=body)


def _queued(row: Claimed, traceparent: str) -> str | None:
    """Tell how long a command has been in the queue; return what its agent's work is a part of."""
    live = tracing.process().begin(
        f"send {row.kind}",
        traceparent,
        "producer",
        start=moment_of(row.id),
        porthole_session=str(row.subject_id),
        porthole_attempt=row.attempts,
    )
    live.end()
    return live.traceparent
