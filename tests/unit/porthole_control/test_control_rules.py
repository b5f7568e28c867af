"""Small rules of the control plane: cursors, commands, templates, hosts, settings, ids."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from porthole_contract.template import SessionTemplateSpec
from porthole_control import paging
from porthole_control.commands.rules import NEXT, OPEN, CommandState, pause_after
from porthole_control.db.ids import new_id
from porthole_control.edge import host_name
from porthole_control.errors import NotFound
from porthole_control.settings import Settings, split_address
from porthole_control.templates.repository import Offer, Revision
from porthole_control.templates.rules import known


@given(
    st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),  # noqa: DTZ001 - it takes naive bounds
    st.uuids(),
)
def test_a_cursor_is_read_back(moment: datetime, identity: UUID) -> None:
    cursor = paging.encode(moment, identity)
    assert paging.decode_moment(cursor) == (moment, identity)
    assert cursor.isascii()


@given(st.text(alphabet="ABCabc019-_", max_size=60))
def test_rubbish_is_no_cursor(text: str) -> None:
    if text:
        with pytest.raises(NotFound):
            paging.decode_moment(text)
    else:
        assert paging.decode_moment(text) is None


@given(st.integers(0, 30), st.integers(1, 10))
def test_pages_show_everything_once(count: int, limit: int) -> None:
    rows = list(range(count))
    found: list[int] = []
    after = -1
    while True:
        part = [row for row in rows if row > after][: limit + 1]
        items, cursor = paging.page(part, limit, lambda row: (row,))
        found += items
        position = paging.decode(cursor, int)
        if position is None:
            break
        assert isinstance(position[0], int)
        after = position[0]
    assert found == rows


def test_what_has_ended_stays_ended() -> None:
    for state in CommandState:
        assert bool(NEXT[state]) == (state in OPEN)
        for following in NEXT[state]:
            assert following in CommandState


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 100)]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=1)
    assert pauses[-1] == timedelta(minutes=1)


NOW = datetime(2024, 1, 1, tzinfo=UTC)


def revision(name: str, title: str = "T") -> Revision:
    spec = SessionTemplateSpec(title=title)
    return Revision(name, 1, spec.digest(), spec, NOW)


def offer(name: str, *, offered: bool = True, message: str = "", own: bool = True) -> Offer:
    theirs = revision(name, "theirs") if own else None
    return Offer(name, uuid4(), "one", offered, message, theirs)


def test_templates_of_both_kinds_are_known_by_name() -> None:
    found = known([revision("b", "ours")], [offer("a"), offer("b")], agents=1)
    assert [(name, one.source, one.newest.spec.title) for name, one in found.items()] == [
        ("a", "agent", "theirs"),
        ("b", "api", "ours"),
    ]
    assert all(one.available for one in found.values())


def test_why_a_template_cannot_be_run() -> None:
    assert known([revision("a")], [], agents=0)["a"].message == "No agent is enrolled."
    refused = offer("a", offered=False, message="It needs Chromium.", own=False)
    assert known([revision("a")], [refused], agents=1)["a"].message == "It needs Chromium."
    assert known([revision("a")], [refused], agents=2)["a"].available
    theirs = [offer("x", offered=False, message="No."), offer("x")]
    assert known([], theirs, agents=2)["x"].available
    assert "y" not in known([], [offer("y", own=False)], agents=1)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:80", "localhost"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("10.0.0.1:1", "10.0.0.1"),
        (" a.b ", "a.b"),
        ("", ""),
        (":80", ""),
    ],
)
def test_host_names(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.5", ("10.0.0.5", 80)),
        ("10.0.0.5:8443", ("10.0.0.5", 8443)),
        ("[::]:8443", ("::", 8443)),
        ("[fe80::1]", ("fe80::1", 80)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert split_address(text, 80) == found


@pytest.mark.parametrize(
    "text", ["", "example.org", "10.0.0.5:", "10.0.0.5:99999", "10.0.0", "::1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        split_address(text, 80)


def test_settings_explain_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTHOLE_ALLOWED_HOSTS", " A.example , b.example,")
    monkeypatch.setenv("PORTHOLE_TICKET_LIFETIME", "PT5S")
    settings = Settings()
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.ticket_lifetime == timedelta(seconds=5)
    with pytest.raises(ValidationError):
        Settings(port=70000)
    with pytest.raises(ValidationError):
        Settings(listen="example.org")


def test_ids_sort_by_their_time() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(one.version == 7 and one.variant == "specified in RFC 4122" for one in made)
    assert [one.int >> 80 for one in made] == sorted(one.int >> 80 for one in made)
