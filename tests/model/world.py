"""One agent, its control plane and all that can happen to them: the states of the model.

A `World` is a state. `steps()` yields everything that may happen next, each with the world
after it: what the programs do by themselves, what people ask for, and, as long as there are
any left, faults. Two control plane processes share one database; two processes of the agent
share one runtime, of which the one that holds the lease is meant.

What decides here is the programs' own: the channel, the fence, the ledger, the news. What the
programs decide in SQL stands in `rules_of_the_queue`. What is left, the wiring between them,
follows the shells: `link.hub`, `link.conversation`, `commands.dispatch`, `sessions.service`
of the control plane; `link`, `desk` and `runtimes.kubernetes.writing` of the agent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from porthole_agent.ledger import Taken
from porthole_agent.runtimes import fence
from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link.channel import PING_EVERY, Acknowledged, Channel, Left, Received
from porthole_contract.link.commands import Command, DeleteSession
from porthole_contract.link.frames import Ack, Goodbye, Welcome
from porthole_contract.link.reports import Outcome
from porthole_control.commands.rules import OPEN, CommandState
from porthole_control.link import rules as link_rules
from tests.model import rules_of_the_queue as queue
from tests.model.parts import (
    Database,
    Kept,
    Line,
    Looked,
    Process,
    Replica,
    Session,
    command_of,
    copied,
    key_of,
    number_of,
    result_of,
    subject_of,
)
from tests.model.wiring import RIGHT, Wiring

Step = tuple[Any, ...]
"""What happened: its name, and to whom."""

CREDIT = 8

FAULTS = frozenset(
    {
        "cut",
        "frame_lost_down",
        "frame_lost_up",
        "frame_doubled_down",
        "frame_doubled_up",
        "agent_killed",
        "replica_killed",
        "lease_moved",
        "refused",
        "claim_unanswered",
        "deal_unanswered",
        "link_unanswered",
        "bell_lost",
    }
)


@dataclass(frozen=True)
class Story:
    """What is explored: what people ask for, in order, and which faults there may be.

    `wishes` are (verb, session): create, change, delete. `most`: how many faults. `replicas`:
    how many processes the control plane has. `rivals`: whether a second process of the agent
    may come to life. `swift`: acknowledgements arrive before anything else happens, for there
    is more to see elsewhere.
    """

    name: str
    wishes: tuple[tuple[str, int], ...]
    faults: frozenset[str] = FAULTS
    most: int = 1
    replicas: int = 2
    rivals: bool = False
    swift: bool = False


class World:
    """A state; it is not changed once it has been yielded."""

    __slots__ = (
        "db",
        "faults",
        "holder",
        "kept",
        "lines",
        "processes",
        "replicas",
        "story",
        "wiring",
    )

    def __init__(self, story: Story, wiring: Wiring = RIGHT) -> None:
        self.story = story
        self.wiring = wiring
        self.db = Database()
        self.kept: tuple[Kept, ...] = (Kept(),) * (1 + max(one for _, one in story.wishes))
        self.replicas = tuple(Replica() for _ in range(story.replicas))
        self.processes = (Process(), Process(up=False)) if story.rivals else (Process(),)
        self.lines: dict[int, Line] = {}
        self.holder = 0
        self.faults = story.most

    def fork(self) -> "World":
        """Return a world that may be changed."""
        other = World.__new__(World)
        for name in World.__slots__:
            setattr(other, name, getattr(self, name))
        other.lines = dict(self.lines)
        return other

    def key(self) -> Any:
        """Return what tells states apart."""
        return (
            self.db,
            self.kept,
            tuple(map(key_of, self.replicas)),
            tuple(map(key_of, self.processes)),
            tuple((number, line.key()) for number, line in sorted(self.lines.items())),
            self.holder,
            self.faults,
        )

    # Touching parts ----------------------------------------------------------------------

    def replica(self, which: int) -> Replica:
        """Return a replica that may be changed."""
        copy = self.replicas[which].copy()
        self.replicas = (*self.replicas[:which], copy, *self.replicas[which + 1 :])
        return copy

    def process(self, which: int) -> Process:
        """Return a process that may be changed."""
        copy = self.processes[which].copy()
        self.processes = (*self.processes[:which], copy, *self.processes[which + 1 :])
        return copy

    def keep(self, subject: int, **changes: Any) -> None:
        """Have the runtime keep something else of a session."""
        new = self.kept[subject]._replace(**changes)
        self.kept = (*self.kept[:subject], new, *self.kept[subject + 1 :])

    def line(self, number: int, **changes: Any) -> None:
        """Change a connection; one that nobody has is no more."""
        new = self.lines[number]._replace(**changes)
        if new.at_process or new.at_replica:
            self.lines[number] = new
        else:
            del self.lines[number]

    def ring(self) -> None:
        """Ring the doorbell: it matters only where there is no poll."""
        if self.wiring.no_poll:
            for which in range(len(self.replicas)):
                self.replica(which).rung = True

    # What may happen ---------------------------------------------------------------------

    def steps(self) -> Iterator[tuple[Step, "World"]]:
        """Yield everything that may happen next."""
        if self.story.swift:
            for number, line in self.lines.items():
                if isinstance((*line.down, *line.up, None)[0], Ack):
                    return (yield next(self._network(number, line)))
        yield from self._people()
        for which in range(len(self.replicas)):
            yield from self._control_plane(which)
        for which, process in enumerate(self.processes):
            if process.up:
                yield from self._agent(which, process)
        for number, line in list(self.lines.items()):
            yield from self._network(number, line)
        if any(row.later for row in self.db.rows):
            after = self.fork()
            rows = tuple(row._replace(later=False) for row in self.db.rows)
            after.db = self.db._replace(rows=rows)
            yield ("pause_over",), after
        if self.faults and self.story.rivals and self._may_fail("lease_moved") and not self.holder:
            after = self._after_fault()
            after.holder = 1
            after.process(1).up = True
            yield ("lease_moved",), after

    def _may_fail(self, what: str) -> bool:
        return self.faults > 0 and what in self.story.faults

    def _after_fault(self) -> "World":
        after = self.fork()
        after.faults -= 1
        return after

    # People ------------------------------------------------------------------------------

    def _people(self) -> Iterator[tuple[Step, "World"]]:
        if self.db.asked == len(self.story.wishes):
            return
        verb, subject = self.story.wishes[self.db.asked]
        after = self.fork()
        after.db = self._wished(verb, subject)._replace(asked=self.db.asked + 1)
        if self.wiring.no_poll and self._may_fail("bell_lost"):
            silent = after.fork()
            silent.faults -= 1
            yield ("bell_lost", verb, subject), silent
        after.ring()
        yield (verb, subject), after

    def _wished(self, verb: str, subject: int) -> Database:
        """Return the database after a wish, as `sessions.service` writes it."""
        db = self.db
        if verb == "create":
            session = Session(order=1)
            rows = queue.enqueue(db.rows, subject, "ApplySession", 1)
            return db.with_session(subject, session)._replace(rows=rows)
        session = db.session(subject)
        if session.phase in {"Terminating", "Terminated"}:
            return db
        order = session.order + 1
        if verb == "change":
            phase = "Pending" if session.phase == "Refused" else session.phase
            rows = queue.enqueue(db.rows, subject, "ApplySession", order)
            return db.with_session(subject, Session(order, phase))._replace(rows=rows)
        never_sent = not queue.was_sent(db.rows, subject) or self.wiring.orphan_on_delete
        if not db.linked and never_sent:
            rows = queue.withdraw(db.rows, subject)
            return db.with_session(subject, Session(session.order, "Terminated"))._replace(
                rows=rows
            )
        rows = queue.enqueue(db.rows, subject, "DeleteSession", order)
        return db.with_session(subject, Session(order, "Terminating"))._replace(rows=rows)

    # The control plane -------------------------------------------------------------------

    def _control_plane(self, which: int) -> Iterator[tuple[Step, "World"]]:
        replica = self.replicas[which]
        channel = replica.channel
        if replica.line is not None:
            if channel.epoch != self.db.epoch:
                yield ("superseded", which), self._part(which, "superseded")
            yield from self._dispatch(which, replica)
            lost = queue.send_forgotten(
                self.db.rows, epoch=channel.epoch, under_way=replica.unfinished
            )
            if lost != self.db.rows:
                after = self.fork()
                after.db = self.db._replace(rows=lost)
                after.ring()
                yield ("forgotten", which), after
            yield from self._reported(which, replica)
        if replica.heard:
            yield ("deal", which), self._deal(which, counted=True)
            if self._may_fail("deal_unanswered"):
                after = self._after_fault()
                yield ("deal_unanswered", which), after._deal(which, counted=False)
        if self._may_fail("replica_killed") and (replica.line is not None or replica.heard):
            after = self._after_fault()
            for number, line in list(after.lines.items()):
                if line.replica == which:
                    after.line(number, at_replica=False, up=())
            after.replicas = (
                *self.replicas[:which],
                Replica(rung=replica.rung),
                *self.replicas[which + 1 :],
            )
            yield ("replica_killed", which), after

    def _reported(self, which: int, replica: Replica) -> Iterator[tuple[Step, "World"]]:
        """An inventory comes, with something that has ended: its end is ordered again."""
        assert replica.line is not None
        line = self.lines[replica.line]
        if line.cut or not self.processes[line.process].channel.attached:
            return
        for subject, session in self.db.sessions:
            held = self.kept[subject].held
            is_open = any(row.subject == subject and row.state in OPEN for row in self.db.rows)
            if held is None or is_open or session.phase != "Terminated":
                continue
            order = max(session.order, held) + 1
            rows = queue.enqueue(self.db.rows, subject, "DeleteSession", order)
            after = self.fork()
            after.db = self.db.with_session(subject, session._replace(order=order))
            after.db = after.db._replace(rows=rows)
            after.ring()
            yield ("ended_again", which, subject), after

    def _dispatch(self, which: int, replica: Replica) -> Iterator[tuple[Step, "World"]]:
        if self.wiring.no_poll and not replica.rung:
            return
        epoch = replica.channel.epoch
        newest = epoch if self.wiring.no_epoch_check else self.db.epoch
        before = self.db.rows
        rows, claimed = queue.claim(before, newest=newest, epoch=epoch, credit=CREDIT)
        if self.wiring.reorder:
            free = tuple(row for row in before if row.state == queue.PENDING)[-1:]
            rows, claimed = _claimed_anyhow(before, free, epoch)
        if not claimed:
            if replica.rung:
                after = self.fork()
                after.replica(which).rung = False
                yield ("nothing_to_send", which), after
            return
        after = self.fork()
        after.db = self.db._replace(rows=rows)
        told = after.replica(which)
        told.rung = False
        told.unfinished |= {row.id for row in claimed}
        told.channel.send(
            *(command_of(row.id, row.subject, row.sequence, row.kind, row.order) for row in claimed)
        )
        after._flush_down(which)
        yield ("dispatch", which, *(row.id for row in claimed)), after
        if self._may_fail("claim_unanswered"):
            lost = self._after_fault()
            lost.db = self.db._replace(rows=rows)
            yield ("claim_unanswered", which, *(row.id for row in claimed)), lost

    def _deal(self, which: int, *, counted: bool) -> "World":
        """Return the world after a batch was written; not `counted`: nobody was told so."""
        after = self.fork()
        replica = after.replica(which)
        conversation, items = replica.heard[0]
        told = {number_of(item.command): item.outcome for item in items}
        after.db = _with_results(self.db, told, self.wiring)
        after.ring()
        if not counted:
            return after
        replica = after.replica(which)
        replica.heard = replica.heard[1:]
        if conversation == replica.channel.conversation:
            replica.channel.taken(len(items))
        replica.unfinished = replica.unfinished.difference(told)
        after._flush_down(which)
        return after

    def _flush_down(self, which: int) -> None:
        """Put what a replica says on the wire."""
        replica = self.replicas[which]
        frames = tuple(replica.channel.frames())
        if frames and replica.line is not None:
            line = self.lines[replica.line]
            if line.at_process and not line.cut:
                self.line(replica.line, down=(*line.down, *frames))

    def _part(self, which: int, code: str | None) -> "World":
        """Return the world after a replica has left its connection, in words if there are any."""
        after = self.fork()
        after._leave(which, code)
        return after

    def _leave(self, which: int, code: str | None) -> None:
        replica = self.replica(which)
        number = replica.line
        assert number is not None
        if code is not None:
            replica.channel.goodbye(code)
            self._flush_down(which)
        replica.channel.detach()
        replica.line = None
        self.line(number, at_replica=False, up=())
        if self.db.epoch == replica.channel.epoch:
            self.db = self.db._replace(linked=False)

    def _welcome(self, number: int, line: Line, *, answered: bool = True) -> "World":
        """Return the world after a replica has judged a greeting."""
        after = self.fork()
        which = line.replica
        offered = link_rules.next_epoch(line.expected or 0, line.hello[2])
        if self.replicas[which].line is not None:
            if link_rules.is_overtaken(offered, self.replicas[which].channel.epoch):
                after.line(number, at_replica=False, down=(_TRY_AGAIN,))
                return after
            after._leave(which, "superseded")
        if self.db.epoch != line.expected:
            after.line(number, at_replica=False, down=(_TRY_AGAIN,))
            return after
        replica = after.replica(which)
        conversation, had, _ = line.hello
        epoch = offered
        resumed = replica.channel.can_resume(conversation, had)
        rows = self.db.rows
        if resumed:
            rows = queue.go_on(
                rows, before=replica.channel.epoch, epoch=epoch, under_way=replica.unfinished
            )
        rows = queue.resend(rows, epoch)
        after.db = self.db._replace(epoch=epoch, linked=answered, rows=rows)
        if not answered:
            after.line(number, at_replica=False)
            return after
        welcome = Welcome(
            conversation=conversation if resumed and conversation else UUID(int=epoch),
            resumed=resumed,
            received=replica.channel.received if resumed else 0,
            epoch=epoch,
        )
        replica.channel.attach(
            conversation=welcome.conversation,
            epoch=epoch,
            resumed=resumed,
            peer_received=had,
            now=0.0,
        )
        if not resumed:
            replica.unfinished = frozenset()
        replica.line = number
        after.line(number, expected=None, hello=_NOTHING, down=(welcome,))
        after._note(which, replica.channel.tick(0.0))
        if self.wiring.no_poll:
            after.replica(which).rung = True
        after._flush_down(which)
        return after

    def _note(self, which: int, events: list[Any]) -> None:
        """Take in what a replica's channel has learned."""
        replica = self.replicas[which]
        for event in events:
            match event:
                case Received(items):
                    replica.heard = (*replica.heard, (replica.channel.conversation, items))
                case Acknowledged(items):
                    ids = {number_of(item.id) for item in items} & replica.unfinished
                    rows = queue.received(self.db.rows, ids, replica.channel.epoch)
                    self.db = self.db._replace(rows=rows)
                case Left():
                    self._leave(which, None)

    # The agent ---------------------------------------------------------------------------

    def _agent(self, which: int, process: Process) -> Iterator[tuple[Step, "World"]]:
        holds = self.holder == which
        if process.line is None and (holds or not process.superseded):
            yield from self._dial(which, process)
        if not holds:
            yield ("leaves", which), self._killed(which, up=False)
        elif self._may_fail("agent_killed"):
            after = self._after_fault()
            yield ("agent_killed", which), after._killed(which, up=True)
        for subject in sorted(process.ledger._lines):
            command = process.ledger.turn(subject)
            if command is not None:
                yield from self._work(which, process, command)
        if holds:
            for subject, ended in process.known:
                held = self.kept[subject].held
                if held is not None and fence.too_late(held, ended):
                    after = self.fork()
                    effects = (*self.kept[subject].effects, ("undone", held))
                    after.keep(subject, held=None, effects=effects)
                    yield ("undone", which, subject), after

    def _dial(self, which: int, process: Process) -> Iterator[tuple[Step, "World"]]:
        channel = process.channel
        fresh = [
            replica.channel.conversation is None and not replica.heard for replica in self.replicas
        ]
        for number in range(len(self.replicas)):
            if number and all(fresh):
                return  # both are the same
            after = self.fork()
            line = next(one for one in range(9) if one not in self.lines)
            after.process(which).line = line
            after.lines[line] = Line(
                which,
                number,
                expected=self.db.epoch,
                hello=(channel.conversation, channel.received, channel.epoch),
            )
            yield ("dials", which, number), after

    def _killed(self, which: int, *, up: bool) -> "World":
        """Return the world after a process of the agent has ended; `up`: it is started again."""
        after = self.fork()
        number = self.processes[which].line
        if number is not None:
            after.line(number, at_process=False, down=())
        ends = tuple(
            (subject, kept.buried)
            for subject, kept in enumerate(self.kept)
            if kept.buried is not None
        )
        new = Process(up=up, known=ends if up else ())
        after.processes = (*self.processes[:which], new, *self.processes[which + 1 :])
        return after

    def _work(
        self, which: int, process: Process, command: Command
    ) -> Iterator[tuple[Step, "World"]]:
        """Carry out the command whose turn it is: look, then write upon what was seen."""
        subject = subject_of(command)
        kept = self.kept[subject]
        looked = dict(process.looked).get(subject)
        now = Looked(kept.held, len(kept.effects))
        moved = looked is not None and looked.version != now.version
        if looked is None or (moved and not self.wiring.late_old_order):
            if all(one.up for one in self.processes[1:]) and self.processes[1:]:
                after = self.fork()
                after._look(which, subject, now)
                yield ("looks", which, subject), after
                return
            looked = now
        if self._may_fail("refused"):
            after = self._after_fault()
            after._say_result(which, command, Outcome.FAILED)
            yield ("refused", which, number_of(command.id)), after
        if isinstance(command.body, DeleteSession):
            yield from self._end(which, command, looked)
        else:
            yield from self._apply(which, command, looked)

    def _look(self, which: int, subject: int, looked: Looked | None) -> None:
        process = self.process(which)
        notes = {**dict(process.looked), subject: looked}
        process.looked = tuple(
            sorted((one, seen) for one, seen in notes.items() if seen is not None)
        )

    def _apply(
        self, which: int, command: Command, looked: Looked
    ) -> Iterator[tuple[Step, "World"]]:
        subject, order = subject_of(command), command.body.order
        ended = dict(self.processes[which].known).get(subject)
        verdict = fence.on_apply(order, held=looked.held, ended=ended)
        if self.wiring.no_idempotency_key:
            verdict = fence.Apply.CHANGE
        after = self.fork()
        if verdict is not fence.Apply.NOTHING:
            effects = (*self.kept[subject].effects, ("held", order))
            after.keep(subject, held=order, effects=effects)
        after._say_result(which, command, Outcome.SUCCEEDED)
        yield (f"apply_{verdict.value}", which, subject, order), after

    def _end(self, which: int, command: Command, looked: Looked) -> Iterator[tuple[Step, "World"]]:
        subject, order = subject_of(command), command.body.order
        known = dict(self.processes[which].known)
        after = self.fork()
        if not looked.buried:
            verdict = fence.on_delete(order, held=looked.held, ended=known.get(subject))
            if verdict is not fence.Delete.NOTHING:
                buried = max(order, self.kept[subject].buried or 0)
                after.keep(subject, buried=buried)
                after.process(which).known = tuple(sorted({**known, subject: buried}.items()))
            if verdict is fence.Delete.END:
                after._look(which, subject, looked._replace(buried=True))
                yield ("buries", which, subject, order), after
                return
        elif self.kept[subject].held is not None:
            effects = (*self.kept[subject].effects, ("ended", order))
            after.keep(subject, held=None, effects=effects)
        after._say_result(which, command, Outcome.SUCCEEDED)
        yield ("ends", which, subject, order), after

    def _say_result(self, which: int, command: Command, outcome: Outcome) -> None:
        result = result_of(command.id, outcome)
        self._look(which, subject_of(command), None)
        process = self.process(which)
        process.ledger.finish(command.subject, result)
        if self.wiring.no_idempotency_key:
            process.ledger._done.clear()
        if self.wiring.failures_are_remembered:
            process.ledger._done[command.id] = result
        if not self.wiring.ack_before_effect:
            process.news.owe(result)
        self._flush_up(which)

    def _flush_up(self, which: int) -> None:
        """Put what a process says on the wire."""
        process = self.processes[which]
        if not process.channel.attached:
            return
        process.channel.send(*process.news.take(process.channel.room))
        frames = tuple(process.channel.frames())
        assert process.line is not None
        line = self.lines[process.line]
        if frames and line.at_replica and not line.cut:
            self.line(process.line, up=(*line.up, *frames))

    def _hear(self, which: int, frame: Any) -> None:
        """Take in a frame at the agent."""
        process = self.process(which)
        channel = process.channel
        if not channel.attached:
            if not isinstance(frame, Welcome):
                self._hang_up(which, superseded=False)
                return
            undelivered = channel.attach(
                conversation=frame.conversation,
                epoch=frame.epoch,
                resumed=frame.resumed,
                peer_received=frame.received,
                now=0.0,
            )
            process.superseded = False
            if not frame.resumed:
                process.news.returned(undelivered)
            channel.tick(0.0)
            self._flush_up(which)
            return
        try:
            events = channel.receive(frame, 0.0)
        except RemoteProtocolError:
            self._hang_up(which, superseded=False)
            return
        for event in events:
            match event:
                case Received(items):
                    for command in items:
                        self._take(process, command)
                    channel.taken(len(items))
                case Left(goodbye):
                    self._hang_up(which, superseded=goodbye.code == "superseded")
                    return
        self._flush_up(which)

    def _take(self, process: Process, command: Command) -> None:
        taken = process.ledger.take(command)
        if taken is Taken.DONE:
            process.news.owe(process.ledger.result(command.id))
        elif self.wiring.ack_before_effect and taken is not Taken.KNOWN:
            process.news.owe(result_of(command.id, Outcome.SUCCEEDED))

    def _hang_up(self, which: int, *, superseded: bool) -> None:
        process = self.process(which)
        number = process.line
        assert number is not None
        process.channel.detach()
        process.line = None
        process.superseded = superseded
        self.line(number, at_process=False, down=())

    # The network -------------------------------------------------------------------------

    def _network(self, number: int, line: Line) -> Iterator[tuple[Step, "World"]]:
        if line.expected is not None and line.at_replica and line.at_process and not line.cut:
            yield ("welcome", number, line.replica), self._welcome(number, line)
            if self._may_fail("link_unanswered"):
                after = self._after_fault()
                yield (
                    ("link_unanswered", number, line.replica),
                    after._welcome(number, line, answered=False),
                )
        if line.at_process:
            if line.down:
                after = self.fork()
                after.line(number, down=line.down[1:])
                after._hear(line.process, line.down[0])
                yield ("agent_hears", line.process, line.down[0]), after
            elif line.cut or not line.at_replica:
                after = self.fork()
                after._hang_up(line.process, superseded=False)
                yield ("agent_notices", line.process), after
            elif line.expected is None and not self.processes[line.process].channel.attached:
                after = self.fork()
                after._hang_up(line.process, superseded=False)
                yield ("greeting_late", line.process), after
        if line.at_replica:
            yield from self._at_replica(number, line)
        if line.at_process and line.at_replica and not (line.cut or line.down or line.up):
            yield from self._pings(number, line)
        yield from self._network_faults(number, line)

    def _pings(self, number: int, line: Line) -> Iterator[tuple[Step, "World"]]:
        """Let five seconds pass where the last that was said has not come.

        Pings that tell nothing new are left out.
        """
        agent = self.processes[line.process].channel
        control = self.replicas[line.replica].channel
        linked = self.replicas[line.replica].line == number and agent.attached
        if not linked or self.wiring.no_count_in_pings:
            return
        for way, speaker, hearer in (("down", control, agent), ("up", agent, control)):
            if speaker._next_to_send - 1 > hearer._received:
                ping = _pinged(speaker)
                after = self.fork()
                after.line(number, **{way: (ping,)})
                yield (f"ping_{way}", line.process, line.replica), after

    def _at_replica(self, number: int, line: Line) -> Iterator[tuple[Step, "World"]]:
        which = line.replica
        if line.up:
            after = self.fork()
            after.line(number, up=line.up[1:])
            replica = after.replica(which)
            try:
                events = replica.channel.receive(line.up[0], 0.0)
            except RemoteProtocolError:
                after._leave(which, None)
            else:
                after._note(which, events)
                if after.replicas[which].line is not None:
                    after._flush_down(which)
            yield ("replica_hears", which, line.up[0]), after
        elif line.cut or not line.at_process:
            if self.replicas[which].line == number:
                yield ("replica_notices", which), self._part(which, None)
            else:
                after = self.fork()
                after.line(number, at_replica=False)
                yield ("replica_notices", which), after

    def _network_faults(self, number: int, line: Line) -> Iterator[tuple[Step, "World"]]:
        if line.cut or not (line.at_process and line.at_replica):
            return
        where = (line.process, line.replica)
        if self._may_fail("cut"):
            after = self._after_fault()
            after.line(number, cut=True, down=(), up=())
            yield ("cut", *where), after
        for way, frames in (("down", line.down), ("up", line.up)):
            for kind, changed in (("lost", frames[1:]), ("doubled", (*frames[:1], *frames))):
                if frames and self._may_fail(f"frame_{kind}_{way}"):
                    after = self._after_fault()
                    after.line(number, **{way: changed})
                    yield (f"frame_{kind}_{way}", *where, frames[0]), after


