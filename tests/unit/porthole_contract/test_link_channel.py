"""The conversation in single steps; `test_link_conversation` mixes all of them."""

import pytest

from porthole_contract.errors import LocalProtocolError
from porthole_contract.link import codec
from porthole_contract.link.channel import (
    BATCH,
    BATCH_BYTES,
    WINDOW,
    Acknowledged,
    Channel,
    Received,
    Side,
)
from porthole_contract.link.commands import Command, WantInventory
from porthole_contract.link.frames import Ack, AgentData, ControlData, Goodbye
from porthole_contract.link.reports import SessionObserved
from porthole_contract.session import EnvVar
from porthole_contract.testing.builders import (
    a_command,
    a_result,
    a_session_spec,
    an_apply,
    an_id,
    an_observation,
)
from porthole_contract.testing.joined import Joined

RESULTS = tuple(map(a_result, range(2000)))


def attached(side: Side) -> Channel:
    channel = Channel(side)
    channel.attach(conversation=an_id(1), epoch=1, resumed=False, peer_received=0, now=0.0)
    return channel


def test_what_one_side_says_the_other_hears_in_order() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[:3])
    joined.say(joined.control, a_command(1), a_command(2))
    joined.settle()
    assert joined.control.taken == list(RESULTS[:3])
    assert joined.agent.taken == [a_command(1), a_command(2)]
    assert joined.agent.acknowledged == list(RESULTS[:3])


def test_nothing_is_acknowledged_before_it_is_taken() -> None:
    joined = Joined()
    joined.say(joined.agent, RESULTS[0])
    joined.deliver(joined.control)
    assert list(joined.control.inbox) == [RESULTS[0]]
    assert not joined.agent.in_flight
    assert joined.agent.channel.unacknowledged == 1


def test_what_was_received_and_not_taken_is_said_again_after_a_reconnect() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[:3])
    joined.deliver(joined.control)
    joined.take(joined.control, 1)
    joined.drop()
    assert joined.connect()
    assert joined.agent.channel.unacknowledged == 2
    joined.settle()
    assert joined.control.taken == list(RESULTS[:3])


def test_what_the_greeting_acknowledges_is_told_at_the_next_tick() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[:3])
    joined.deliver(joined.control)
    joined.take(joined.control, 2)
    joined.drop()  # with the acknowledgement in flight
    joined.connect()
    assert joined.agent.channel.deadline() == joined.now
    assert joined.agent.channel.tick(joined.now) == [Acknowledged(RESULTS[:2])]
    assert joined.agent.channel.tick(joined.now) == []


def test_a_full_window_taken_during_the_greeting_does_not_stop_the_conversation() -> None:
    joined = Joined()
    joined.say(joined.control, *map(a_command, range(WINDOW + 1)))
    joined.deliver(joined.agent)
    joined.drop()
    joined.connect(taken_meanwhile=WINDOW)
    joined.settle()
    assert len(joined.agent.taken) == WINDOW + 1


def test_an_acknowledgement_may_come_before_the_repetition_that_it_makes_needless() -> None:
    agent = attached(Side.AGENT)
    agent.send(*RESULTS[:3])
    agent.frames()
    agent.detach()
    agent.attach(conversation=an_id(1), epoch=2, resumed=True, peer_received=0, now=0.0)
    assert agent.receive(Ack(upto=2, window=WINDOW), 0.0) == [Acknowledged(RESULTS[:2])]
    assert agent.frames() == [AgentData(seq=3, items=RESULTS[2:3])]


def test_a_slow_owner_stops_the_peer_at_the_window() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[: WINDOW + 10])
    joined.deliver(joined.control)
    assert len(joined.control.inbox) == WINDOW
    assert joined.agent.channel.room == 0
    joined.take(joined.control, 64)
    joined.deliver(joined.agent)
    joined.deliver(joined.control)
    assert len(joined.control.inbox) == WINDOW - 64 + 10
    assert joined.agent.channel.room == 64 - 10


def test_room_counts_what_is_queued() -> None:
    channel = Channel(Side.AGENT)
    assert channel.room == WINDOW
    channel.send(*RESULTS[:10])
    assert channel.room == WINDOW - 10
    channel.send(*RESULTS[:WINDOW])
    assert channel.room == 0


def test_what_is_owed_is_counted_by_its_type_until_it_is_taken() -> None:
    joined = Joined()
    joined.say(joined.control, a_command(1), WantInventory(), a_command(2))
    assert joined.control.channel.owed(WantInventory) == 1
    assert joined.control.channel.owed(Command) == 2
    joined.settle()
    assert joined.control.channel.owed(Command) == 0


