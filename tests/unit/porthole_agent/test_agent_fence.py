"""What an order comes to, for all small numbers."""

from itertools import product

import pytest

from porthole_agent.ledger import Ledger, Taken
from porthole_agent.runtimes.fence import Apply, Delete, on_apply, on_delete, too_late
from porthole_contract.link.reports import CommandResult, Outcome
from porthole_contract.testing import builders

KNOWN = (None, 1, 2, 3)
CASES = list(product((1, 2, 3), KNOWN, KNOWN))


@pytest.mark.parametrize(("order", "held", "ended"), CASES)
def test_an_order_counts_only_if_it_is_newer_than_all_that_is_known(
    order: int, held: int | None, ended: int | None
) -> None:
    verdict = on_apply(order, held=held, ended=ended)
    newest = max(number for number in (held, ended, 0) if number is not None)
    assert (verdict is not Apply.NOTHING) == (order > newest)
    assert (verdict is Apply.MAKE) == (order > newest and held is None)


@pytest.mark.parametrize(("order", "held", "ended"), CASES)
def test_an_end_is_remembered_and_ends_nothing_that_is_newer(
    order: int, held: int | None, ended: int | None
) -> None:
    verdict = on_delete(order, held=held, ended=ended)
    assert (verdict is Delete.END) == (held is not None and order >= held)
    assert (verdict is Delete.BURY) == (held is None and not too_late(order, ended))


@pytest.mark.parametrize(("order", "held", "ended"), CASES)
def test_what_was_done_comes_to_nothing_when_it_comes_again(
    order: int, held: int | None, ended: int | None
) -> None:
    if on_apply(order, held=held, ended=ended) is not Apply.NOTHING:
        assert on_apply(order, held=order, ended=ended) is Apply.NOTHING
    if on_delete(order, held=held, ended=ended) is not Delete.NOTHING:
        assert on_delete(order, held=None, ended=order) is Delete.NOTHING
        assert on_apply(order, held=None, ended=order) is Apply.NOTHING


def test_a_ledger_that_is_full_forgets_the_oldest_result() -> None:
    ledger = Ledger(remembered=1)
    first, second = (builders.a_command(n, builders.an_apply(session=n)) for n in (1, 2))
    for command in (first, second):
        assert ledger.take(command) is Taken.BEGIN
        done = CommandResult(command=command.id, outcome=Outcome.SUCCEEDED)
        ledger.finish(command.subject, done)
    assert ledger.take(second) is Taken.DONE
    assert ledger.take(first) is Taken.BEGIN


def test_what_was_dropped_is_begun_when_it_comes_again() -> None:
    ledger = Ledger()
    command = builders.a_command(1, builders.an_apply())
    ledger.take(command)
    assert ledger.take(command) is Taken.KNOWN
    ledger.drop(command.subject)
    assert len(ledger) == 0
    assert ledger.take(command) is Taken.BEGIN
