"""The model's parts: each is one program's memory, or what outlives programs.

The channel, the ledger, the news and the fence are the real ones. They are mutable, so a part
is copied before it is touched; `key()` is what tells two of them apart.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from porthole_agent.ledger import Ledger
from porthole_agent.news import News
from porthole_contract.link.channel import Channel, Side
from porthole_contract.link.commands import Command
from porthole_contract.link.frames import Ack, AgentData, ControlData, Goodbye, Ping
from porthole_contract.link.reports import CommandResult, Outcome
from porthole_contract.testing import builders
from tests.model.rules_of_the_queue import Row, Rows

_COMMANDS = 1000
_ROOM = 2**16  # what `an_id` leaves for numbers
_BOUNDED = builders.an_apply(template=builders.a_pin().model_copy(update={"spec": None}))


@cache
def command_of(identity: int, subject: int, sequence: int, kind: str, order: int) -> Command:
    """Return what is said of a row."""
    body: Any
    if kind == "ApplySession":
        session = builders.an_id(subject)
        body = _BOUNDED.model_copy(update={"session": session, "order": order})
    else:
        body = builders.a_delete(subject, order)
    return Command(id=builders.an_id(_COMMANDS + identity), sequence=sequence, body=body)


def number_of(identity: UUID) -> int:
    """Return which row a command's id belongs to."""
    return identity.int % _ROOM - _COMMANDS


def subject_of(command: Command) -> int:
    """Return which session a command is about."""
    return command.subject[1].int % _ROOM


@cache
def result_of(identity: UUID, outcome: Outcome) -> CommandResult:
    """Return the result of a command."""
    return CommandResult(command=identity, outcome=outcome)


def item_key(item: Any) -> Any:
    """Return what tells items apart."""
    if isinstance(item, Command):
        return item.id.int
    return (item.command.int, item.outcome)


def frame_key(frame: Any) -> Any:
    """Return what tells frames apart."""
    match frame:
        case ControlData() | AgentData():
            return (frame.seq, tuple(map(item_key, frame.items)))
        case Ack():
            return frame.upto
        case Goodbye():
            return frame.code
        case Ping():
            return -frame.said
        case _:
            return (frame.conversation, frame.resumed, frame.received, frame.epoch)


def copied(channel: Channel) -> Channel:
    """Return another channel in the same state."""
    copy = Channel.__new__(Channel)
    copy.__dict__.update(channel.__dict__)
    copy._outbox = list(channel._outbox)
    copy._untold = list(channel._untold)
    return copy


def _channel_key(channel: Channel) -> Any:
    return (
        channel.conversation,
        channel.epoch,
        channel._attached,
        channel._base,
        channel._next_to_send,
        channel._said,
        channel._window_end,
        channel._received,
        channel._taken,
        channel._acked,
        channel._ack_owed,
        channel._silent,
        channel._left,
        len(channel._untold),
        tuple(item_key(item) for item, _ in channel._outbox),
    )


def key_of(part: Any) -> Any:
    """Return a part's key, which is made once: nobody changes a part that others have seen."""
    if part.known_as is None:
        part.known_as = part.key()
    return part.known_as


class Session(NamedTuple):
    """A row of `sessions`: what it is to be, and what is known of it."""

    order: int
    phase: str = "Pending"
    """Pending, Applied, Refused, Terminating, Terminated."""


class Database(NamedTuple):
    """What is in Postgres of one agent; `asked`: how far people's wishes have come."""

    epoch: int = 0
    linked: bool = False
    rows: Rows = ()
    sessions: tuple[tuple[int, Session], ...] = ()
    asked: int = 0

    def session(self, subject: int) -> Session:
        """Return a session."""
        return dict(self.sessions)[subject]

    def with_session(self, subject: int, session: Session) -> "Database":
        """Return the database with a session as it is now."""
        return self._replace(
            sessions=tuple(sorted({**dict(self.sessions), subject: session}.items()))
        )

    def row(self, identity: int) -> Row:
        """Return a command."""
        return self.rows[identity]


class Kept(NamedTuple):
    """What a runtime keeps of one session, whatever programs end.

    `effects` are all that ever happened to it: ("held" | "ended" | "undone", order).
    """

    held: int | None = None
    buried: int | None = None
    effects: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Replica:
    """One process of the control plane: its conversation with the agent."""

    channel: Channel = field(default_factory=lambda: Channel(Side.CONTROL))
    unfinished: frozenset[int] = frozenset()
    heard: tuple[tuple[UUID | None, tuple[CommandResult, ...]], ...] = ()
    line: int | None = None
    """The connection that it converses on."""
    rung: bool = False
    """Whether it was woken; without a poll nothing else makes it look."""
    known_as: Any = None

    def copy(self) -> "Replica":
        """Return another one in the same state."""
        return Replica(copied(self.channel), self.unfinished, self.heard, self.line, self.rung)

    def key(self) -> Any:
        """Return its state."""
        heard = tuple((which, tuple(map(item_key, items))) for which, items in self.heard)
        return (_channel_key(self.channel), self.unfinished, heard, self.line, self.rung)


class Looked(NamedTuple):
    """What a process has read of a session before it writes; `buried`: it has noted its end."""

    held: int | None
    version: int
    buried: bool = False


@dataclass(slots=True)
class Process:
    """One process of the agent.

    `known` are the ends that it remembers, `looked` what it is about to write upon.
    """

    up: bool = True
    channel: Channel = field(default_factory=lambda: Channel(Side.AGENT))
    ledger: Ledger = field(default_factory=Ledger)
    news: News = field(default_factory=News)
    known: tuple[tuple[int, int], ...] = ()
    looked: tuple[tuple[int, Looked], ...] = ()
    line: int | None = None
    superseded: bool = False
    known_as: Any = None

    def copy(self) -> "Process":
        """Return another one in the same state."""
        ledger = Ledger.__new__(Ledger)
        ledger._remembered = self.ledger._remembered
        ledger._lines = {one: deque(line) for one, line in self.ledger._lines.items()}
        ledger._unfinished = set(self.ledger._unfinished)
        ledger._done = self.ledger._done.copy()
        news = News()
        news._urgent = deque(self.news._urgent)
        return Process(
            self.up,
            copied(self.channel),
            ledger,
            news,
            self.known,
            self.looked,
            self.line,
            self.superseded,
        )

    def key(self) -> Any:
        """Return its state."""
        lines = tuple(
            (subject, tuple(command.id.int for command in line))
            for subject, line in sorted(self.ledger._lines.items())
        )
        done = tuple(map(item_key, self.ledger._done.values()))
        owed = tuple(map(item_key, self.news._urgent))
        return (
            self.up,
            _channel_key(self.channel),
            lines,
            frozenset(done),
            owed,
            self.known,
            self.looked,
            self.line,
            self.superseded,
        )


class Line(NamedTuple):
    """One connection: what is in flight each way, and who still has it.

    `expected` and `hello` belong to the greeting that goes on; afterwards they are empty.
    """

    process: int
    replica: int
    expected: int | None
    hello: tuple[UUID | None, int, int]
    down: tuple[Any, ...] = ()
    """Frames towards the agent."""
    up: tuple[Any, ...] = ()
    at_process: bool = True
    at_replica: bool = True
    cut: bool = False

    def key(self) -> Any:
        """Return its state."""
        return (
            *self[:4],
            tuple(map(frame_key, self.down)),
            tuple(map(frame_key, self.up)),
            *self[6:],
        )
