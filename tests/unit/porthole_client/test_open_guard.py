"""The page of `porthole open` is for the browser that followed the link, once."""

from collections.abc import Callable
from itertools import count

import pytest

from porthole_client.cli.open.guard import STREAM_WITHIN, Guard, Turned

HERE = "127.0.0.1:41234"


@pytest.fixture
def guard() -> Guard[str]:
    numbers = count(1)
    return Guard(HERE, lambda: f"secret-{next(numbers)}")


def turned(ask: Callable[[], object]) -> str:
    with pytest.raises(Turned) as away:
        ask()
    return away.value.code


def test_the_link_is_good_once(guard: Guard[str]) -> None:
    assert guard.link == f"http://{HERE}/#secret-1"
    assert turned(lambda: guard.redeem("secret-0")) == "link_used"
    key = guard.redeem("secret-1")
    guard.check_key(f"Bearer {key}")
    assert turned(lambda: guard.redeem("secret-1")) == "link_used"


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer secret-1", "secret-2", "bearer secret-2"])
def test_nobody_asks_without_the_key(guard: Guard[str], given: str) -> None:
    guard.redeem("secret-1")
    assert turned(lambda: guard.check_key(given)) == "not_signed_in"


def test_there_is_no_key_before_the_link_was_followed(guard: Guard[str]) -> None:
    assert turned(lambda: guard.check_key("Bearer None")) == "not_signed_in"


@pytest.mark.parametrize(
    "host", ["", "localhost:41234", "evil.example:41234", "127.0.0.1", "127.0.0.1:41235"]
)
def test_another_name_that_leads_here_is_turned_away(guard: Guard[str], host: str) -> None:
    origin = f"http://{HERE}"
    assert turned(lambda: guard.check_origin(host, origin, must=True)) == "wrong_host"


@pytest.mark.parametrize(
    "origin", ["null", "http://127.0.0.1:41235", "https://127.0.0.1:41234", "http://evil.example"]
)
def test_another_page_is_turned_away(guard: Guard[str], origin: str) -> None:
    for must in (True, False):
        ask = lambda: guard.check_origin(HERE, origin, must=must)  # noqa: B023, E731 - asked at once
        assert turned(ask) == "foreign_origin"


def test_only_what_changes_something_must_come_from_the_page(guard: Guard[str]) -> None:
    guard.check_origin(HERE, None, must=False)
    guard.check_origin(HERE, f"http://{HERE}", must=True)
    assert turned(lambda: guard.check_origin(HERE, None, must=True)) == "foreign_origin"


def test_a_token_is_good_once_and_soon(guard: Guard[str]) -> None:
    one, two = guard.token("one", 10.0), guard.token("two", 10.0)
    assert guard.use(one, 11.0) == "one"
    assert turned(lambda: guard.use(one, 11.0)) == "ticket_invalid"
    assert turned(lambda: guard.use(two, 10.0 + STREAM_WITHIN)) == "ticket_invalid"
    assert turned(lambda: guard.use("never", 10.0)) == "ticket_invalid"


def test_tokens_that_nobody_uses_are_forgotten(guard: Guard[str]) -> None:
    tokens = [guard.token(str(number), 1.0) for number in range(100)]
    assert turned(lambda: guard.use(tokens[0], 2.0)) == "ticket_invalid"
    assert guard.use(tokens[-1], 2.0) == "99"
