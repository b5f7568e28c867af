"""The time that replicas agree on."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from porthole_control.db import clock
from porthole_control.db.clock import DatabaseClock

THERE = datetime(2031, 5, 4, 12, tzinfo=UTC)


class Own:
    """This machine's monotonic clock; its other one is not asked once it was told better."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Own:
    made = Own()
    monkeypatch.setattr(clock, "monotonic", made)
    return made


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_until_it_is_told_it_is_our_own() -> None:
    assert abs(DatabaseClock()() - datetime.now(UTC)) < seconds(5)


def test_it_goes_on_from_what_the_database_said(own: Own) -> None:
    time = DatabaseClock()
    time.told(THERE, asked=90.0, answered=91.0)
    assert time() == THERE + seconds(9.5)
    own.now = 200.0
    assert time() == THERE + seconds(109.5)


def test_an_answer_that_fits_changes_nothing() -> None:
    time = DatabaseClock()
    time.told(THERE, asked=90.0, answered=90.2)
    before = time()
    time.told(THERE + seconds(2), asked=91.0, answered=99.0)  # it was slow
    assert time() == before


def test_an_answer_that_does_not_fit_moves_it_as_little_as_can_be() -> None:
    time = DatabaseClock()
    time.told(THERE, asked=100.0, answered=100.0)
    time.told(THERE - seconds(3600), asked=99.0, answered=100.0)
    assert time() == THERE - seconds(3599)
    time.told(THERE, asked=99.0, answered=100.0)
    assert time() == THERE


def test_it_is_utc_whatever_the_session_says() -> None:
    time = DatabaseClock()
    time.told(THERE.astimezone(timezone(timedelta(hours=2))), asked=100.0, answered=100.0)
    assert (time(), time().tzinfo) == (THERE, UTC)
