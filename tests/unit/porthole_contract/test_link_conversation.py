"""Whatever happens to connections and programs, both sides end up knowing the same.

Hypothesis chooses what happens: either side says things, takes what it heard late or at
once, frames arrive one by one, connections go with frames in flight, one side notices before
the other, a `Welcome` is lost, either program forgets everything, time passes. The owners do
what real ones do: they say again what a forgotten conversation left open.
"""

from typing import Any
from unittest.mock import patch
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from porthole_contract.link import channel
from porthole_contract.link.channel import Received, Side
from porthole_contract.link.commands import Command
from porthole_contract.link.frames import AgentData, ControlData
from porthole_contract.link.reports import CommandResult
from porthole_contract.testing.builders import a_command, a_delete, a_result
from porthole_contract.testing.joined import End, Joined

SIDES = st.sampled_from(Side)
SMALL = {"WINDOW": 8, "BATCH": 3, "_ACK_EVERY": 4}
"""A small window is full sooner: what takes hundreds of items elsewhere takes ten here."""


def number(item: Command | CommandResult) -> UUID:
    """Return what no other item of a test has."""
    return item.id if isinstance(item, Command) else item.command


class Owner:
    """What a program knows beside its channel: what it still owes, in order."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.owed: list[Any] = []  # said, and not known to be taken
        self.ever: list[Any] = []
        self.conversation: list[Any] = []  # said since the conversation began
        self.mark = 0  # how much of `end.taken` is from before the conversation
        self.acknowledged = 0
        self.undelivered = 0

    def learn(self) -> None:
        """Cross out what was acknowledged, which is always the oldest that is owed."""
        new = self.end.acknowledged[self.acknowledged :]
        assert new == self.owed[: len(new)]
        del self.owed[: len(new)]
        self.acknowledged += len(new)

    def begin_anew(self) -> None:
        self.conversation.clear()
        self.mark = len(self.end.taken)


class Conversation(RuleBasedStateMachine):
    @initialize(connected=st.booleans())
    def begin(self, connected: bool) -> None:
        self.small = patch.multiple(channel, **SMALL)
        self.small.start()
        self.joined = Joined(connected=connected)
        self.owners = {
            Side.CONTROL: Owner(self.joined.control),
            Side.AGENT: Owner(self.joined.agent),
        }
        self.count = 0

    def other(self, owner: Owner) -> Owner:
        agent, control = self.owners[Side.AGENT], self.owners[Side.CONTROL]
        return agent if owner is control else control

    def learn(self) -> None:
        for owner in self.owners.values():
            owner.learn()
            if owner.end.dead:  # what every program does then
                owner.end.dead = False
                self.joined.drop(owner.end)

    def repeat(self, owner: Owner) -> None:
        """Say again what is owed, in its order."""
        owner.conversation += owner.owed
        self.joined.say(owner.end, *owner.owed)

    # What the sides do -------------------------------------------------------------------

    @rule(side=SIDES, count=st.integers(1, 12))
    def say(self, side: Side, count: int) -> None:
        owner = self.owners[side]
        for _ in range(count):
            self.count += 1
            item = (
                a_command(self.count, a_delete(self.count))
                if side is Side.CONTROL
                else a_result(self.count)
            )
            owner.owed.append(item)
            owner.ever.append(item)
            owner.conversation.append(item)
            self.joined.say(owner.end, item)

    @rule(side=SIDES, share=st.sampled_from([0.1, 0.5, 1.0]))
    def take(self, side: Side, share: float) -> None:
        end = self.owners[side].end
        self.joined.take(end, round(len(end.inbox) * share))

    @rule(side=SIDES, old=st.integers(1, 12))
    def hear_old_frame_again(self, side: Side, old: int) -> None:
        hearer = self.owners[side]
        sayer = self.other(hearer)
        heard = len(hearer.end.taken) - hearer.mark + len(hearer.end.inbox)
        said = tuple(sayer.conversation[: min(old, heard)])
        # Who has forgotten the conversation has said nothing in the next one yet.
        if not said or not hearer.end.channel.attached:
            return
        kind = AgentData if side is Side.CONTROL else ControlData
        frame = kind(seq=1, items=said)
        events = hearer.end.channel.receive(frame, self.joined.now)
        assert not any(isinstance(event, Received) for event in events)
        hearer.end.note(events)
        self.learn()

    # What the network does ---------------------------------------------------------------

    @rule(side=SIDES, count=st.integers(1, 8))
    def deliver(self, side: Side, count: int) -> None:
        end = self.owners[side].end
        self.joined.deliver(end, min(count, len(end.in_flight)))
        self.learn()

    @rule(sides=st.sampled_from([(Side.CONTROL,), (Side.AGENT,), tuple(Side)]))
    def lose_connection(self, sides: tuple[Side, ...]) -> None:
        for side in sides:
            self.joined.drop(self.owners[side].end)

    @precondition(lambda self: not self.joined.agent.channel.attached)
    @rule(
        welcome_arrives=st.sampled_from([True, True, False]),
        share=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def connect(self, welcome_arrives: bool, share: float = 0.0) -> None:
        for owner in self.owners.values():
            owner.end.note(owner.end.channel.tick(self.joined.now))
        self.learn()
        resumed = self.joined.connect(
            welcome_arrives=welcome_arrives,
            taken_meanwhile=round(len(self.joined.agent.inbox) * share),
        )
        attached = list(self.owners.values()) if welcome_arrives else [self.owners[Side.CONTROL]]
        for owner in attached:
            undelivered = owner.end.undelivered[owner.undelivered :]
            owner.undelivered += len(undelivered)
            if resumed:
                assert undelivered == []
            else:
                assert undelivered == owner.owed
                owner.begin_anew()
                self.repeat(owner)

    @rule(side=SIDES, frames=st.integers(0, 3), share=st.sampled_from([0.0, 0.5, 1.0]))
    def lose_and_reconnect(self, side: Side, frames: int, share: float) -> None:
        """One side notices first; the other hears and takes a little more before."""
        self.joined.drop(self.owners[side].end)
        late = self.other(self.owners[side]).end
        self.joined.deliver(late, min(frames, len(late.in_flight)))
        self.learn()
        self.joined.take(late, round(len(late.inbox) * share))
        self.joined.drop()
        self.connect(welcome_arrives=True)

    @rule(side=SIDES)
    def forget(self, side: Side) -> None:
        owner = self.owners[side]
        self.joined.restart(owner.end)
        owner.begin_anew()
        self.repeat(owner)

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 13.0]), frames_arrive=st.booleans())
    def wait(self, seconds: float, frames_arrive: bool) -> None:
        self.joined.wait(seconds, frames_arrive=frames_arrive)
        self.learn()

    # What holds --------------------------------------------------------------------------

    @invariant()
    def what_is_acknowledged_was_taken(self) -> None:
        for owner in self.owners.values():
            taken = set(map(number, self.other(owner).end.taken))
            assert taken.issuperset(map(number, owner.end.acknowledged))

    @invariant()
    def within_a_conversation_everything_is_heard_once_and_in_order(self) -> None:
        if self.joined.control.channel.conversation != self.joined.agent.channel.conversation:
            return
        for owner in self.owners.values():
            hearer = self.other(owner).end
            heard = hearer.taken[self.other(owner).mark :] + list(hearer.inbox)
            assert heard == owner.conversation[: len(heard)]

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            self.small.stop()

    def end_well(self) -> None:
        """When everything works again for a while, nothing is owed and nothing is lost."""
        if not self.joined.agent.channel.attached or not self.joined.control.channel.attached:
            self.joined.drop()
        if not self.joined.agent.channel.attached:
            self.connect(welcome_arrives=True)
        self.joined.settle()
        self.learn()
        for owner in self.owners.values():
            peer = self.other(owner).end
            assert owner.owed == []
            assert owner.end.channel.unacknowledged == 0
            assert peer.taken[self.other(owner).mark :] == owner.conversation
            assert set(map(number, owner.ever)) == set(map(number, peer.taken))


Conversation.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestConversation = Conversation.TestCase
