"""Who is still there: pings every five seconds, dead after twelve of silence."""

import pytest

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link.channel import DEAD_AFTER, PING_EVERY, Channel, Dead, Side
from porthole_contract.link.commands import WantInventory
from porthole_contract.link.frames import Ack, AgentData, Goodbye, Ping, Pong
from porthole_contract.testing.builders import a_result, an_id
from porthole_contract.testing.joined import Joined


def attached(now: float = 100.0, side: Side = Side.AGENT) -> Channel:
    channel = Channel(side)
    channel.attach(conversation=an_id(1), epoch=1, resumed=False, peer_received=0, now=now)
    return channel


def test_the_promised_times() -> None:
    assert (PING_EVERY, DEAD_AFTER) == (5.0, 12.0)


def test_a_ping_leaves_after_five_seconds_and_not_before() -> None:
    channel = attached()
    assert channel.deadline() == 105.0
    assert channel.tick(104.9) == []
    assert channel.frames() == []
    assert channel.tick(105.0) == []
    assert channel.frames() == [Ping(number=1, said=0)]
    assert channel.deadline() == 110.0


def test_pings_leave_also_while_the_peer_is_heard() -> None:
    channel = attached()
    for second in range(101, 116):
        channel.receive(Pong(number=1), float(second))
        channel.tick(float(second))
    assert channel.frames() == [Ping(number=3, said=0)]


def test_the_control_plane_leaves_its_pings_out_while_the_agents_come() -> None:
    channel = attached(side=Side.CONTROL)
    for number in range(1, 10):
        heard = 100.0 + 5 * number + 0.2 * (number % 2)
        assert channel.tick(heard) == []
        channel.receive(Ping(number=number), heard)
        kinds = [type(frame) for frame in channel.frames()]
        assert kinds == ([Pong, Ping] if number == 1 else [Pong])
    assert channel.deadline() == pytest.approx(145.2 + 7.5)


def test_it_pings_as_ever_when_something_could_be_lost() -> None:
    channel = attached(side=Side.CONTROL)
    channel.receive(Ping(number=1), 103.0)
    channel.send(WantInventory())
    channel.frames()
    assert channel.deadline() == 108.0
    channel.tick(108.0)
    assert channel.frames() == [Ping(number=1, said=1)]


def test_a_ping_is_answered_with_its_number() -> None:
    channel = attached()
    channel.receive(Ping(number=7), 101.0)
    assert channel.frames() == [Pong(number=7)]
    assert channel.frames() == []


def test_an_answer_is_had_by_itself_if_nothing_else_is_to_be_said() -> None:
    channel = attached()
    assert channel.answer() is None
    channel.receive(Ping(number=7), 101.0)
    assert channel.answer() == Pong(number=7)
    assert channel.answer() is None
    assert channel.frames() == []


def test_with_anything_else_to_say_the_answer_comes_among_the_frames() -> None:
    def says(channel: Channel) -> list[type]:
        channel.receive(Ping(number=7), 105.0)
        assert channel.answer() is None
        return [type(frame) for frame in channel.frames()]

    owing = attached()
    owing.send(a_result(1))
    assert says(owing) == [Pong, AgentData]
    pinging = attached()
    pinging.tick(105.0)
    assert says(pinging) == [Pong, Ping]
    leaving = attached()
    leaving.goodbye("bye")
    assert says(leaving) == [Pong, Goodbye]
    taking = attached(side=Side.CONTROL)
    taking.receive(AgentData(seq=1, items=(a_result(1),)), 104.0)
    taking.taken(1)
    assert says(taking) == [Pong, Ack]
    gone = attached()
    gone.detach()
    assert gone.answer() is None


def test_a_ping_says_how_far_the_items_before_it_went() -> None:
    channel = attached()
    channel.send(a_result(1), a_result(2))
    channel.frames()
    channel.send(a_result(3))
    channel.tick(105.0)
    assert channel.frames() == [
        Ping(number=1, said=2),
        AgentData(seq=3, items=(a_result(3),)),
    ]


def test_a_loss_after_which_nothing_was_said_is_noticed_by_the_next_ping() -> None:
    joined = Joined()
    joined.say(joined.agent, a_result(1))
    joined.control.in_flight.clear()
    with pytest.raises(RemoteProtocolError, match="Item 1 was said and 0 came last"):
        joined.wait(PING_EVERY)


def test_a_ping_that_does_not_say_it_is_answered_as_well() -> None:
    channel = attached()
    channel.receive(Ping(number=7, said=None), 101.0)
    assert channel.frames() == [Pong(number=7)]


def test_a_silent_peer_is_dead_after_twelve_seconds() -> None:
    channel = attached()
    channel.tick(105.0)
    channel.tick(110.0)
    assert channel.deadline() == 112.0
    assert channel.tick(111.9) == []
    assert channel.tick(112.0) == [Dead(12.0)]


def test_whatever_is_heard_is_a_sign_of_life() -> None:
    channel = attached()
    channel.receive(Pong(number=0), 111.0)
    assert channel.tick(122.9) == []
    assert channel.tick(123.0) == [Dead(12.0)]


def test_without_a_connection_nobody_waits_and_nobody_dies() -> None:
    channel = attached()
    channel.detach()
    assert channel.deadline() is None
    assert channel.tick(1000.0) == []


def test_a_reconnect_begins_a_new_life() -> None:
    channel = attached()
    channel.receive(Ping(number=1), 101.0)
    channel.detach()
    channel.attach(conversation=an_id(1), epoch=2, resumed=True, peer_received=0, now=500.0)
    assert channel.frames() == []  # the pong belonged to the old connection
    assert channel.deadline() == 505.0


def test_two_idle_sides_keep_each_other_alive() -> None:
    joined = Joined()
    joined.wait(3600.0)
    assert not joined.agent.dead
    assert not joined.control.dead


def test_both_sides_notice_a_network_that_swallows_everything() -> None:
    joined = Joined()
    joined.wait(11.9, frames_arrive=False)
    assert not joined.agent.dead
    joined.wait(0.1, frames_arrive=False)
    assert joined.agent.dead
    assert joined.control.dead
