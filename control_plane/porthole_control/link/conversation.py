"""One agent's conversation with this process: the channel, and the loops around it.

It outlives connections. While one is attached, its own task writes and another reads; what
was heard is dealt with by tasks that go on without a connection, and end when it is done.
There are thousands of these, most of them idle: what one holds while nothing happens counts.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from porthole_contract.errors import Refused
from porthole_contract.link import codec
from porthole_contract.link.channel import (
    DEAD_AFTER,
    WINDOW,
    Acknowledged,
    Channel,
    Dead,
    Left,
    Received,
    Side,
)
from porthole_contract.link.commands import Command
from porthole_contract.link.frames import Goodbye
from porthole_contract.link.reports import CommandResult
from porthole_control.failpoints import failpoint
from porthole_control.flag import Flag
from porthole_control.link.heard import Batch, Heard
from porthole_control.link.reports import Reports, Speaker
from porthole_control.sockets import Gone, Socket

logger = structlog.get_logger(__name__)

UNFINISHED = 200
"""How many commands an agent may have that it has not finished."""
_RESERVED = 64
"""Places in the agent's window that are kept for streams: somebody waits for those."""
_GOODBYE_SECONDS = 1.0
_ANSWER_EVERY = 1.0
"""So often who reads answers a ping itself, where that is all there is to say: it is most of what
an idle link costs. Who pings more often is answered by who writes, several pings at once."""


