"""What an agent owes to say: bounded, newest first-hand, results never dropped."""

from dataclasses import replace
from datetime import UTC, datetime

from porthole_agent.news import PART, PART_BYTES, News, of_agent, of_inventory, of_session
from porthole_agent.runtimes import port
from porthole_contract.lifecycle import Phase
from porthole_contract.link.codec import size_of
from porthole_contract.link.reports import InventoryPart, ObservedEvent, SessionObserved
from porthole_contract.session import Desired, EnvVar
from porthole_contract.testing import builders


def seen(number: int = 1, phase: Phase = Phase.RUNNING) -> port.Observation:
    return port.Observation(
        session=builders.an_id(number),
        name=f"desktop-{number}",
        owner="ada",
        order=1,
        spec=builders.a_session_spec(),
        status=builders.a_status(phase),
    )


def everything(sessions: int = 0) -> port.Inventory:
    return port.Inventory(
        overview=port.Overview(
            runtime=builders.an_id(99),
            offers=(),
            capacity=port.Capacity(20, sessions, 2.0, 0.5, 2**30, 0),
            draining=False,
        ),
        sessions=tuple(seen(number) for number in range(1, sessions + 1)),
        ended=(),
        homes=(),
    )


def test_of_each_session_only_the_newest_view_is_owed() -> None:
    news = News()
    news.observed(of_session(seen(1, Phase.STARTING)))
    news.observed(of_session(seen(2)))
    news.observed(of_session(seen(1, Phase.RUNNING)))
    taken = news.take(10)
    assert [(one.session, one.status.phase) for one in taken] == [
        (builders.an_id(2), Phase.RUNNING),
        (builders.an_id(1), Phase.RUNNING),
    ]
    assert not news


def test_nothing_is_taken_beyond_the_room_and_nothing_is_forgotten() -> None:
    news = News()
    for number in range(1, 6):
        news.observed(of_session(seen(number)))
    assert len(news.take(2)) == 2
    assert len(news.take(10)) == 3


def test_what_is_taken_of_an_agent_is_said_behind_what_takes_it() -> None:
    news = News()
    news.agent(of_agent(everything(0).overview, runtime="local", program="a program 1"))
    for number in range(1, 6):
        news.observed(of_session(seen(number)))
    assert [one.type for one in news.take(3)] == [
        "SessionObserved",
        "SessionObserved",
        "AgentObserved",
    ]
    assert len(news.take(10)) == 3
    assert not news


def test_results_come_first_and_survive_an_inventory() -> None:
    news = News()
    news.observed(of_session(seen(1)))
    result = builders.a_result(1)
    news.owe(result)
    news.inventory(of_inventory(everything(1), builders.an_id(7)))
    first, second = news.take(10)
    assert first == result
    assert isinstance(second, InventoryPart)


def test_a_newer_inventory_replaces_one_that_was_not_sent() -> None:
    news = News()
    news.inventory(of_inventory(everything(3 * PART), builders.an_id(7)))
    news.take(1)
    news.inventory(of_inventory(everything(1), builders.an_id(8)))
    parts = news.take(10)
    assert [part.snapshot for part in parts] == [builders.an_id(8)]


def test_what_a_forgotten_conversation_returns_is_owed_again_if_it_is_a_result() -> None:
    news = News()
    results = [builders.a_result(1), builders.a_result(2)]
    news.owe(builders.a_result(3))
    news.returned([of_session(seen(1)), *results])
    assert [item.command for item in news.take(10)] == [
        builders.a_result(number).command for number in (1, 2, 3)
    ]


def test_whoever_keeps_the_link_is_told_of_each_debt() -> None:
    news, told = News(), []
    news.changed = lambda: told.append(True)
    news.owe(builders.a_result(1))
    news.observed(of_session(seen(1)))
    news.inventory(())
    assert len(told) == 3


def test_an_inventory_is_whole_however_many_parts_it_takes() -> None:
    parts = list(of_inventory(everything(2 * PART + 1), builders.an_id(7)))
    assert [part.index for part in parts] == [0, 1, 2]
    assert [part.last for part in parts] == [False, False, True]
    assert sum(len(part.sessions) for part in parts) == 2 * PART + 1


def test_no_part_of_an_inventory_is_longer_than_a_frame_can_carry() -> None:
    env = tuple(EnvVar(name=f"V{number}", value="x" * 30_000) for number in range(4))
    large = builders.a_session_spec(env=env)
    seen_by = everything(40)
    sessions = tuple(replace(one, spec=large) for one in seen_by.sessions)
    parts = list(of_inventory(replace(seen_by, sessions=sessions), builders.an_id(7)))
    assert len(parts) > 1
    assert max(map(size_of, parts)) < PART_BYTES + 1000
    assert sum(len(part.sessions) for part in parts) == 40


def test_an_empty_inventory_is_one_part_that_proves_that_there_is_nothing() -> None:
    (part,) = of_inventory(everything(), builders.an_id(7))
    assert part.last
    assert part.sessions == ()


def test_a_session_that_was_put_to_sleep_says_so_under_the_order_it_has() -> None:
    asleep = seen(1, Phase.HIBERNATED)
    report = of_session(
        port.Observation(
            **{
                **{name: getattr(asleep, name) for name in asleep.__slots__},
                "spec": asleep.spec.evolve(desired=Desired.HIBERNATED),
            }
        )
    )
    assert isinstance(report, SessionObserved)
    assert (report.order, report.desired) == (1, Desired.HIBERNATED)


def test_amounts_of_nothing_are_left_out() -> None:
    report = of_agent(everything().overview, runtime="local", program="porthole")
    assert report.capacity.total.cpu == "2000m"
    assert report.capacity.used.memory is None


def test_what_happened_to_a_session_is_told_with_the_inventory_that_comes_between() -> None:
    event = ObservedEvent(at=datetime(2026, 1, 1, tzinfo=UTC), reason="PutBack")
    news = News()
    news.observed(of_session(replace(seen(1), events=(event,))))
    news.inventory(of_inventory(everything(2), builders.an_id(7)))
    (part,) = news.take(10)
    assert [one.events for one in part.sessions] == [(event,), ()]
