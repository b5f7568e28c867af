"""All links of this process, and what Postgres knows of them.

Which process has an agent's link is decided by the agent's epoch in Postgres: a new link
takes the next one, and whoever has an older one ends it. The doorbell makes that quick, a
look every second makes it certain.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import structlog

from porthole_contract.link import codec
from porthole_contract.link.frames import Goodbye, Welcome
from porthole_control.agents import service as agents
from porthole_control.background import keep_going
from porthole_control.commands import repository as commands
from porthole_control.commands import story
from porthole_control.db.database import Database, Unit
from porthole_control.db.doorbell import Bell, Doorbell
from porthole_control.events import service as events
from porthole_control.link import repository, rules
from porthole_control.link.conversation import Conversation
from porthole_control.link.greeting import Greeted, Parting
from porthole_control.link.reports import Handler, Reports, Speaker
from porthole_control.metrics import EPOCHS, LINKS, LINKS_ENDED
from porthole_control.sockets import Gone, Socket

logger = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 60.0
"""How long a conversation without a connection can be resumed."""
_WELCOME_SECONDS = 5.0
_NOT_READ = 1006
_LOOK_EVERY = 1.0
_SEEN_EVERY = 5.0
_SEEN_AFTER = timedelta(seconds=10)
"""For so long it is not written again that a link is alive: an idle one costs hardly a write."""

NOT_YOUR_TURN = Goodbye(
    code="try_again", message="Another link of this agent was quicker.", retry_after=0.5
)


class Hub:
    """The links of this process; it works while its `async with` block runs.

    Args:
        database: where epochs are.
        doorbell: tells of links elsewhere, and of revocations.
        replica: this process.

    Attributes:
        handlers: what is done with reports, per type.
        on_linked: told of a link that has begun.
        on_room: told of an agent that can take more commands.
        on_received: told which commands an agent has.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        *,
        replica: UUID,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._replica = replica
        self._reports = Reports(database, self._handle)
        self.handlers: Mapping[type, Handler] = {}
        self._conversations: dict[UUID, Conversation] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._going: set[asyncio.Event] = set()
        self.on_room: Callable[[Conversation], None] = lambda _: None
        self.on_received: Callable[[Conversation, Sequence[UUID]], None] = lambda _, __: None
        self.on_linked: Callable[[Conversation], None] = lambda _: None

    async def __aenter__(self) -> Self:
        """Begin to look after links."""
        self._tasks = [
            asyncio.create_task(self._end_old_links(), name="links-old"),
            asyncio.create_task(self._note_presence(), name="links-seen"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say goodbye to all agents, and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(link.end_connection(rules.GOING_AWAY) for link in self.linked()))
        await asyncio.gather(*(link.close() for link in self._conversations.values()))
        self._conversations.clear()

    def linked(self) -> list[Conversation]:
        """Return the conversations that have a connection."""
        return [link for link in self._conversations.values() if link.linked]

    def link(self, agent: UUID) -> Conversation | None:
        """Return the link of an agent, if this process has it."""
        found = self._conversations.get(agent)
        return found if found is not None and found.linked else None

    async def begin(self, greeted: Greeted, socket: Socket) -> Conversation:
        """Give an agent that has proven itself its link; `serve` it then.

        Raises:
            Parting: it cannot have the link; say this and close.
            Gone: it left before it was linked, or reads nothing.
        """
        link = self._conversations.get(greeted.agent)
        if link is None:
            link = self._conversations[greeted.agent] = Conversation(
                greeted.agent,
                self._reports,
                on_room=self._has_room,
                on_received=self._has_received,
            )
        async with link.greeting:
            welcome, at = await self._replace(greeted, link)
            try:
                await _welcome(socket, welcome)
                link.attach(
                    conversation=welcome.conversation,
                    epoch=welcome.epoch,
                    resumed=welcome.resumed,
                    peer_received=greeted.hello.received,
                    at=at,
                )
            except BaseException:
                # It was noted as linked, and nobody else would note that it is not.
                await self._unlinked(link, welcome.epoch)
                raise
        link.name, link.base = greeted.name, greeted.base
        link.instance = greeted.hello.instance
        logger.info(
            "linked",
            agent=link.name,
            epoch=link.epoch,
            resumed=welcome.resumed,
            program=greeted.hello.program,
        )
        return link

    async def serve(self, link: Conversation, socket: Socket) -> str:
        """Have an agent as linked until it leaves; return why it did.

        Raises:
            RemoteProtocolError: it said what it may not say.
        """
        epoch = link.epoch
        self.on_linked(link)
        self._say_when_going(socket.going_away, link)
        why = "The link failed."
        LINKS.inc()
        try:
            why = await link.converse(socket)
        finally:
            LINKS.dec()
            LINKS_ENDED.inc()
            logger.info("unlinked", agent=link.name, epoch=epoch, why=why)
            # Whoever takes its place notes that, too.
            if not link.greeting.locked():
                await self._unlinked(link, epoch)
        return why

    def _say_when_going(self, going: asyncio.Event, link: Conversation) -> None:
        """Have goodbye said when the server stops; one task sees to it for all of its links."""
        if going.is_set():
            link.goodbye(rules.GOING_AWAY)
        elif going not in self._going:
            self._going.add(going)
            self._tasks.append(asyncio.create_task(self._leave(going), name="links-leaving"))

    async def _leave(self, going: asyncio.Event) -> None:
        await going.wait()
        for link in self.linked():
            link.goodbye(rules.GOING_AWAY)

    async def _replace(self, greeted: Greeted, link: Conversation) -> tuple[Welcome, datetime]:
        """End the connection that this process has with the agent, and claim the link."""
        if link.linked and rules.is_overtaken(greeted.epoch, link.epoch):
            raise Parting(NOT_YOUR_TURN)  # and the link that was quicker stays
        had = link.instance if link.linked else None
        epoch = link.epoch
        await link.end_connection(rules.SUPERSEDED)
        try:
            return await self._claim(greeted, link, had)
        except BaseException:
            # Harmless if it was noted already: an end counts for its own epoch alone.
            if epoch > 0:
                await self._unlinked(link, epoch)
            raise

    async def _claim(
        self, greeted: Greeted, link: Conversation, had: UUID | None
    ) -> tuple[Welcome, datetime]:
        hello = greeted.hello
        async with self._database.unit() as unit:
            known = await repository.known(unit.connection, greeted.agent, lock=True)
            if known is None or known.state == "revoked":
                raise Parting(rules.REVOKED)
            if known.epoch != greeted.expected:
                raise Parting(NOT_YOUR_TURN)
            resumed = link.channel.can_resume(
                hello.conversation, hello.received
            ) and not rules.was_forgotten(link.begun_at, known.unheard_since)
            superseded = rules.still_remembered(known.superseded, unit.now)
            contested = rules.is_contested(superseded, hello.instance)
            loser = known.link_instance if known.linked_replica is not None else had
            if loser is not None and loser != hello.instance:
                superseded.append({"instance": str(loser), "at": unit.now.isoformat()})
            await repository.begin(
                unit.connection,
                greeted.agent,
                unit.now,
                epoch=greeted.epoch,
                linked_replica=self._replica,
                link_instance=hello.instance,
                superseded=superseded,
                version=hello.program or None,
                conditions=rules.contested_condition(
                    known.conditions, contested=contested, now=unit.now
                )
                if contested
                else known.conditions,
            )
            if resumed:
                await repository.go_on(
                    unit.connection,
                    greeted.agent,
                    before=link.epoch,
                    epoch=greeted.epoch,
                    under_way=link.unfinished,
                )
            overtaken = await commands.resend(
                unit.connection, agent=greeted.agent, epoch=greeted.epoch, now=unit.now
            )
            await agents.link_changed(unit, greeted.agent)
            unit.ring_after_commit(Bell.LINKS)
            unit.ring_after_commit(Bell.STREAMS)
        remarks = (story.ended(one) for one in overtaken)
        await events.remark(self._database, *(line for line in remarks if line is not None))
        EPOCHS.labels("resumed" if resumed else "anew").inc()
        if contested:
            logger.warning("identity_shared", agent=greeted.name)
        welcome = Welcome(
            conversation=hello.conversation if resumed and hello.conversation else uuid4(),
            resumed=resumed,
            received=link.channel.received if resumed else 0,
            epoch=greeted.epoch,
        )
        return welcome, unit.now

    async def _unlinked(self, link: Conversation, epoch: int) -> None:
        async def note() -> None:
            async with self._database.unit() as unit:
                if await repository.end(unit.connection, link.agent, epoch, unit.now):
                    await agents.link_changed(unit, link.agent)

        await keep_going("links: unlinked", note)

    async def _handle(self, unit: Unit, speaker: Speaker, items: Sequence[Any]) -> None:
        if handler := self.handlers.get(type(items[0])):
            await handler(unit, speaker, items)

    def _has_room(self, link: Conversation) -> None:
        self.on_room(link)

    def _has_received(self, link: Conversation, ids: Sequence[UUID]) -> None:
        self.on_received(link, ids)

    # In the background -------------------------------------------------------------------

    async def _end_old_links(self) -> None:
        with self._doorbell.hearing(Bell.LINKS, Bell.ACCESS) as hearing:
            while True:
                await keep_going("links: old ones", self._compare)
                await hearing.next(_LOOK_EVERY)

    async def _compare(self) -> None:
        for agent, link in list(self._conversations.items()):
            forgotten = link.left_at is not None and (
                asyncio.get_running_loop().time() - link.left_at > REMEMBERED_SECONDS
            )
            if forgotten and not link.greeting.locked():
                del self._conversations[agent]
                await link.close()
        before = {link.agent: link.epoch for link in self.linked()}
        if not before:
            return
        async with self._database.reading() as unit:
            doubts = await repository.in_doubt(unit.connection, before.items())
        for agent, doubt in doubts.items():
            current = self.link(agent)
            if current is None or current.epoch != before[agent]:
                continue
            goodbye = rules.end_of(
                revoked=doubt.revoked,
                forgotten=rules.was_forgotten(current.begun_at, doubt.unheard_since),
                superseded=bool(doubt.superseded),
            )
            if goodbye is not None:
                current.goodbye(goodbye)

    async def _note_presence(self) -> None:
        while True:
            await asyncio.sleep(_SEEN_EVERY)
            await keep_going("links: presence", self._seen)
            await keep_going("links: shared identities", self._settle_all)

    async def _seen(self) -> None:
        links = [(link.agent, link.epoch) for link in self.linked()]
        if not links:
            return
        async with self._database.unit() as unit:
            await repository.seen(unit.connection, links, unit.now, before=unit.now - _SEEN_AFTER)
            back = await repository.back(unit.connection, links, self._replica)
            for agent in back:
                logger.warning("link_was_taken_for_dead", agent=str(agent))
                await agents.link_changed(unit, agent)
        for agent, epoch in links:
            # One that ended just now was noted as ended before it was noted as back.
            link = self._conversations.get(agent)
            if agent in back and link is not None and not (link.linked and link.epoch == epoch):
                await self._unlinked(link, epoch)

    async def _settle_all(self) -> None:
        # Whoever saw that they were contested may be gone.
        async with self._database.reading() as unit:
            contested = await repository.contested(unit.connection)
        for agent in contested:
            async with self._database.unit() as unit:
                await self._settle(unit, agent)

    async def _settle(self, unit: Unit, agent: UUID) -> None:
        known = await repository.known(unit.connection, agent, lock=True)
        if known is None or rules.still_remembered(known.superseded, unit.now):
            return
        settled = rules.contested_condition(known.conditions, contested=False, now=unit.now)
        if settled != known.conditions:
            await repository.set_conditions(unit.connection, agent, settled)
            await agents.link_changed(unit, agent)


async def _welcome(socket: Socket, welcome: Welcome) -> None:
    """Say welcome; nobody else can greet as this agent until that is said.

    Raises:
        Gone: nobody hears it.
    """
    try:
        async with asyncio.timeout(_WELCOME_SECONDS):
            await socket.say(codec.encode(welcome))
    except TimeoutError:
        raise Gone(_NOT_READ, "It reads nothing.") from None
