"""The table of a session's life keeps its own promises."""

import pytest

from porthole_contract.lifecycle import (
    DEADLINES,
    LASTING,
    LIVE,
    OCCUPIED,
    TRANSITIONS,
    Event,
    Forbidden,
    Phase,
    advance,
)

PASSING = frozenset(Phase) - LASTING


def reachable(start: Phase) -> set[Phase]:
    """Return every phase that some events lead to from `start`."""
    found, look = {start}, [start]
    while look:
        phase = look.pop()
        for event in Event:
            try:
                after = advance(phase, event)
            except Forbidden:
                continue
            if after not in found:
                found.add(after)
                look.append(after)
    return found


def test_every_phase_stands_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Phase)


def test_every_event_can_happen_somewhere() -> None:
    everywhere = {Event.END, Event.GONE}
    assert everywhere | {event for row in TRANSITIONS.values() for event in row} == set(Event)


def test_a_phase_either_lasts_or_has_a_deadline() -> None:
    assert set(DEADLINES) == PASSING
    assert all(deadline.total_seconds() > 0 for deadline in DEADLINES.values())


@pytest.mark.parametrize("phase", sorted(PASSING))
def test_a_deadline_leads_on(phase: Phase) -> None:
    after = advance(phase, Event.DEADLINE)
    # What is being ended is ended harder; there is nowhere else to go but to the end.
    assert after in LASTING or phase is after is Phase.TERMINATING


@pytest.mark.parametrize("phase", sorted(LASTING))
def test_what_may_last_has_no_deadline_to_pass(phase: Phase) -> None:
    with pytest.raises(Forbidden):
        advance(phase, Event.DEADLINE)


@pytest.mark.parametrize("phase", sorted(LIVE - {Phase.TERMINATING}))
def test_every_session_can_be_ended(phase: Phase) -> None:
    assert advance(phase, Event.END) is Phase.TERMINATING


@pytest.mark.parametrize("phase", sorted(LIVE))
def test_a_session_of_which_nothing_is_left_has_ended(phase: Phase) -> None:
    assert advance(phase, Event.GONE) is Phase.TERMINATED


@pytest.mark.parametrize("event", sorted(Event))
def test_what_has_ended_stays_ended(event: Event) -> None:
    with pytest.raises(Forbidden):
        advance(Phase.TERMINATED, event)


def test_every_phase_can_be_reached() -> None:
    assert reachable(Phase.PENDING) == set(Phase)


@pytest.mark.parametrize("phase", sorted(LIVE - {Phase.TERMINATING}))
def test_from_everywhere_a_session_can_come_to_run(phase: Phase) -> None:
    assert Phase.RUNNING in reachable(phase)


def test_what_is_not_in_the_table_is_refused_in_a_sentence() -> None:
    with pytest.raises(Forbidden) as caught:
        advance(Phase.RUNNING, Event.DRAWN)
    assert str(caught.value) == "A session that is Running cannot take the event Drawn."
    assert (caught.value.phase, caught.value.event) == (Phase.RUNNING, Event.DRAWN)


def test_only_what_has_ended_is_not_alive() -> None:
    assert set(Phase) - LIVE == {Phase.TERMINATED}


def test_machines_are_used_from_the_start_to_the_last_breath() -> None:
    assert set(Phase) - OCCUPIED == {
        Phase.PENDING,
        Phase.HIBERNATED,
        Phase.FAILED,
        Phase.TERMINATED,
    }
    assert OCCUPIED >= PASSING


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING, Phase.WAKING])
def test_what_is_lost_is_begun_again(phase: Phase) -> None:
    assert advance(phase, Event.LOST) in {Phase.STARTING, Phase.WAKING}


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.WAKING])
def test_what_cannot_begin_waits_and_says_why(phase: Phase) -> None:
    assert advance(phase, Event.BLOCKED) is Phase.PENDING


@pytest.mark.parametrize("event", [Event.STOPPED, Event.LOST, Event.DEADLINE])
def test_hibernating_ends_in_hibernation_whatever_happens(event: Event) -> None:
    assert advance(Phase.HIBERNATING, event) is Phase.HIBERNATED


@pytest.mark.parametrize("phase", sorted(LIVE - {Phase.TERMINATING, Phase.HIBERNATING}))
def test_hibernation_can_be_wished_for_at_any_time(phase: Phase) -> None:
    if phase is Phase.HIBERNATED:
        return
    assert advance(phase, Event.HIBERNATE) in {Phase.HIBERNATING, Phase.HIBERNATED}
