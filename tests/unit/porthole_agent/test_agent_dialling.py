"""Where the agent dials, how long it waits, and what it keeps of joining."""

import stat
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_agent.dial import LINK_PATH, tls_context, websocket_url
from porthole_agent.enrolment import Identity, NotEnrolled, load_identity, load_key
from porthole_agent.link import back_off, patience


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/api/v1/agents/link"),
        ("https://desks.example", "wss://desks.example/api/v1/agents/link"),
        ("https://example/porthole/", "wss://example/porthole/api/v1/agents/link"),
        ("https://Desk.Example:443", f"wss://desk.example{LINK_PATH}"),
        ("http://desk.example:80", f"ws://desk.example{LINK_PATH}"),
    ],
)
def test_the_link_is_dialled_where_the_agent_joined(base: str, url: str) -> None:
    assert websocket_url(base, LINK_PATH) == url


def test_tls_is_spoken_where_the_url_says_so() -> None:
    assert tls_context("http://127.0.0.1:8080", None) is None
    context = tls_context("https://desks.example", None)
    assert context is not None
    assert context.check_hostname


@given(failures=st.integers(0, 10**6), chance=st.floats(0, 1))
def test_the_first_redial_is_soon_and_none_is_later_than_five_seconds(
    failures: int, chance: float
) -> None:
    wait = back_off(failures, chance)
    assert 0 < wait <= 5
    assert back_off(0, chance) <= 0.5


def test_one_that_does_not_answer_is_left_soon_and_waited_for_longer_each_time() -> None:
    assert [patience(failures) for failures in range(5)] == [2, 4, 8, 10, 10]
    # A link is dead at 12 s. A balancer may give the dead one twice, and 20 s are promised.
    assert 12 + 1 + sum(patience(n) + back_off(n, 1) for n in range(2)) <= 20


def test_a_key_is_made_once_and_read_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    key = load_key(folder)
    assert load_key(folder).private_bytes_raw() == key.private_bytes_raw()
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_one_that_never_joined_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolled, match="join token"):
        load_identity(tmp_path)


def test_where_it_belongs_is_remembered(tmp_path: Path) -> None:
    identity = Identity(
        url="http://127.0.0.1:8080", agent=UUID(int=1), name="local", control_plane=UUID(int=2)
    )
    (tmp_path / "identity.json").write_text(identity.model_dump_json())
    assert load_identity(tmp_path) == identity
