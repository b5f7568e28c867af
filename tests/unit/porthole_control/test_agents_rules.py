"""Which agent takes a session, and what is said when none does."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.conditions import Reason
from porthole_control.agents.rules import (
    ABLE,
    CHECKS,
    ROOM,
    TELLS_WITHIN,
    Candidate,
    Waits,
    Wish,
    choose,
    could_ever,
    perhaps_given,
    unheard,
)

ONE, TWO = UUID(int=1), UUID(int=2)


def agent(identity: UUID = ONE, **changes: object) -> Candidate:
    fields: dict[str, object] = {
        "id": identity,
        "name": f"agent-{identity.int % 1000}",
        "state": "enrolled",
        "linked": True,
        "offers": True,
        "why_not": "",
        "sessions": 0,
        "most": 10,
    }
    return Candidate(**{**fields, **changes})  # type: ignore[arg-type]


def wish(**changes: object) -> Wish:
    return Wish(**{"template": "desktop", "ours": False, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "there", "reason"),
    [
        (wish(), [], Reason.NO_AGENT),
        (wish(agent=TWO), [agent()], Reason.NO_AGENT),
        (wish(home_at=TWO), [agent()], Reason.HOME_UNREACHABLE),
        (wish(), [agent(offers=False, why_not="No.")], Reason.TEMPLATE_NOT_OFFERED),
        (wish(), [agent(offers=None)], Reason.TEMPLATE_NOT_OFFERED),
        (wish(), [agent(state="draining")], Reason.AGENT_DRAINING),
        (wish(), [agent(leaving=True)], Reason.AGENT_DRAINING),
        (wish(), [agent(sessions=10)], Reason.NO_CAPACITY),
        (wish(), [agent(offers=False), agent(TWO, sessions=10)], Reason.NO_CAPACITY),
        (wish(protocol="rdp"), [agent(protocols=["vnc"])], Reason.TEMPLATE_NOT_OFFERED),
        (wish(labels={"zone": "a"}), [agent(labels={"zone": "b"})], Reason.NO_AGENT),
        (wish(cpu=1), [agent(cpu=1.5, most_cpu=2)], Reason.NO_CAPACITY),
        (wish(memory=2**30), [agent(memory=2**30, most_memory=2**30)], Reason.NO_CAPACITY),
        (wish(), [agent(sessions=10), agent(TWO, linked=False)], Reason.NO_CAPACITY),
        (wish(), [agent(kept=True)], Reason.NO_CAPACITY),
        (wish(), [agent(kept=True), agent(TWO, linked=False)], Reason.NO_CAPACITY),
    ],
)
def test_the_agent_that_got_furthest_says_why(
    wanted: Wish, there: list[Candidate], reason: Reason
) -> None:
    waits = choose(wanted, there)
    assert isinstance(waits, Waits)
    assert waits.reason is reason
    assert waits.sentence.endswith(".")


def test_what_is_ours_any_agent_runs_that_does_not_refuse() -> None:
    assert choose(wish(ours=True), [agent(offers=None)]) == agent(offers=None)
    assert isinstance(choose(wish(ours=True), [agent(offers=False)]), Waits)


def test_a_linked_agent_is_preferred_then_the_least_loaded() -> None:
    away, busy, idle = agent(linked=False), agent(TWO, sessions=5), agent(UUID(int=3), sessions=1)
    assert choose(wish(), [away, busy, idle]) == idle
    assert choose(wish(), [away, busy]) == busy
    assert choose(wish(), [away]) == away, "its command waits in the queue"


def test_the_least_loaded_is_so_by_what_it_has() -> None:
    small, large = agent(sessions=2, most=4), agent(TWO, sessions=5, most=20)
    assert choose(wish(), [small, large]) == large
    short = agent(most=100, memory=7, most_memory=10)
    assert choose(wish(memory=1), [short, large]) == large, "what it is shortest of counts"


def test_what_fits_is_taken() -> None:
    asked = wish(protocol="vnc", labels={"zone": "a"}, cpu=0.5, memory=2**30)
    fits = agent(
        protocols=["vnc"],
        labels={"zone": "a", "disk": "fast"},
        cpu=1.5,
        most_cpu=2,
        memory=0,
        most_memory=2**30,
    )
    assert choose(asked, [agent(TWO, labels={"zone": "b"}), fits]) == fits


candidates = st.builds(
    agent,
    st.just(ONE).map(lambda _: uuid4()),
    state=st.sampled_from(["enrolled", "draining"]),
    linked=st.booleans(),
    offers=st.sampled_from([True, False, None]),
    sessions=st.integers(0, 12),
    most=st.sampled_from([None, 0, 10]),
    kept=st.booleans(),
)


@given(st.lists(candidates, max_size=6), st.booleans())
def test_who_is_chosen_passes_all_checks_and_nobody_better_was_passed_over(
    there: list[Candidate], ours: bool
) -> None:
    wanted = wish(ours=ours)
    chosen = choose(wanted, there)
    fit = [one for one in there if not any(check(wanted, one) for check in CHECKS)]
    if isinstance(chosen, Waits):
        assert not any(one.linked for one in fit)
        assert not fit or waits_for_room(wanted, there)
    else:
        assert chosen in fit
        assert chosen.linked or not any(one.linked for one in fit)
        same = [one for one in fit if one.linked == chosen.linked]
        assert chosen.load(wanted) == min(one.load(wanted) for one in same)


def waits_for_room(wanted: Wish, there: list[Candidate]) -> bool:
    """Return whether a linked one only lacks room."""
    return any(
        one.linked
        and not any(check(wanted, one) for check in ABLE)
        and any(check(wanted, one) for check in ROOM)
        for one in there
    )


def test_room_is_kept_where_the_least_has_to_end() -> None:
    there = [
        agent(cpu=7, most_cpu=8),
        agent(TWO, cpu=3, most_cpu=4),
        agent(UUID(int=3), most_cpu=1),
        agent(UUID(int=4), most_cpu=64, linked=False),
        agent(UUID(int=5), most_cpu=64, state="draining"),
        agent(UUID(int=6), most_cpu=64, most=0),
    ]
    assert [one.id for one in could_ever(wish(cpu=2), there)] == [ONE, TWO]
    assert [one.id for one in could_ever(wish(cpu=3), there)] == [ONE, TWO]
    assert could_ever(wish(cpu=99), there) == []


SET_BACK = datetime(2026, 1, 1, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def test_a_session_that_an_agent_may_have_been_given_waits_for_it() -> None:
    agents = unheard([("told", None), ("may-know", SET_BACK)], SET_BACK + A_SECOND)
    waits = perhaps_given(SET_BACK - A_SECOND, agents)
    assert waits is not None
    assert waits.reason is Reason.AGENT_UNREACHABLE
    assert waits.sentence.endswith("tell what they have: 'may-know'.")


def test_a_session_that_was_made_afterwards_waits_for_nobody() -> None:
    agents = unheard([("may-know", SET_BACK)], SET_BACK + A_SECOND)
    assert perhaps_given(SET_BACK + A_SECOND, agents) is None


def test_an_agent_that_stays_silent_is_not_waited_for() -> None:
    agents = unheard([("gone", SET_BACK)], SET_BACK + TELLS_WITHIN)
    assert perhaps_given(SET_BACK - A_SECOND, agents) is None


def test_of_many_agents_a_few_are_named() -> None:
    agents = unheard([(f"a{number}", SET_BACK) for number in range(7)], SET_BACK)
    waits = perhaps_given(SET_BACK, agents)
    assert waits is not None
    assert waits.sentence.endswith("'a0', 'a1', 'a2', 'a3', 'a4' and 2 more.")
