"""The network of the tests refuses what no network does."""

from collections.abc import Callable

import pytest

from porthole_contract.testing.builders import a_result
from porthole_contract.testing.joined import Impossible, Joined


def overtake(joined: Joined) -> None:
    joined.deliver(joined.control, 1, first=1)


def invent(joined: Joined) -> None:
    joined.deliver(joined.control, 3)


def arrive_where_nobody_listens(joined: Joined) -> None:
    joined.control.channel.detach()
    joined.deliver(joined.control, 1)


def dial_twice(joined: Joined) -> None:
    joined.connect()


def turn_back_time(joined: Joined) -> None:
    joined.wait(-1.0)


def take_what_was_not_heard(joined: Joined) -> None:
    joined.take(joined.control, 1)


@pytest.mark.parametrize(
    "what",
    [
        overtake,
        invent,
        arrive_where_nobody_listens,
        dial_twice,
        turn_back_time,
        take_what_was_not_heard,
    ],
)
def test_what_cannot_happen_is_refused_in_words(what: Callable[[Joined], None]) -> None:
    joined = Joined()
    joined.say(joined.agent, a_result(1))
    joined.say(joined.agent, a_result(2))
    with pytest.raises(Impossible, match=r"^[A-Z0-9].+\.$"):
        what(joined)


def test_frames_in_flight_are_lost_with_the_connection() -> None:
    joined = Joined()
    joined.say(joined.agent, a_result(1))
    joined.drop()
    assert not joined.control.in_flight


def test_the_side_that_notices_later_still_hears_what_was_in_flight() -> None:
    joined = Joined()
    joined.say(joined.agent, a_result(1))
    joined.drop(joined.agent)
    joined.deliver(joined.control)
    assert list(joined.control.inbox) == [a_result(1)]
    joined.take(joined.control)
    assert not joined.agent.in_flight  # nobody is there to hear the acknowledgement


def test_a_restarted_program_remembers_no_conversation() -> None:
    joined = Joined()
    joined.restart(joined.agent)
    assert joined.agent.channel.conversation is None
    assert not joined.connect()
