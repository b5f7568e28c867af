"""The conversation on a link, without any I/O.

One `Channel` is one side's memory of one conversation. It outlives connections: `attach`
when a greeting has succeeded, `detach` when the connection is gone. In between

* `send(item)` queues something to say,
* `receive(frame, now)` takes in what the peer said and returns what it means,
* `taken(count)` says that the owner has dealt with that many more of the received items,
* `tick(now)` is called when `deadline()` has come,
* `frames()` returns what to put on the wire, in order; call it after each of the others.

Items are numbered from 1 in each direction. The receiver takes each number once and in
order: a repeated one is dropped, a gap ends the connection; a ping says how far the items
before it went, so that a gap at the end is noticed too. What has not been acknowledged
is sent again after a reconnect if both sides still remember the conversation (`resumed`);
if one of them has forgotten, a new conversation begins and `attach` returns what this side
had said and not seen acknowledged, for its owner to decide about.

An acknowledgement means "taken in", not "done": results are items of their own. A side
acknowledges what its owner has `taken`, in `Ack` and in the greeting alike; until then the
window that it gave stays used, so a slow owner slows the peer down and never fills memory.
When a new conversation begins, what the owner received and has not taken is void: it drops
it, for the peer will say it again if it still matters.

Health: after `PING_EVERY` seconds without a ping one is sent; a peer that has not been heard
for `DEAD_AFTER` seconds is dead. The control plane, which has many links, leaves its own pings
out while the agent's come and it has nothing to say that could be lost: its answers are heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args
from uuid import UUID

from porthole_contract.errors import LocalProtocolError, RemoteProtocolError
from porthole_contract.link.codec import LONGEST_ITEM, size_of
from porthole_contract.link.commands import ControlItem
from porthole_contract.link.frames import (
    Ack,
    AgentData,
    ControlData,
    Goodbye,
    Ping,
    Pong,
)
from porthole_contract.link.reports import AgentItem
from porthole_contract.model import Message

PING_EVERY = 5.0
DEAD_AFTER = 12.0
WINDOW = 512
"""How many items a side may have sent that the other's owner has not taken yet."""
BATCH = 100
"""How many items stand in one frame at the most."""
BATCH_BYTES = 1024 * 1024
"""No item is added to a frame that would then be longer; a longer item has its own frame."""
_ACK_EVERY = 64
_SPARED = 1.5 * PING_EVERY
"""When a ping that may be left out is sent after all: the peer's is not always on time."""


class Side(Enum):
    """Which end of the link this is."""

    CONTROL = "control"
    AGENT = "agent"


_ITEMS: dict[Side, tuple[type[Message], ...]] = {
    Side.CONTROL: get_args(get_args(ControlItem)[0]),
    Side.AGENT: get_args(get_args(AgentItem)[0]),
}
"""What each side may say: the members of the two unions."""


