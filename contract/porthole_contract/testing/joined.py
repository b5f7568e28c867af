"""Two channels and the network between them, driven by hand.

A test says what happens, one thing after the other: somebody says or takes something,
frames arrive, one side notices that the connection is gone or both do, a program forgets
everything, time passes. Frames travel as text, through the codec. Whatever was heard,
taken and acknowledged stands in the two `End`s.

`Impossible` is raised for what no real world does, so that no test proves something about
it: frames of one connection that overtake each other or come twice, frames that arrive on
a connection that their hearer has left, a second connection beside the first, a clock that
goes back.
"""

from collections import deque
from typing import TYPE_CHECKING, Any
from uuid import UUID

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link import codec
from porthole_contract.link.channel import (
    Acknowledged,
    Channel,
    ChannelEvent,
    Dead,
    Left,
    Received,
    Side,
)

if TYPE_CHECKING:
    from porthole_contract.link.frames import Goodbye


class Impossible(AssertionError):
    """The test asked for what cannot happen; the sentence says why not."""


class End:
    """One side: its channel, and what its owner knows.

    `inbox` was received and is not taken; `taken`, `acknowledged` and `undelivered` are
    everything that ever was, in order, also of programs that have forgotten it since.
    """

    def __init__(self, side: Side) -> None:
        self.channel = Channel(side)
        self.listening = False  # whether frames can reach it: it greets, or is attached
        self.in_flight: deque[str] = deque()  # towards this end
        self.inbox: deque[Any] = deque()
        self.taken: list[Any] = []
        self.acknowledged: list[Any] = []
        self.undelivered: list[Any] = []
        self.left: Goodbye | None = None
        self.dead = False

    def note(self, events: list[ChannelEvent]) -> None:
        """Remember what the channel said."""
        for event in events:
            match event:
                case Received(items):
                    self.inbox.extend(items)
                case Acknowledged(items):
                    self.acknowledged.extend(items)
                case Left(goodbye):
                    self.left = goodbye
                case Dead():
                    self.dead = True


