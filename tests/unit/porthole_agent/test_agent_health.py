"""When a replica needs a new process, and when it cannot be relied on."""

from dataclasses import replace

import pytest

from porthole_agent.health import ANSWERED_WITHIN, STUCK_AFTER, Signs, trouble, unready

STANDS_BY = Signs(since_look=0.4, since_answer=0.4, joined=True)
WORKS = replace(STANDS_BY, leads=True, started=True)


@pytest.mark.parametrize("signs", [STANDS_BY, WORKS])
def test_who_works_and_who_stands_by_are_both_well(signs: Signs) -> None:
    assert (trouble(signs), unready(signs)) == ("", "")


@pytest.mark.parametrize("signs", [STANDS_BY, WORKS])
def test_that_others_do_not_answer_is_no_reason_for_a_new_process(signs: Signs) -> None:
    alone = replace(signs, since_answer=3600.0, joined=False)
    assert trouble(alone) == ""
    assert "API server has not answered for 3600 s" in unready(alone)
    assert "not joined" in unready(replace(signs, joined=False))
    assert unready(replace(signs, since_answer=ANSWERED_WITHIN)) == ""


def test_one_that_reads_what_there_is_lives_and_is_not_ready() -> None:
    begins = replace(WORKS, started=False)
    assert (trouble(begins), unready(begins)) == ("", "It reads what there is.")


@pytest.mark.parametrize(
    ("signs", "why"),
    [
        (replace(STANDS_BY, since_look=STUCK_AFTER + 1), "not looked at the Lease for 61 s"),
        (replace(WORKS, since_look=STUCK_AFTER + 1), "not looked at the Lease for 61 s"),
        (replace(WORKS, overdue=7.0), "anew 7 s ago"),
    ],
)
def test_a_loop_that_does_not_come_round_needs_a_new_process(signs: Signs, why: str) -> None:
    assert why in trouble(signs)
    assert unready(signs) == trouble(signs)