_NOTHING: tuple[None, int, int] = (None, 0, 0)
_TRY_AGAIN = Goodbye(code="try_again", retry_after=0.5)


def _pinged(channel: Channel) -> Any:
    """Return the ping that a channel says after five seconds."""
    copy = copied(channel)
    copy.tick(PING_EVERY)
    return copy.frames()[0]


def _claimed_anyhow(
    rows: queue.Rows, free: tuple[queue.Row, ...], epoch: int
) -> tuple[queue.Rows, tuple[queue.Row, ...]]:
    """Claim without regard to the line of a subject."""
    new = {
        row.id: row._replace(state=queue.SENT, epoch=epoch, attempts=row.attempts + 1)
        for row in free
    }
    return tuple(new.get(row.id, row) for row in rows), tuple(new.values())


def _with_results(db: Database, told: dict[int, Outcome], wiring: Wiring) -> Database:
    """Return the database after results, as `sessions.reports.command_results` writes it."""
    if wiring.failures_are_final:
        waiting = {row.id for row in db.rows if row.state == queue.PENDING}
        late = {one: outcome for one, outcome in told.items() if one in waiting}
        rows, ended = queue.finish(
            db.rows, [(one, CommandState(outcome)) for one, outcome in late.items()]
        )
        rows, more = queue.results_told(rows, {k: v for k, v in told.items() if k not in late})
        ended = (*ended, *more)
    else:
        rows, ended = queue.results_told(db.rows, told)
    db = db._replace(rows=rows)
    for row in ended:
        session = db.session(row.subject)
        if row.kind == "DeleteSession":
            if session.phase == "Terminating":
                db = db.with_session(row.subject, session._replace(phase="Terminated"))
                db = db._replace(rows=queue.withdraw(db.rows, row.subject))
        elif row.state == CommandState.FAILED:
            if row.order == session.order and session.phase == "Pending":
                db = db.with_session(row.subject, session._replace(phase="Refused"))
        elif session.phase in {"Pending", "Refused"}:
            db = db.with_session(row.subject, session._replace(phase="Applied"))
    return db
