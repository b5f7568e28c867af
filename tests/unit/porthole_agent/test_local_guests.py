"""A session's own port: when it is listened on, what is told of it, and of who came in."""

import errno
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from porthole_agent.runtimes.kubernetes.runtime import KubernetesRuntime
from porthole_agent.runtimes.kubernetes.settings import KubernetesSettings
from porthole_agent.runtimes.local.decide import Seen
from porthole_agent.runtimes.local.door import why_not
from porthole_agent.runtimes.local.guests import REMEMBERED, Guests
from porthole_agent.runtimes.local.record import Deletion
from porthole_agent.runtimes.local.status import observation, with_conditions
from porthole_contract.conditions import Condition, ConditionType
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import Exposure
from porthole_contract.link.reports import MOST_STREAMS
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import Closed, Viewer
from porthole_contract.template import PinnedTemplate
from tests.support.local_records import NOW, a_record, a_spec

EXPOSED = Exposure(port=33890, password="ab" * 32)
LATER = NOW + timedelta(seconds=30)


def viewer(stream: UUID, *, unproven: bool | None = None) -> Viewer:
    return Viewer(stream=stream, channel="rdp", mode="control", since=NOW, unproven=unproven)


def left(stream: UUID, *, unproven: bool | None = None) -> Closed:
    said = CloseReason.VIEWER_PROTOCOL if unproven else CloseReason.VIEWER_LEFT
    return Closed(viewer=viewer(stream, unproven=unproven), reason=said, message="So it is.")


@pytest.mark.parametrize("phase", list(Phase))
def test_it_is_open_while_the_session_runs(phase: Phase) -> None:
    assert a_record(phase).is_open(drawn=False) is (phase is Phase.RUNNING)
    about_to = phase in {Phase.STARTING, Phase.WAKING, Phase.RUNNING}
    assert a_record(phase).is_open(drawn=True) is about_to


def test_it_is_closed_as_soon_as_the_session_is_to_sleep_or_to_end() -> None:
    ending = a_record(Phase.RUNNING, deletion=Deletion(order=2))
    assert not ending.is_open(drawn=True)
    assert not a_record(Phase.RUNNING, spec=a_spec(desired="Hibernated")).is_open(drawn=True)


def condition(phase: Phase, seen: Seen, exposed: Exposure | None = EXPOSED) -> Condition | None:
    record = with_conditions(a_record(phase, exposed=exposed), seen, NOW)
    told = {one.type: one for one in record.conditions}
    return told.get(ConditionType.EXPOSED)


def test_how_it_is_with_the_port_is_a_condition_of_those_that_have_one() -> None:
    assert condition(Phase.RUNNING, Seen(), exposed=None) is None
    listens = condition(Phase.RUNNING, Seen(listens=True))
    assert listens is not None
    assert (listens.status, listens.reason) == ("True", "Listening")
    taken = condition(Phase.RUNNING, Seen(port_trouble="It is taken."))
    assert taken is not None
    assert (taken.status, taken.reason, taken.message) == (
        *("False", "PortUnavailable"),
        "It is taken.",
    )
    asleep = condition(Phase.HIBERNATED, Seen())
    assert asleep is not None
    assert (asleep.status, asleep.reason == "PortUnavailable") == ("False", False)


def test_who_never_had_the_password_is_not_told_of() -> None:
    guests, knocking = Guests(), uuid4()
    guests.came(knocking, NOW)
    guests.seen([viewer(knocking, unproven=True)])
    assert guests.told() == ()
    assert not guests.explained(knocking)
    guests.closed(left(knocking, unproven=True))
    assert guests.explained(knocking)
    guests.left(knocking, LATER, to_viewer=5, from_viewer=5)
    assert guests.told() == ()


def test_who_came_in_is_told_of_until_a_while_after_they_left() -> None:
    guests, stream = Guests(), uuid4()
    guests.came(stream, NOW)
    guests.seen([viewer(stream), viewer(uuid4())])
    (told,) = guests.told()
    assert (told.stream, told.since, told.ended_at, told.reason) == (stream, NOW, None, "")
    guests.closed(left(stream))
    guests.left(stream, LATER, to_viewer=500, from_viewer=7)
    (told,) = guests.told()
    assert (told.ended_at, told.reason, told.message) == (LATER, "viewer_left", "So it is.")
    assert (told.to_viewer, told.from_viewer) == (500, 7)


def test_who_was_there_too_shortly_to_be_seen_is_told_of_by_their_end() -> None:
    guests, stream = Guests(), uuid4()
    guests.came(stream, NOW)
    guests.closed(left(stream))
    guests.left(stream, LATER, to_viewer=0, from_viewer=0)
    assert [one.reason for one in guests.told()] == ["viewer_left"]


def test_who_is_cut_off_by_us_hears_our_reason_and_who_is_lost_has_one_as_well() -> None:
    guests, cut, lost = Guests(), uuid4(), uuid4()
    for stream in (cut, lost):
        guests.came(stream, NOW)
        guests.seen([viewer(stream)])
    guests.cut(cut, CloseReason.REVOKED, "Another password.")
    guests.closed(left(cut))
    for stream in (cut, lost):
        guests.left(stream, LATER, to_viewer=0, from_viewer=0)
    assert [one.reason for one in guests.told()] == ["revoked", "stream_cut"]


def test_of_those_who_left_only_the_last_are_told_of() -> None:
    guests, stays = Guests(), uuid4()
    guests.came(stays, NOW)
    guests.seen([viewer(stays)])
    streams = [uuid4() for _ in range(3 * REMEMBERED)]
    for stream in streams:
        guests.came(stream, NOW)
        guests.closed(left(stream))
        guests.left(stream, LATER, to_viewer=0, from_viewer=0)
    told = [one.stream for one in guests.told()]
    assert told == [stays, *streams[-REMEMBERED:]]
    assert len(told) <= MOST_STREAMS
    assert len(observation(a_record(Phase.RUNNING), 0, guests.told()).streams) == len(told)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "something else on this machine listens there"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_why_a_port_cannot_be_listened_on_is_a_sentence(number: int, words: str) -> None:
    sentence = why_not(OSError(number, "?"), "192.0.2.1", 33890)
    assert sentence == f"192.0.2.1:33890 cannot be listened on: {words}; it is tried again."


async def test_in_a_cluster_such_an_order_is_refused() -> None:
    session = uuid4()
    cluster: Any = None  # it is not asked for anything
    runtime = KubernetesRuntime(KubernetesSettings(), cluster)
    with pytest.raises(Refused, match="`porthole session connect`") as refused:
        await runtime.apply(
            session,
            1,
            name="one",
            owner="alice",
            spec=a_spec(),
            template=PinnedTemplate(name="rdp", revision=1, digest="0" * 64),
            exposed=EXPOSED,
        )
    assert refused.value.code == "expose_not_served"