class Joined:
    """A control plane's channel and an agent's; connected, unless `connected` is False."""

    def __init__(self, *, connected: bool = True) -> None:
        self.control = End(Side.CONTROL)
        self.agent = End(Side.AGENT)
        self.now = 0.0
        self.epoch = 0
        if connected:
            self.connect()

    def other(self, end: End) -> End:
        """Return the end that `end` talks to."""
        return self.agent if end is self.control else self.control

    # Connections -------------------------------------------------------------------------

    def connect(self, *, welcome_arrives: bool = True, taken_meanwhile: int = 0) -> bool:
        """The agent dials and the greeting succeeds; return whether they resumed.

        The agent's owner takes `taken_meanwhile` items between `Hello` and `Welcome`.

        The control plane learns here that an older connection is gone, if it did not know.
        Without `welcome_arrives` the new connection is lost after it has said `Welcome`: it
        believes in the connection, the agent does not.
        """
        agent, control = self.agent.channel, self.control.channel
        if agent.attached:
            raise Impossible("An agent that has a connection does not dial a second one.")
        hello_conversation, hello_received = agent.conversation, agent.received
        self.take(self.agent, taken_meanwhile)
        self.drop(self.control)
        self.epoch += 1
        resumed = control.can_resume(hello_conversation, hello_received)
        conversation = hello_conversation if resumed else UUID(int=self.epoch)
        assert conversation is not None
        self.control.listening = self.agent.listening = True
        welcome_received = control.received if resumed else 0
        self._attach(self.control, conversation, resumed=resumed, peer=hello_received)
        if welcome_arrives:
            self._attach(self.agent, conversation, resumed=resumed, peer=welcome_received)
        else:
            self.drop(self.agent)
        return resumed

    def drop(self, end: End | None = None) -> None:
        """`end` (None: both) notices that the connection is gone; what was coming is lost."""
        for one in (self.control, self.agent) if end is None else (end,):
            one.channel.detach()
            one.listening = False
            one.in_flight.clear()

    def restart(self, end: End) -> None:
        """The program at `end` ends and begins again, with no memory but its owner's."""
        self.drop(end)
        end.channel = Channel(end.channel.side)
        end.inbox.clear()

    # What the two sides do ---------------------------------------------------------------

    def say(self, end: End, *items: Any) -> None:
        """Queue items at `end`; they go on the wire as far as there is room."""
        end.channel.send(*items)
        self._flush(end)

    def take(self, end: End, count: int | None = None) -> None:
        """The owner of `end` deals with the next `count` (None: all) received items."""
        count = len(end.inbox) if count is None else count
        if count > len(end.inbox):
            raise Impossible(f"{count} items cannot be taken where {len(end.inbox)} were heard.")
        end.taken += [end.inbox.popleft() for _ in range(count)]
        end.channel.taken(count)
        self._flush(end)

    def goodbye(self, end: End, code: str, *, retry_after: float | None = 0.5) -> None:
        """`end` says its last frame."""
        end.channel.goodbye(code, retry_after=retry_after)
        self._flush(end)

    # What the network and the clock do ---------------------------------------------------

    def deliver(self, to: End, count: int | None = None, *, first: int = 0) -> None:
        """Hand the next `count` (None: all that are in flight now) frames to an end.

        `first` is the place in the queue of the one that arrives first. There is one place
        from which frames arrive, and asking for another is how to see it refused.
        """
        if first != 0:
            raise Impossible("Frames of one connection arrive in the order in which they left.")
        count = len(to.in_flight) if count is None else count
        if count > len(to.in_flight):
            raise Impossible(f"{count} frames cannot arrive, {len(to.in_flight)} are in flight.")
        if count and not to.channel.attached:
            raise Impossible("Nothing arrives on a connection that its hearer has left.")
        decode = codec.decode_from_agent if to is self.control else codec.decode_from_control
        for _ in range(count):
            to.note(to.channel.receive(decode(to.in_flight.popleft()), self.now))
            self._flush(to)

    def wait(self, seconds: float, *, frames_arrive: bool = True) -> None:
        """Let time pass; both sides tick when they want to."""
        if seconds < 0:
            raise Impossible("The clock does not go back.")
        until = self.now + seconds
        while True:
            due = [
                deadline
                for end in (self.control, self.agent)
                if not end.dead and (deadline := end.channel.deadline()) is not None
            ]
            self.now = max(self.now, min([until, *due]))
            for end in (self.control, self.agent):
                end.note(end.channel.tick(self.now))
                self._flush(end)
            if frames_arrive:
                self._deliver_all()
            if self.now >= until:
                return

    def settle(self) -> None:
        """Everything arrives and is taken, until both are silent."""
        busy = True
        while busy:
            self._deliver_all()
            for end in (self.control, self.agent):
                self.take(end)
                end.note(end.channel.tick(self.now))
                self._flush(end)
            busy = bool(self.control.in_flight or self.agent.in_flight)

    # Inside ------------------------------------------------------------------------------

    def _attach(self, end: End, conversation: UUID, *, resumed: bool, peer: int) -> None:
        if not resumed:
            end.inbox.clear()
        try:
            end.undelivered += end.channel.attach(
                conversation=conversation,
                epoch=self.epoch,
                resumed=resumed,
                peer_received=peer,
                now=self.now,
            )
        except RemoteProtocolError as error:
            raise AssertionError("Two honest channels do not agree.") from error
        end.dead = False
        end.left = None
        self._flush(end)

    def _deliver_all(self) -> None:
        while any(end.in_flight and end.channel.attached for end in (self.control, self.agent)):
            for end in (self.control, self.agent):
                if end.channel.attached:
                    self.deliver(end)

    def _flush(self, end: End) -> None:
        """Put what `end` says on the wire; it is lost if nobody listens any more."""
        frames = [codec.encode(frame) for frame in end.channel.frames()]
        if self.other(end).listening:
            self.other(end).in_flight.extend(frames)
