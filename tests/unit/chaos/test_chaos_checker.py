"""The judge of a chaos run, on stories made by hand: it finds what it should, and nothing else."""

import pytest

from e2e.chaos.checker import Violation, check
from e2e.chaos.entries import (
    Alive,
    Begun,
    Buried,
    Call,
    Entry,
    Fault,
    Held,
    Left,
    Note,
    Restored,
    Shown,
    line,
    read_line,
)

S, T = "session-1", "session-2"


def call(at: float, verb: str, mark: int = -1, *, session: str = S, **more: str) -> Call:
    return Call(at, at + 0.1, verb, more.get("key", "k1"), session, mark, **_only(more, "outcome"))


def _only(more: dict[str, str], *names: str) -> dict[str, str]:
    return {name: more[name] for name in names if name in more}


def held(
    at: float,
    order: int,
    phase: str = "Running",
    *,
    mark: int = 0,
    desired: str = "Running",
    restarts: int = 0,
    session: str = S,
    place: str = "place-0",
    key: str = "k1",
) -> Held:
    return Held(at, place, session, order, restarts, phase, desired, key, mark)


def begun(at: float, session: str = S) -> Begun:
    return Begun(at, "place-0", session)


def buried(at: float, order: int, session: str = S) -> Buried:
    return Buried(at, "place-0", session, order)


A_LIFE: tuple[Entry, ...] = (
    call(1, "create", 0),
    held(1.5, 1, "Pending"),
    held(1.6, 1, "Starting"),
    begun(1.7),
    held(3, 1),
    call(4, "change", 1),
    held(4.2, 2, mark=1),
    call(5, "hibernate"),
    held(5.1, 3, mark=1, desired="Hibernated"),
    held(5.2, 3, "Hibernating", mark=1, desired="Hibernated"),
    held(6, 3, "Hibernated", mark=1, desired="Hibernated"),
    call(7, "wake"),
    held(7.2, 4, "Waking", mark=1),
    begun(7.3),
    held(8, 4, mark=1),
)
ITS_END: tuple[Entry, ...] = (call(9, "delete"), held(9.2, 4, "Terminating", mark=1), buried(10, 5))
THE_END = Note(90, "end")


def kinds(*entries: Entry) -> list[str]:
    return [violation.kind for violation in violations(*entries)]


def violations(*entries: Entry) -> list[Violation]:
    return check(sorted(entries, key=lambda one: one.at))


def shown(phase: str, mark: int = 1, desired: str = "Running") -> Shown:
    return Shown(88, S, phase, desired, mark)


def test_a_life_is_as_it_should_be() -> None:
    assert kinds(*A_LIFE, Alive(80, (S,)), shown("Running"), THE_END) == []
    assert kinds(*A_LIFE, *ITS_END, Alive(80, ()), shown("Terminated"), THE_END) == []


@pytest.mark.parametrize("count", range(1, len(A_LIFE)))
def test_a_story_that_was_cut_short_accuses_nobody(count: int) -> None:
    assert kinds(*A_LIFE[:count]) == []


def test_a_create_that_never_came() -> None:
    assert kinds(call(1, "create", 0), THE_END) == ["lost"]


def test_a_change_that_never_came() -> None:
    assert kinds(*A_LIFE, call(9, "change", 2), Alive(80, (S,)), THE_END) == ["lost"]


def test_a_sleep_that_never_came() -> None:
    assert kinds(*A_LIFE, call(9, "hibernate"), Alive(80, (S,)), THE_END) == ["lost"]


def test_an_end_that_never_came() -> None:
    assert kinds(*A_LIFE, call(9, "delete"), Alive(80, (S,)), THE_END) == ["lost"]


def test_what_the_place_says_runs_does_run() -> None:
    assert kinds(*A_LIFE, Alive(80, ()), THE_END) == ["lost"]


def test_what_is_given_up_has_failed_often() -> None:
    assert kinds(*A_LIFE, held(9, 4, "Failed", mark=1), Alive(80, ()), THE_END) == ["lost"]


def test_what_sleeps_does_not_run() -> None:
    assert kinds(*A_LIFE[:11], Alive(80, (S,)), THE_END) == ["lost"]


@pytest.mark.parametrize("told", [shown("Starting"), shown("Running", mark=0)])
def test_what_became_of_it_is_told(told: Shown) -> None:
    assert kinds(*A_LIFE, Alive(80, (S,)), told, THE_END) == ["lost"]
    assert kinds(*A_LIFE, *ITS_END, shown("Terminating"), THE_END) == ["lost"]


def test_one_create_and_two_sessions() -> None:
    twice = (call(2, "create", 0, session=T), held(2.5, 1, session=T))
    assert "doubled" in kinds(*A_LIFE, *twice)


def test_two_sessions_that_only_the_place_knows() -> None:
    assert "doubled" in kinds(*A_LIFE, held(2.5, 1, session=T))


def test_a_desktop_that_is_started_twice() -> None:
    assert kinds(*A_LIFE, begun(8.5)) == ["doubled"]


def test_a_desktop_that_is_started_again_after_a_loss() -> None:
    strike = Fault(8.1, 8.2, "agent-kill", "place-0")
    again = (
        held(9, 4, "Starting", mark=1, restarts=1),
        begun(9.2),
        held(10, 4, mark=1, restarts=1),
    )
    assert kinds(*A_LIFE, strike, *again, Alive(80, (S,)), shown("Running"), THE_END) == []


