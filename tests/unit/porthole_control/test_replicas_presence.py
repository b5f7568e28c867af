"""Who may say of other replicas that they are silent: one that was not away itself."""

from datetime import UTC, datetime, timedelta

from porthole_control.db.replicas import PRESENT_EVERY, SILENT_AFTER, Presence

START = datetime(2026, 1, 1, tzinfo=UTC)


def judged(*seconds: float) -> list[bool]:
    presence = Presence()
    return [presence.judges(START + timedelta(seconds=at)) for at in seconds]


def test_a_replica_judges_when_it_has_been_there_for_a_while():
    assert judged(0, 2, 4, 6) == [False, False, True, True]


def test_one_that_was_away_waits_until_the_others_may_be_back():
    assert judged(0, 2, 4, 30, 32, 34) == [False, False, True, False, False, True]


def test_one_that_was_not_there_just_now_is_not_steady():
    presence = Presence()
    for at in (0, 2, 4):
        presence.judges(START + timedelta(seconds=at))
    assert presence.is_steady(START + timedelta(seconds=9))
    assert not presence.is_steady(START + timedelta(seconds=40))
    assert not Presence().is_steady(START)


def test_one_round_that_took_long_changes_nothing():
    assert judged(0, 2, 4, 9, 11) == [False, False, True, True, True]


def test_a_silent_replica_is_noticed_in_time():
    """An agent that died with it is known to be silent within fifteen seconds."""
    assert timedelta(seconds=15) > SILENT_AFTER + 2 * PRESENT_EVERY
