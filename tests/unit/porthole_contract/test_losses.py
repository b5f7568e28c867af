"""A desktop that ends by itself is begun again less and less eagerly, and then not at all."""

from datetime import timedelta

from porthole_contract.losses import LONGEST_WAIT, MOST_LOSSES, WINDOW, count_loss
from porthole_contract.testing.builders import NOON


def test_the_first_loss_costs_no_time():
    assert count_loss((), NOON).wait is None


def test_each_further_one_doubles_the_wait_until_it_has_failed():
    losses, waits = (), []
    while not (verdict := count_loss(losses, NOON)).failed:
        losses = verdict.losses
        waits.append(verdict.wait)
    assert waits == [None, *(timedelta(seconds=2**n) for n in range(MOST_LOSSES - 2))]
    assert len(verdict.losses) == MOST_LOSSES
    assert max(wait for wait in waits if wait) <= LONGEST_WAIT


def test_what_was_long_ago_is_forgiven():
    old = tuple(NOON - WINDOW - timedelta(seconds=n) for n in range(9))
    assert count_loss(old, NOON).losses == (NOON,)