def test_one_frame_has_a_batch_of_items_at_the_most() -> None:
    channel = attached(Side.AGENT)
    channel.send(*RESULTS[: 2 * BATCH + 1])
    frames = channel.frames()
    assert [len(frame.items) for frame in frames] == [BATCH, BATCH, 1]
    assert [frame.seq for frame in frames] == [1, BATCH + 1, 2 * BATCH + 1]


def test_large_items_are_spread_over_frames_that_can_be_read() -> None:
    def large(number: int, size: int) -> SessionObserved:
        env = tuple(EnvVar(name=f"V{i}", value="x" * 20_000) for i in range(size))
        return an_observation(number, spec=a_session_spec(env=env))

    channel = attached(Side.AGENT)
    items = [large(number, 6) for number in range(50)]
    channel.send(*items)
    frames = channel.frames()
    assert len(frames) > 1
    assert [item for frame in frames for item in frame.items] == items
    for frame in frames:
        assert codec.size_of(frame) < BATCH_BYTES + 1000
        assert codec.decode_from_agent(codec.encode(frame)) == frame


def test_an_item_that_no_frame_can_carry_is_refused_where_it_is_said() -> None:
    spec = a_session_spec()
    enormous = an_observation().model_copy(
        update={"spec": spec.model_copy(update={"start": "x" * codec.LONGEST_ITEM})}
    )
    channel = Channel(Side.AGENT)
    with pytest.raises(LocalProtocolError, match="bytes long"):
        channel.send(RESULTS[0], enormous)
    assert channel.unacknowledged == 0


def test_the_longest_item_fits_its_frame() -> None:
    item = an_observation()
    filler = codec.LONGEST_ITEM - codec.size_of(item) - len(',"start":""')
    assert item.spec is not None
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"start": "x" * filler})})
    assert codec.size_of(item) == codec.LONGEST_ITEM
    frame = AgentData.model_construct(seq=2**53 - 1, items=(item,))
    assert len(codec.encode(frame).encode()) <= codec.LONGEST_FRAME


def test_the_longest_command_that_the_models_allow_can_be_sent() -> None:
    worst = "\x01" * 32_000  # six bytes each in JSON
    env = tuple(EnvVar(name=f"V{i}", value=worst) for i in range(4))
    programs = [{"name": "x", "command": ["\x01" * 4000] * 16}]
    fields = {
        "defaults": {"env": env, "start": "\x01" * 4096},
        "programs": programs,
        "icon": "\x01" * 32768,
        "pod": {"x": "\x01" * 10_000},
    }
    spec = a_session_spec(env=env, start="\x01" * 4096)
    pin = an_apply().template.model_copy(
        update={"spec": an_apply().template.spec.evolve(**fields)}  # type: ignore[union-attr]
    )
    command = a_command(1, an_apply(spec=spec, template=pin))
    assert 1_500_000 < codec.size_of(command) < codec.LONGEST_ITEM
    Channel(Side.CONTROL).send(command)


@pytest.mark.parametrize(
    ("side", "item"),
    [(Side.CONTROL, RESULTS[0]), (Side.AGENT, WantInventory()), (Side.AGENT, an_apply())],
)
def test_a_side_says_only_what_is_its_own_to_say(side: Side, item: object) -> None:
    with pytest.raises(LocalProtocolError, match="is not said by"):
        Channel(side).send(item)


def test_a_forgotten_conversation_gives_back_what_was_not_acknowledged() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[:4])
    joined.deliver(joined.control)
    joined.take(joined.control, 3)
    joined.take(joined.control, 1)
    joined.deliver(joined.agent)
    joined.say(joined.agent, *RESULTS[4:6])
    joined.restart(joined.control)
    joined.drop()
    joined.say(joined.agent, RESULTS[6])  # while there is no connection
    assert not joined.connect()
    assert joined.agent.acknowledged == list(RESULTS[:4])
    assert joined.agent.undelivered == list(RESULTS[4:7])
    assert joined.agent.channel.unacknowledged == 0


def test_a_new_conversation_counts_from_one() -> None:
    joined = Joined()
    joined.say(joined.agent, *RESULTS[:4])
    joined.restart(joined.control)
    joined.drop()
    joined.connect()
    joined.say(joined.agent, RESULTS[9])
    joined.settle()
    assert joined.control.taken == [RESULTS[9]]
    assert joined.agent.channel.conversation == joined.control.channel.conversation


def test_a_new_conversation_begins_with_one_window_of_room() -> None:
    joined = Joined()
    for _ in range(2):
        joined.say(joined.agent, *RESULTS[:WINDOW])
        joined.settle()
    joined.restart(joined.control)
    joined.drop()
    joined.connect()
    assert joined.agent.channel.room == WINDOW