def test_a_session_in_two_places() -> None:
    assert kinds(*A_LIFE, held(9, 4, mark=1, place="place-1")) == ["doubled"]


def test_an_order_that_goes_back() -> None:
    assert kinds(*A_LIFE, held(9, 2, mark=1)) == ["order"]


def test_a_change_that_goes_back() -> None:
    assert kinds(*A_LIFE, held(9, 5, mark=0)) == ["order"]


@pytest.mark.parametrize("again", [held(11, 6, mark=1), begun(11)])
def test_what_begins_after_its_end(again: Entry) -> None:
    assert "order" in kinds(*A_LIFE, *ITS_END, again)


def test_the_record_of_what_ended_may_be_found_by_who_comes_after_a_kill() -> None:
    again = (held(11, 4, "Terminating", mark=1), buried(11.1, 5))
    assert "order" not in kinds(*A_LIFE, *ITS_END, *again)
    assert "order" in kinds(*A_LIFE, *ITS_END, held(11, 4, "Starting", mark=1))


def test_an_end_that_nobody_asked_for() -> None:
    assert kinds(*A_LIFE, buried(9, 5)) == ["destroyed"]


def test_a_desktop_that_is_lost_for_no_reason() -> None:
    assert kinds(*A_LIFE, held(9, 4, "Starting", mark=1, restarts=1)) == ["destroyed"]
    elsewhere = Fault(8.5, 8.6, "agent-kill", "place-1")
    assert kinds(*A_LIFE, elsewhere, held(9, 4, "Starting", mark=1, restarts=1)) == ["destroyed"]


def test_what_runs_after_its_end() -> None:
    assert kinds(*A_LIFE, *ITS_END, Alive(20, (S,))) == []  # it may take a while
    assert kinds(*A_LIFE, *ITS_END, Alive(26, (S,))) == ["orphan"]


def test_what_is_left_in_the_end() -> None:
    assert kinds(*A_LIFE, *ITS_END, Left(80, "a loop device")) == ["orphan"]


def test_a_phase_that_does_not_pass() -> None:
    late = (*A_LIFE[:3], held(150, 1))
    assert kinds(*late) == ["overdue"]
    assert kinds(*late, Fault(2, 30, "agent-stopped", "place-0")) == []
    assert kinds(*late, Fault(2, 30, "agent-stopped", "place-1")) == ["overdue"]


def test_a_phase_that_has_not_passed_in_the_end() -> None:
    assert kinds(*A_LIFE[:3], Note(30, "end")) == ["overdue"]


def test_a_change_that_waits() -> None:
    late = (*A_LIFE, call(10, "change", 2), held(40, 5, mark=2))
    assert kinds(*late) == ["overdue"]
    assert kinds(*late, Fault(11, 15, "replica-kill", "replica-0")) == []
    assert kinds(*late, Fault(11, 39, "doorbells", "replicas")) == ["overdue"]


def test_what_a_backup_does_not_know_may_be_lost_and_nothing_else() -> None:
    restored = Restored(9, of=3.5)
    assert kinds(*A_LIFE[:5], call(4, "change", 1), restored, Alive(80, (S,)), THE_END) == []
    assert kinds(*A_LIFE[:5], restored, call(10, "change", 1), Alive(80, (S,)), THE_END) == []
    assert kinds(*A_LIFE[:5], restored, call(30, "change", 1), THE_END) == ["lost"]
    assert kinds(*A_LIFE[:5], restored, buried(20, 2)) == ["destroyed"]
    assert kinds(call(4, "create", 0), restored, THE_END) == []


def test_a_change_goes_back_only_where_a_backup_did_not_know_it() -> None:
    told = (*A_LIFE[:5], call(4, "change", 1), held(5, 2, mark=1), held(12, 3, mark=0))
    assert "order" in kinds(*told, Restored(9, of=6))
    assert "order" not in kinds(*told, Restored(9, of=3.5))


def test_a_restored_database_excuses_no_wait_but_its_own() -> None:
    late = (*A_LIFE, call(60, "change", 2), held(90, 5, mark=2))
    assert kinds(Restored(30, of=25), *late) == ["overdue"]
    assert kinds(*late, Restored(61, of=59)) == []


def test_what_was_never_answered_may_have_happened_or_not() -> None:
    asked = call(9, "change", 2, outcome="unknown")
    assert kinds(*A_LIFE, asked, Alive(80, (S,)), THE_END) == []
    done = held(9.2, 5, mark=2)
    assert kinds(*A_LIFE, asked, done, Alive(80, (S,)), THE_END) == []


def test_a_violation_tells_the_story() -> None:
    (found,) = violations(*A_LIFE, held(9, 2, mark=1))
    assert len(found.story) == len(A_LIFE) + 1
    assert found.session == S


@pytest.mark.parametrize("entry", [*A_LIFE, *ITS_END, Alive(1, (S, T)), Left(1, "x"), Note(1, "y")])
def test_a_line_says_what_was_written(entry: Entry) -> None:
    assert read_line(line(entry)) == entry
