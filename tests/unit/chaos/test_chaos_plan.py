"""Plans of faults and reports of segments."""

from collections import Counter

import pytest

from e2e.chaos.checker import Violation
from e2e.chaos.entries import Buried, Call, Fault, Held, Note
from e2e.chaos.plan import CALM, CLASSIC, HEALED, KINDS, LEAD, plan
from e2e.chaos.report import effects, page, rates, summary, told

POINTS = tuple(f"point-{number}" for number in range(46))


def test_a_seed_makes_one_plan() -> None:
    assert plan(7, 300, points=POINTS) == plan(7, 300, points=POINTS)
    assert plan(7, 300, points=POINTS) != plan(8, 300, points=POINTS)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_begins_calm_and_ends_healed(seed: int) -> None:
    planned = plan(seed, 300, points=POINTS)
    assert [one.at for one in planned] == sorted(one.at for one in planned)
    assert planned[0].at >= LEAD
    assert planned[-1].at <= 300 - HEALED


@pytest.mark.parametrize("seed", range(20))
def test_each_classic_fault_comes_alone_once(seed: int) -> None:
    planned = plan(seed, 300, points=POINTS)
    alone = [one for one in planned if one.is_alone]
    assert sorted(one.kind for one in alone) == sorted(CLASSIC)
    for one in alone:
        assert all(
            other.at + other.lasts <= one.at or other.at >= one.at + one.lasts + CALM
            for other in planned
            if other is not one
        )


def test_two_hours_have_each_fault_thirty_times_and_each_failpoint_ten_times() -> None:
    faults: Counter[str] = Counter()
    points: Counter[str] = Counter()
    for seed in range(24):
        planned = plan(seed, 300, points=POINTS)
        faults.update(one.kind for one in planned)
        points.update(one.point for one in planned if one.point)
    assert {kind: count for kind, count in faults.items() if count < 30} == {}
    assert set(faults) >= set(KINDS)
    assert min(points[point] for point in POINTS) >= 10


def _held(at: float, mark: int) -> Held:
    return Held(at, "place-0", "s", mark, 0, "Running", "Running", "k", mark)


def test_what_happens_is_counted_once_for_each_thing() -> None:
    assert effects([_held(1, 0), _held(2, 0), _held(3, 1), Buried(4, "place-0", "s", 9)]) == [
        1,
        3,
        4,
    ]


def test_rates_are_those_of_their_time() -> None:
    story = [
        Note(0, "calm"),
        *(_held(number / 10, number) for number in range(100)),
        Fault(10, 12, "kills", "place-0"),
        Fault(10, 12, "kills", "replica-0"),
        *(_held(14 + number / 5, 100 + number) for number in range(30)),
    ]
    found = rates(story)
    assert (found.calm, found.during["kills"], found.after["kills"]) == (10.0, 0.0, 5.0)


def test_segments_add_up() -> None:
    story = [
        Note(0, "calm"),
        Call(1, 1.1, "create", "k", "s", 0),
        _held(2, 0),
        Fault(3, 4, "kills", "place-0"),
        Fault(3, 4, "kills", "replica-0"),
        Fault(3, 4, "failpoint", "place-0", "somewhere"),
    ]
    violation = Violation("lost", "s", "it is gone", (story[1], story[2]))  # type: ignore[arg-type]
    one = summary(1, 0.5, story, [violation])
    assert one["faults"] == {"failpoint": 1, "kills": 1}
    assert one["failpoints"] == {"somewhere": 1}
    text = page([one, one])
    assert "2 segments, 1.0 minutes, 2 calls accepted, 2 effects" in text
    assert "violations: lost 2" in text
    assert "lost: s: it is gone" in told(violation, 0.0)