def test_what_was_said_before_the_first_greeting_is_given_back() -> None:
    joined = Joined(connected=False)
    joined.say(joined.agent, RESULTS[0])
    joined.connect()
    assert joined.agent.undelivered == [RESULTS[0]]


def test_a_lost_welcome_does_not_cost_the_conversation() -> None:
    joined = Joined()
    joined.say(joined.control, a_command(1))
    joined.deliver(joined.agent)
    joined.drop()
    assert joined.connect(welcome_arrives=False)
    joined.say(joined.control, a_command(2))  # into a connection that is gone
    assert joined.connect()
    joined.settle()
    assert joined.agent.taken == [a_command(1), a_command(2)]


def test_a_conversation_is_resumed_only_by_who_remembers_it_as_it_was() -> None:
    channel = attached(Side.CONTROL)
    channel.send(a_command(1), a_command(2))
    channel.frames()
    channel.send(a_command(3))  # never on any wire
    channel.receive(Ack(upto=1, window=WINDOW), 0.0)
    assert [channel.can_resume(an_id(1), received) for received in range(5)] == [
        False,  # it forgot what it had acknowledged
        True,
        True,
        False,  # it received what was never said
        False,
    ]
    assert not channel.can_resume(an_id(2), 1)
    assert not channel.can_resume(None, 1)


def test_goodbye_is_the_last_word() -> None:
    joined = Joined()
    joined.say(joined.agent, RESULTS[0])
    joined.deliver(joined.control)
    joined.take(joined.control)
    joined.goodbye(joined.control, "draining")
    joined.say(joined.control, a_command(1))
    joined.goodbye(joined.control, "again")
    joined.deliver(joined.agent)
    assert joined.agent.left == Goodbye(code="draining", retry_after=0.5)
    assert joined.agent.acknowledged == [RESULTS[0]]
    assert joined.agent.taken == []
    joined.wait(6.0, frames_arrive=False)
    assert not joined.agent.in_flight
    joined.drop()
    joined.connect()
    joined.settle()
    assert joined.agent.taken == [a_command(1)]


def test_who_said_goodbye_still_hears() -> None:
    joined = Joined()
    joined.say(joined.agent, RESULTS[0])
    joined.goodbye(joined.control, "draining")
    joined.deliver(joined.control)
    joined.take(joined.control)
    joined.drop()
    joined.connect()
    joined.settle()
    assert joined.control.taken == [RESULTS[0]]
    assert joined.agent.acknowledged == [RESULTS[0]]


def test_goodbye_without_a_connection_is_nothing() -> None:
    channel = Channel(Side.AGENT)
    channel.goodbye("draining")
    channel.attach(conversation=an_id(1), epoch=1, resumed=False, peer_received=0, now=0.0)
    assert channel.frames() == []


def test_that_redialling_is_of_no_use_survives_the_wire() -> None:
    joined = Joined()
    joined.goodbye(joined.control, "revoked", retry_after=None)
    joined.deliver(joined.agent)
    assert joined.agent.left == Goodbye(code="revoked", retry_after=None)


def test_a_channel_says_nothing_without_a_connection() -> None:
    channel = Channel(Side.AGENT)
    channel.send(RESULTS[0])
    assert channel.frames() == []
    assert not channel.attached
    assert channel.unacknowledged == 1


def test_an_owner_cannot_take_more_than_it_was_given() -> None:
    channel = attached(Side.AGENT)
    channel.receive(ControlData(seq=1, items=(a_command(1),)), 0.0)
    for count in (2, -1):
        with pytest.raises(LocalProtocolError):
            channel.taken(count)
    channel.taken(1)


def test_what_was_not_taken_is_void_in_a_new_conversation() -> None:
    channel = attached(Side.AGENT)
    channel.receive(ControlData(seq=1, items=(a_command(1),)), 0.0)
    channel.detach()
    channel.attach(conversation=an_id(2), epoch=2, resumed=False, peer_received=0, now=0.0)
    with pytest.raises(LocalProtocolError):
        channel.taken(1)
    assert channel.receive(ControlData(seq=1, items=(a_command(1),)), 0.0) == [
        Received((a_command(1),))
    ]


def test_a_channel_has_one_connection_at_a_time() -> None:
    channel = attached(Side.AGENT)
    with pytest.raises(LocalProtocolError):
        channel.attach(conversation=an_id(1), epoch=2, resumed=True, peer_received=0, now=0.0)
    channel.detach()
    with pytest.raises(LocalProtocolError):
        channel.receive(Ack(upto=0, window=1), 0.0)