class Conversation:
    """What this process and one agent say to one another.

    Args:
        agent: which agent.
        reports: where what it says goes.
        on_room: told when the agent can take more commands.
        on_received: told which commands the agent has.

    Attributes:
        unfinished: commands that it was told and has not finished.
        greeting: held while the agent is greeted.
        ordering: held from the claim of commands until they are said.
        begun_at: when the agent began to tell all that it has; None: it never did.
        left_at: when the last connection ended; None: there is one.
    """

    def __init__(
        self,
        agent: UUID,
        reports: Reports,
        *,
        on_room: Callable[["Conversation"], None],
        on_received: Callable[["Conversation", Sequence[UUID]], None],
    ) -> None:
        self.agent = agent
        self.name = ""
        self.base = ""
        self.instance: UUID | None = None
        self.channel = Channel(Side.CONTROL)
        self.unfinished: set[UUID] = set()
        self.greeting = asyncio.Lock()
        self.ordering = asyncio.Lock()
        self.left_at: float | None = None
        self.begun_at: datetime | None = None
        self._on_room = on_room
        self._on_received = on_received
        self._wake = Flag()
        self._heard = Heard(reports, self._dealt, self._complain)
        self._detached = Flag()
        self._detached.set()
        self._writing: asyncio.Timeout | None = None

    @property
    def epoch(self) -> int:
        """The number of its newest link."""
        return self.channel.epoch

    @property
    def linked(self) -> bool:
        """Whether something can be said now."""
        return self.channel.attached

    @property
    def credit(self) -> int:
        """How many commands may be sent to it now."""
        if not self.linked:
            return 0
        return max(0, min(self.channel.room - _RESERVED, UNFINISHED - len(self.unfinished), WINDOW))

    # Saying ------------------------------------------------------------------------------

    def say(self, *items: Any) -> bool:
        """Say something to the agent; return whether there is a link to say it on."""
        if not self.linked:
            return False
        self.channel.send(*items)
        self._wake.set()
        return True

    def order(self, commands: Iterable[Command]) -> None:
        """Say commands, and count them as unfinished until their results come."""
        commands = tuple(commands)
        self.unfinished.update(command.id for command in commands)
        self.channel.send(*commands)
        self._wake.set()

    def goodbye(self, goodbye: Goodbye) -> None:
        """End the connection, in words."""
        self.channel.goodbye(goodbye.code, goodbye.message, retry_after=goodbye.retry_after)
        self._wake.set()

    # Connections -------------------------------------------------------------------------

    async def end_connection(self, goodbye: Goodbye) -> None:
        """End the connection that there is, and wait until it is detached.

        An agent that does not take the goodbye in is cut off.
        """
        if self.linked:
            self.goodbye(goodbye)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._detached.wait()
            self._cut()
            await self._detached.wait()

    def attach(
        self, *, conversation: UUID, epoch: int, resumed: bool, peer_received: int, at: datetime
    ) -> None:
        """A greeting has succeeded: from now on things can be said."""
        self.channel.attach(
            conversation=conversation,
            epoch=epoch,
            resumed=resumed,
            peer_received=peer_received,
            now=_clock(),
        )
        if not resumed:
            self.unfinished.clear()
            self.begun_at = at
        self.left_at = None
        self._detached.clear()
        self._heard.go_on()  # it may have used up the agent's window, and nothing more would come
        self._wake.set()

    async def converse(self, socket: Socket) -> str:
        """Read and write until the connection is over; return why, in words.

        Raises:
            RemoteProtocolError: the agent said what it may not say.
        """
        reader = asyncio.create_task(self._read(socket), name="link-reader")
        try:
            async with asyncio.timeout(None) as self._writing:
                reader.add_done_callback(self._cut)
                why = await self._write(socket)
            return reader.result() if reader.done() else why
        except TimeoutError:
            return reader.result() if reader.done() else "The agent did not take our goodbye in."
        finally:
            self._writing = None
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self.channel.detach()
            self.left_at = _clock()
            self._detached.set()

    def _cut(self, *_: object) -> None:
        """End the connection that there is, whatever is being written."""
        if self._writing is not None and not self._writing.expired():
            self._writing.reschedule(_clock())

    async def close(self) -> None:
        """Forget the conversation; what was heard and not dealt with is said again."""
        await self._heard.close()

    async def _read(self, socket: Socket) -> str:
        answered_at = -math.inf
        while True:
            await self._heard.room()
            try:
                text = await socket.hear()
            except Gone as gone:
                return f"The connection ended ({gone.code})."
            events = self.channel.receive(codec.decode_from_agent(text), _clock())
            for event in events:
                match event:
                    case Received(items):
                        self._take_in(items, len(text))
                    case Acknowledged(items):
                        self._acknowledged(items)
                    case Left(goodbye):
                        return f"The agent said goodbye: {goodbye.message or goodbye.code}"
            pong = None
            if socket.has_room and _clock() >= answered_at + _ANSWER_EVERY:
                pong = self.channel.answer()
            if pong is None:
                self._wake.set()
                continue
            answered_at = _clock()
            try:
                await socket.say(codec.encode(pong))
            except Gone as gone:
                return f"The connection ended ({gone.code})."

    def _take_in(self, items: Sequence[Any], size: int) -> None:
        speaker = Speaker(self.agent, self.epoch)
        self._heard.add(Batch(speaker, self.channel.conversation, tuple(items)), size)

    def _acknowledged(self, items: Sequence[Any]) -> None:
        received = [item.id for item in items if isinstance(item, Command)]
        if received:
            self._on_received(self, received)
        self._on_room(self)

    async def _write(self, socket: Socket) -> str:
        channel = self.channel
        while True:
            self._wake.clear()
            for event in channel.tick(_clock()):
                match event:
                    case Dead(silent_for):
                        return f"The agent has not been heard for {silent_for:.0f} s."
                    case Acknowledged(items):
                        self._acknowledged(items)
            frames = channel.frames()
            if not frames:
                await self._something_to_say(channel.deadline() or _clock())
                continue
            try:
                # An agent that does not read does not hear either.
                async with asyncio.timeout(DEAD_AFTER):
                    for frame in frames:
                        await socket.say(codec.encode(frame))
                        failpoint("sent", *getattr(frame, "items", ()))
            except TimeoutError:
                return f"The agent has read nothing for {DEAD_AFTER:.0f} s."
            except Gone as gone:
                return f"The connection ended ({gone.code})."
            if isinstance(frames[-1], Goodbye):
                return f"We said goodbye: {frames[-1].message or frames[-1].code}"

    async def _something_to_say(self, at_the_latest: float) -> None:
        timer = _Timer(self.channel, self._wake, at_the_latest)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    # What was heard ----------------------------------------------------------------------

    def _dealt(self, batch: Batch, refused: Refused | None) -> None:
        if refused is not None:
            self.goodbye(Goodbye(code=refused.code, message=str(refused)[:2000]))
        # What was said in a conversation that the agent has forgotten is dealt with as well,
        # but the channel counts only what belongs to the one that it is in.
        if batch.conversation == self.channel.conversation:
            self.channel.taken(len(batch.items))
        finished = [item.command for item in batch.items if isinstance(item, CommandResult)]
        if finished:
            self.unfinished.difference_update(finished)
            self._on_room(self)
        self._wake.set()

    def _complain(self, error: BaseException) -> None:
        logger.error("link_is_deaf", agent=self.name, exc_info=error)
        self._cut()


class _Timer:
    """Sets a flag at a channel's deadline, which moves on with each ping that is heard."""

    __slots__ = ("_channel", "_handle", "_wake")

    def __init__(self, channel: Channel, wake: Flag, at: float) -> None:
        self._channel = channel
        self._wake = wake
        self._handle = asyncio.get_running_loop().call_at(at, self._look)

    def cancel(self) -> None:
        """Set nothing any more."""
        self._handle.cancel()

    def _look(self) -> None:
        deadline = self._channel.deadline()
        if deadline is None or deadline <= _clock():
            self._wake.set()
        else:
            self._handle = asyncio.get_running_loop().call_at(deadline, self._look)


def _clock() -> float:
    return asyncio.get_running_loop().time()