@dataclass(frozen=True, slots=True)
class Received:
    """The peer said these items, in this order; call `taken` when they are dealt with."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer took these items, in the order in which they were sent."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """The peer said goodbye; nothing more will come on this connection."""

    goodbye: Goodbye


@dataclass(frozen=True, slots=True)
class Dead:
    """The peer has not been heard for `DEAD_AFTER` seconds: drop the connection."""

    silent_for: float


ChannelEvent = Received | Acknowledged | Left | Dead


class Channel:
    """One side's memory of one conversation.

    Args:
        side: which end this is; it decides which items may be sent.
        conversation: the identity of the conversation, None until the first greeting.
    """

    def __init__(self, side: Side, conversation: UUID | None = None) -> None:
        self.side = side
        self.conversation = conversation
        self.epoch = 0
        self._data = ControlData if side is Side.CONTROL else AgentData
        self._peer_data = AgentData if side is Side.CONTROL else ControlData
        self._attached = False
        # What was said and is not acknowledged, with its size; the first has number `_base`.
        self._outbox: list[tuple[Any, int]] = []
        self._base = 1
        self._next_to_send = 1  # the first number that is not on this connection's wire yet
        self._said = 0  # the last number that was on any wire of this conversation
        self._window_end = WINDOW  # the last number that the peer has room for
        self._received = 0  # the last number received from the peer
        self._taken = 0  # the last number that our owner has dealt with
        self._acked = 0  # the last number that we acknowledged
        self._ack_owed = False  # the greeting may have told less than was taken meanwhile
        self._untold: list[ChannelEvent] = []  # what `attach` learned
        # At most one of each waits for `frames`, however much the peer says meanwhile.
        self._ping: int | None = None
        self._pong: Pong | None = None
        self._goodbye: Goodbye | None = None
        self._silent = False  # our goodbye was said
        self._left = False  # the peer's was heard
        self._heard_at = 0.0
        self._pinged_at = 0.0
        self._may_spare = False
        self._pings = 0

    # What the greeting needs to know -----------------------------------------------------

    @property
    def received(self) -> int:
        """The number of the last item that our owner has taken, for `Hello` or `Welcome`.

        Not of the last one that arrived: the peer forgets what the greeting tells it.
        """
        return self._taken

    @property
    def attached(self) -> bool:
        """Whether there is a connection to say things on."""
        return self._attached

    @property
    def unacknowledged(self) -> int:
        """How many items were queued or sent and are not acknowledged."""
        return len(self._outbox)

    def owed(self, kind: type) -> int:
        """Return how many items of a type were queued or sent and are not acknowledged."""
        return sum(isinstance(item, kind) for item, _ in self._outbox)

    @property
    def room(self) -> int:
        """How many more items the peer has room for now."""
        return max(0, self._window_end - (self._base + len(self._outbox) - 1))

    def can_resume(self, conversation: UUID | None, peer_received: int) -> bool:
        """Tell whether this memory fits what the peer remembers of the conversation."""
        return (
            conversation is not None
            and conversation == self.conversation
            and self._base - 1 <= peer_received <= self._said
        )

    def attach(
        self, *, conversation: UUID, epoch: int, resumed: bool, peer_received: int, now: float
    ) -> tuple[Any, ...]:
        """A greeting has succeeded; go on, or begin anew.

        What a resuming peer turns out to have taken is told as `Acknowledged` by the next
        `tick` or `receive`.

        Returns:
            The items that were said in a conversation that the peer has forgotten, and that
            it may or may not have taken; empty if the conversation is resumed.

        Raises:
            LocalProtocolError: there is a connection already.
            RemoteProtocolError: the peer claims to have received what was never said.
        """
        if self._attached:
            raise LocalProtocolError("A channel carries one connection at a time.")
        undelivered: tuple[Any, ...] = ()
        if resumed:
            if not self.can_resume(conversation, peer_received):
                raise RemoteProtocolError("The peer resumes a conversation that was never had.")
            done = self._forget(peer_received)
            if done:
                self._untold.append(Acknowledged(done))
        else:
            undelivered = tuple(item for item, _ in self._outbox)
            self._outbox.clear()
            self._base = 1
            self._said = 0
            self._received = self._taken = 0
        self.conversation = conversation
        self.epoch = epoch
        self._next_to_send = self._base
        self._window_end = self._base - 1 + WINDOW
        self._acked = self._taken
        self._ack_owed = self._taken > 0
        self._hush()
        self._heard_at = self._pinged_at = now
        self._may_spare = False
        self._attached = True
        return undelivered

    def detach(self) -> None:
        """The connection is gone. What was said stays, to be said again."""
        self._attached = False
        self._hush()

    # Saying ------------------------------------------------------------------------------

    def send(self, *items: Any) -> None:
        """Queue items for the peer; they leave with `frames`, as far as it has room.

        Raises:
            LocalProtocolError: this side does not say such an item, or it is longer than
                `LONGEST_ITEM`; none of the items was queued.
        """
        queued = []
        for item in items:
            if not isinstance(item, _ITEMS[self.side]):
                raise LocalProtocolError(
                    f"{type(item).__name__} is not said by the {self.side.value} side."
                )
            size = size_of(item)
            if size > LONGEST_ITEM:
                raise LocalProtocolError(
                    f"{type(item).__name__} is {size} bytes long; {LONGEST_ITEM} is the most."
                )
            queued.append((item, size))
        self._outbox.extend(queued)

    def goodbye(self, code: str, message: str = "", *, retry_after: float | None = 0.5) -> None:
        """Queue the last frame of this connection."""
        if self._attached and not self._silent and self._goodbye is None:
            self._goodbye = Goodbye(code=code, message=message, retry_after=retry_after)

    def frames(self) -> list[Any]:
        """Return the frames to put on the wire now, in order; none after our goodbye."""
        if not self._attached or self._silent:
            return []
        out: list[Any] = [] if self._pong is None else [self._pong]
        if self._ping is not None:
            out.append(Ping(number=self._ping, said=self._next_to_send - 1))
        self._pong = self._ping = None
        if self._ack_is_due():
            self._ack_owed = False
            self._acked = self._taken
            out.append(Ack(upto=self._taken, window=WINDOW))
        if self._goodbye is not None:
            self._silent = True
            return [*out, self._goodbye]
        last = min(self._base + len(self._outbox) - 1, self._window_end)
        while self._next_to_send <= last:
            items = self._batch(last)
            out.append(self._data(seq=self._next_to_send, items=items))
            self._next_to_send += len(items)
        self._said = max(self._said, self._next_to_send - 1)
        return out

    def answer(self) -> Pong | None:
        """Return the answer to a ping, if it is all that `frames` would return; else None.

        Most of what idle peers say to one another are these two: an owner may spare itself
        whatever else goes with putting frames on the wire.
        """
        pong = self._pong
        if pong is None or not self._attached or self._silent:
            return None
        last = min(self._base + len(self._outbox) - 1, self._window_end)
        if (
            self._ping is not None
            or self._goodbye is not None
            or self._ack_is_due()
            or self._next_to_send <= last
        ):
            return None
        self._pong = None
        return pong

    # Hearing -----------------------------------------------------------------------------

    def receive(self, frame: Any, now: float) -> list[ChannelEvent]:
        """Take in one frame of the peer.

        Raises:
            RemoteProtocolError: it may not be said now; end the connection.
        """
        if not self._attached:
            raise LocalProtocolError("A frame was fed to a channel without a connection.")
        if self._left:
            raise RemoteProtocolError(f"{type(frame).__name__} came after a goodbye.")
        self._heard_at = now
        events: list[ChannelEvent] = []
        match frame:
            case AgentData() | ControlData() if isinstance(frame, self._peer_data):
                events = self._receive_data(frame.seq, frame.items)
            case Ack():
                events = self._receive_ack(frame)
            case Ping():
                self._check_said(frame.said or 0)
                self._pong = Pong(number=frame.number)
                if self.side is Side.CONTROL:
                    self._pinged_at, self._may_spare = now, True
            case Pong():
                pass
            case Goodbye():
                self._left = True
                events = [Left(frame)]
            case _:
                name = type(frame).__name__
                raise RemoteProtocolError(f"{name} came in the middle of a conversation.")
        return self._learned() + events

    def taken(self, count: int) -> None:
        """Tell that the owner has dealt with the next `count` items of this conversation.

        Raises:
            LocalProtocolError: more were taken than were received.
        """
        if not 0 <= count <= self._received - self._taken:
            raise LocalProtocolError("More items were taken than were received.")
        self._taken += count

    # Time --------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """Return when `tick` must be called at the latest, on the caller's clock."""
        if not self._attached:
            return None
        if self._untold:
            return self._heard_at
        return min(self._ping_at(), self._heard_at + DEAD_AFTER)

    def tick(self, now: float) -> list[ChannelEvent]:
        """Let time pass."""
        events = self._learned()
        if not self._attached:
            return events
        if now - self._heard_at >= DEAD_AFTER:
            return [*events, Dead(now - self._heard_at)]
        if now >= self._ping_at():
            self._pings += 1
            self._pinged_at, self._may_spare = now, False
            self._ping = self._pings
        return events

    # Inside ------------------------------------------------------------------------------

    def _ping_at(self) -> float:
        """Return when the next ping is due; one is owed as soon as something could be lost."""
        is_spared = self._may_spare and not self._outbox
        return self._pinged_at + (_SPARED if is_spared else PING_EVERY)

    def _hush(self) -> None:
        """Forget what belongs to one connection only."""
        self._ping = self._pong = self._goodbye = None
        self._silent = self._left = False

    def _learned(self) -> list[ChannelEvent]:
        learned, self._untold = self._untold, []
        return learned

    def _ack_is_due(self) -> bool:
        waiting = self._taken - self._acked
        return self._ack_owed or (
            waiting > 0 and (waiting >= _ACK_EVERY or self._taken == self._received)
        )

    def _batch(self, last: int) -> tuple[Any, ...]:
        """Return the items from `_next_to_send` that fit into one frame, at least one."""
        items: list[Any] = []
        length = 0
        for number in range(self._next_to_send, min(self._next_to_send + BATCH - 1, last) + 1):
            item, size = self._outbox[number - self._base]
            length += size
            if items and length > BATCH_BYTES:
                break
            items.append(item)
        return tuple(items)

    def _receive_data(self, seq: int, items: Sequence[Any]) -> list[ChannelEvent]:
        if seq > self._received + 1:
            raise RemoteProtocolError(
                f"Item {seq} came where {self._received + 1} was due: something was lost."
            )
        fresh = tuple(items[self._received + 1 - seq :])
        if not fresh:
            return []
        if self._received + len(fresh) > self._acked + WINDOW:
            raise RemoteProtocolError("The peer sent more than it was given room for.")
        self._received += len(fresh)
        return [Received(fresh)]

    def _check_said(self, said: int) -> None:
        if said > self._received:
            raise RemoteProtocolError(
                f"Item {said} was said and {self._received} came last: something was lost."
            )

    def _receive_ack(self, ack: Ack) -> list[ChannelEvent]:
        if ack.upto > self._said:
            raise RemoteProtocolError(f"Item {ack.upto} was acknowledged and never sent.")
        if ack.upto < self._base - 1:
            raise RemoteProtocolError("An acknowledgement was taken back.")
        done = self._forget(ack.upto)
        self._window_end = max(self._window_end, ack.upto + ack.window)
        return [Acknowledged(done)] if done else []

    def _forget(self, upto: int) -> tuple[Any, ...]:
        count = upto - self._base + 1
        done = tuple(item for item, _ in self._outbox[:count])
        del self._outbox[:count]
        self._base = upto + 1
        self._next_to_send = max(self._next_to_send, self._base)
        return done
