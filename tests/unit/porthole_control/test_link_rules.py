from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from porthole_control.link import rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scheme", "host", "public", "expected"),
    [
        ("ws", "127.0.0.1:8080", None, "ws://127.0.0.1:8080"),
        ("wss", "desk.example", None, "wss://desk.example"),
        ("ws", "desk.example", "https://desk.example", "wss://desk.example"),
        ("ws", "Desk.Example", "https://desk.example", "wss://Desk.Example"),
        ("ws", "desk.example:443", "https://desk.example", "wss://desk.example:443"),
        ("ws", "desk.example:8443", "https://desk.example:8443", "wss://desk.example:8443"),
        ("ws", "desk.example", "https://desk.example/porthole/", "wss://desk.example/porthole"),
        ("ws", "127.0.0.1:8080", "https://desk.example", "ws://127.0.0.1:8080"),
        ("http", "x", None, "ws://x"),
        ("https", "x", "http://y", "wss://x"),
    ],
)
def test_what_a_client_dialled(scheme, host, public, expected):
    assert rules.dialled_base(scheme, host, public) == expected


def test_the_next_epoch_is_above_what_both_remember():
    assert rules.next_epoch(0, 0) == 1
    assert rules.next_epoch(7, 3) == 8
    assert rules.next_epoch(3, 7) == 8


def test_a_greeting_is_overtaken_by_a_link_that_took_its_epoch():
    assert rules.is_overtaken(offered=4, held=4)
    assert not rules.is_overtaken(offered=5, held=4)


@pytest.mark.parametrize(
    ("revoked", "forgotten", "superseded", "expected"),
    [
        (False, False, False, None),
        (False, False, True, rules.SUPERSEDED),
        (False, True, False, rules.UNHEARD),
        (False, True, True, rules.UNHEARD),
        (True, False, False, rules.REVOKED),
        (True, False, True, rules.REVOKED),
        (True, True, False, rules.REVOKED),
        (True, True, True, rules.REVOKED),
    ],
)
def test_a_link_in_doubt_ends_with_what_matters_most(revoked, forgotten, superseded, expected):
    assert rules.end_of(revoked=revoked, forgotten=forgotten, superseded=superseded) is expected


def test_rivals_are_forgotten_after_a_while():
    def rival(age: float) -> dict:
        return {"instance": str(uuid4()), "at": (NOW - timedelta(seconds=age)).isoformat()}

    old, new = rival(121), rival(119)
    assert rules.still_remembered([old, new], NOW) == [new]
    assert len(rules.still_remembered([rival(1) for _ in range(20)], NOW)) == 8


def test_an_identity_is_contested_when_a_loser_comes_back():
    first, second = uuid4(), uuid4()
    lost = [{"instance": str(first), "at": NOW.isoformat()}]
    assert not rules.is_contested([], first)
    assert not rules.is_contested(lost, second)
    assert rules.is_contested(lost, first)


def test_a_condition_keeps_its_time_while_it_does_not_change():
    later = NOW + timedelta(minutes=1)
    other = {"type": "Other", "status": "True"}
    assert rules.contested_condition([other], contested=False, now=NOW) == [other]
    begun = rules.contested_condition([other], contested=True, now=NOW)
    assert [c["type"] for c in begun] == ["Other", "IdentityShared"]
    going_on = rules.contested_condition(begun, contested=True, now=later)
    assert going_on == begun
    over = rules.contested_condition(going_on, contested=False, now=later)
    assert (over[1]["status"], over[1]["lastTransitionTime"]) == ("False", later.isoformat())
    assert over[1]["message"] == ""


@pytest.mark.parametrize(
    ("begun_at", "unheard_since", "forgotten"),
    [
        (None, NOW, False),
        (NOW, None, False),
        (NOW, NOW + timedelta(seconds=1), True),
        (NOW, NOW, True),
        (NOW + timedelta(seconds=1), NOW, False),
    ],
)
def test_what_was_told_before_a_database_was_set_back_is_told_anew(
    begun_at: datetime | None, unheard_since: datetime | None, *, forgotten: bool
) -> None:
    assert rules.was_forgotten(begun_at, unheard_since) is forgotten
