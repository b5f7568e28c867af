"""A peer that does not keep the protocol is recognised, and harms nobody but itself."""

from typing import Any

import pytest

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.link.channel import WINDOW, Channel, Received, Side
from porthole_contract.link.frames import (
    Ack,
    AgentData,
    Challenge,
    ControlData,
    Goodbye,
    Hello,
    Ping,
    Pong,
    Proof,
    Welcome,
)
from porthole_contract.testing.builders import a_command, a_result, an_id

RESULTS = tuple(map(a_result, range(1, 1000)))


@pytest.fixture
def control() -> Channel:
    """Return a control plane's channel that has said five commands."""
    channel = Channel(Side.CONTROL)
    channel.attach(conversation=an_id(1), epoch=1, resumed=False, peer_received=0, now=0.0)
    channel.send(*map(a_command, range(1, 6)))
    channel.frames()
    return channel


def refused(channel: Channel, frame: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        channel.receive(frame, 0.0)
    return str(caught.value)


def test_a_gap_ends_the_connection(control: Channel) -> None:
    control.receive(AgentData(seq=1, items=RESULTS[:2]), 0.0)
    assert refused(control, AgentData(seq=4, items=RESULTS[3:4])) == (
        "Item 4 came where 3 was due: something was lost."
    )


def test_a_repetition_is_dropped_and_its_new_tail_is_taken(control: Channel) -> None:
    control.receive(AgentData(seq=1, items=RESULTS[:2]), 0.0)
    assert control.receive(AgentData(seq=1, items=RESULTS[:2]), 0.0) == []
    assert control.receive(AgentData(seq=2, items=RESULTS[1:4]), 0.0) == [Received(RESULTS[2:4])]


def test_what_was_never_sent_cannot_be_acknowledged(control: Channel) -> None:
    control.detach()
    control.send(a_command(6))
    control.attach(conversation=an_id(1), epoch=2, resumed=True, peer_received=0, now=0.0)
    assert "acknowledged and never sent" in refused(control, Ack(upto=6, window=1))


def test_what_was_said_in_another_conversation_cannot_be_acknowledged(control: Channel) -> None:
    control.detach()
    control.attach(conversation=an_id(2), epoch=2, resumed=False, peer_received=0, now=0.0)
    assert "acknowledged and never sent" in refused(control, Ack(upto=1, window=1))


def test_an_acknowledgement_cannot_be_taken_back(control: Channel) -> None:
    control.receive(Ack(upto=3, window=1), 0.0)
    assert "taken back" in refused(control, Ack(upto=2, window=1))


def test_the_same_acknowledgement_again_is_nothing(control: Channel) -> None:
    control.receive(Ack(upto=3, window=1), 0.0)
    assert control.receive(Ack(upto=3, window=1), 0.0) == []


def test_a_window_that_was_given_is_not_taken_back(control: Channel) -> None:
    control.receive(Ack(upto=5, window=0), 0.0)
    control.send(a_command(6))
    assert len(control.frames()) == 1


def test_a_wide_window_is_used_and_no_more_than_it(control: Channel) -> None:
    control.send(*map(a_command, range(6, 3000)))
    control.frames()
    control.receive(Ack(upto=5, window=1000), 0.0)
    sent = sum(len(frame.items) for frame in control.frames())
    assert 5 + sent + (WINDOW - 5) == 1005


def test_nobody_may_send_more_than_the_window(control: Channel) -> None:
    for seq in range(1, WINDOW + 1):
        control.receive(AgentData(seq=seq, items=RESULTS[seq - 1 : seq]), 0.0)
    assert "more than it was given room for" in refused(
        control, AgentData(seq=WINDOW + 1, items=RESULTS[WINDOW : WINDOW + 1])
    )


def test_a_resuming_peer_cannot_claim_what_was_never_said(control: Channel) -> None:
    control.detach()
    for conversation, received in ((an_id(1), 6), (an_id(2), 0)):
        with pytest.raises(RemoteProtocolError):
            control.attach(
                conversation=conversation, epoch=2, resumed=True, peer_received=received, now=0.0
            )
    assert not control.attached
    assert control.unacknowledged == 5


@pytest.mark.parametrize(
    "frame",
    [
        Hello(version="1.0", agent=an_id(1), instance=an_id(2), nonce="0" * 64),
        Challenge(version="1.0", control_plane=an_id(1), nonce="0" * 64, epoch=1),
        Proof(signature="0" * 128),
        Welcome(conversation=an_id(1), resumed=False, epoch=1),
        ControlData(seq=1, items=(a_command(1),)),
    ],
)
def test_what_belongs_elsewhere_is_refused_in_the_middle(control: Channel, frame: Any) -> None:
    name = type(frame).__name__
    assert refused(control, frame) == f"{name} came in the middle of a conversation."


def test_nothing_comes_after_a_goodbye(control: Channel) -> None:
    control.receive(Goodbye(code="draining"), 0.0)
    assert refused(control, AgentData(seq=1, items=RESULTS[:1])) == (
        "AgentData came after a goodbye."
    )


def test_a_flood_of_pings_is_answered_once(control: Channel) -> None:
    for number in range(10_000):
        control.receive(Ping(number=number), 0.0)
        control.receive(Pong(number=number), 0.0)
    assert control.frames() == [Pong(number=9999)]


def test_a_refused_frame_changes_nothing(control: Channel) -> None:
    refused(control, AgentData(seq=7, items=RESULTS[:1]))
    refused(control, Ack(upto=9, window=4000))
    assert control.unacknowledged == 5
    assert control.receive(AgentData(seq=1, items=RESULTS[:1]), 0.0) == [Received(RESULTS[:1])]
    assert control.room == WINDOW - 5
