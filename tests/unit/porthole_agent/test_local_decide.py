"""What the local runtime does next, with time as an argument.

In: a record, what is seen, the moment. Out: an action. How actions are done is tested with
real containers in tests/integration.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_agent.runtimes.local.decide import (
    Become,
    Begin,
    Clear,
    Lend,
    Lent,
    Lose,
    MendGate,
    MendNetwork,
    Obstacle,
    Remove,
    Seen,
    Wait,
    changed,
    decide,
    lose,
    may_lend,
    moved,
    news_of_use,
)
from porthole_agent.runtimes.local.record import Deletion, Record
from porthole_contract.conditions import Reason
from porthole_contract.lifecycle import DEADLINES, LASTING, Phase
from porthole_contract.losses import MOST_LOSSES
from porthole_contract.session import Desired
from tests.support.local_records import NOW, a_record, a_spec, a_template, alive, seen

SECOND = timedelta(seconds=1)
ASLEEP = a_spec(desired="Hibernated")
NO_ROOM = Obstacle(Reason.NO_CAPACITY, "All 20 places for sessions are taken.")


class TestPending:
    def test_is_begun_when_nothing_is_in_the_way(self):
        record = a_record()
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Begin)
        assert action.record.phase is Phase.STARTING
        assert action.record.begun_at == action.record.started_at == NOW

    def test_says_why_it_waits_and_says_it_once(self):
        record = a_record()
        action = decide(record, seen(record, obstacle=NO_ROOM), NOW)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (Phase.PENDING, Reason.NO_CAPACITY)
        assert decide(action.record, seen(record, obstacle=NO_ROOM), NOW) == Wait(None)

    def test_goes_on_by_itself_when_room_appears(self):
        record = a_record(reason=Reason.NO_CAPACITY, message=NO_ROOM.message)
        assert isinstance(decide(record, seen(record), NOW + SECOND), Begin)

    def test_may_be_asked_to_sleep_before_it_began(self):
        record = a_record(spec=ASLEEP)
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Become)
        assert action.record.phase is Phase.HIBERNATED

    def test_clears_first_what_a_kill_left(self):
        record = a_record()
        assert decide(record, seen(record, remains=True), NOW) == Clear(patience=False)


class TestStarting:
    def test_is_running_when_its_screen_is_painted_and_its_gate_lives(self):
        record = a_record(Phase.STARTING)
        action = decide(record, alive(record, drawn=True), NOW + SECOND)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (Phase.RUNNING, Reason.DRAWN)

    def test_waits_for_paint_until_its_deadline(self):
        record = a_record(Phase.STARTING)
        end = NOW + DEADLINES[Phase.STARTING]
        assert decide(record, alive(record), NOW + SECOND) == Wait(end)
        action = decide(record, alive(record), end)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (
            Phase.FAILED,
            Reason.START_TIMED_OUT,
        )

    def test_one_that_a_kill_cut_short_is_lost_not_begun_twice(self):
        record = a_record(Phase.STARTING)
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Lose)
        assert (action.record.restarts, action.record.begun_at) == (1, None)

    def test_does_not_start_again_what_should_sleep_by_now(self):
        record = a_record(Phase.STARTING, spec=ASLEEP)
        action = decide(record, alive(record), NOW)
        assert isinstance(action, Become)
        assert action.record.phase is Phase.HIBERNATING


class TestLosses:
    def test_the_first_is_begun_again_at_once(self):
        record = a_record(Phase.RUNNING, since=timedelta(hours=1))
        lost = decide(record, seen(record, remains=True), NOW)
        assert isinstance(lost, Lose)
        assert (lost.record.phase, lost.record.reason) == (Phase.STARTING, Reason.DESKTOP_LOST)
        assert lost.record.restarts == 1
        assert decide(lost.record, seen(record, remains=True), NOW) == Clear(patience=False)
        again = decide(lost.record, seen(record), NOW)
        assert isinstance(again, Begin)
        assert again.record.restarts == 1
        assert again.record.started_at == record.started_at

    def test_later_ones_wait_longer_each_time_and_then_it_has_failed(self):
        record, now, waits = a_record(Phase.STARTING), NOW, []
        while record.phase is Phase.STARTING:
            lost = decide(record, seen(record), now)
            assert isinstance(lost, Lose)
            record = lost.record
            if record.not_before is not None:
                waits.append(record.not_before - now)
                assert record.reason == Reason.BACK_OFF
                assert decide(record, seen(record), now) == Wait(record.not_before)
                now = record.not_before
            if record.phase is Phase.STARTING:
                again = decide(record, seen(record), now)
                assert isinstance(again, Begin)
                record = again.record
        assert waits == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
        assert (record.phase, record.reason) == (Phase.FAILED, Reason.CRASH_LOOP)
        assert record.restarts == MOST_LOSSES

    def test_a_running_one_that_was_lost_too_often_fails_as_well(self):
        losses = tuple(NOW - n * SECOND for n in range(MOST_LOSSES - 1))
        record = a_record(Phase.RUNNING, losses=losses)
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Lose)
        assert action.record.phase is Phase.FAILED

    def test_old_ones_are_forgiven(self):
        losses = tuple(NOW - timedelta(hours=n) for n in range(1, 20))
        record = a_record(Phase.RUNNING, losses=losses)
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Lose)
        assert (action.record.phase, action.record.losses) == (Phase.STARTING, (NOW,))

    def test_what_we_ended_ourselves_does_not_count(self):
        record = a_record(Phase.RUNNING)
        lost = lose(record, Reason.WINDOWS_LOST, "It was stopped.", NOW, counts=False)
        assert (lost.restarts, lost.losses, lost.not_before) == (1, (), None)
        assert (lost.phase, lost.reason) == (Phase.STARTING, Reason.WINDOWS_LOST)

    def test_a_changed_spec_tries_a_failed_one_again(self):
        record = a_record(Phase.FAILED, losses=(NOW,), restarts=6)
        again = changed(record, 2, NOW)
        assert (again.phase, again.order, again.losses) == (Phase.PENDING, 2, ())
        assert isinstance(decide(again, seen(again), NOW), Begin)


class TestRunning:
    def test_is_left_alone(self):
        record = a_record(Phase.RUNNING)
        assert decide(record, alive(record, drawn=True), NOW + SECOND) == Wait(None)

    def test_mends_what_died_beside_the_desktop_but_not_too_often(self):
        record = a_record(Phase.RUNNING)
        assert decide(record, alive(record, gate=False), NOW) == MendGate()
        assert decide(record, alive(record, network=False), NOW) == MendNetwork()
        assert decide(record, alive(record, gate=False, may_mend=False), NOW) == Wait(None)

    def test_a_new_order_alone_changes_nothing(self):
        record = changed(a_record(Phase.RUNNING), 7, NOW)
        assert (record.order, record.phase) == (7, Phase.RUNNING)
        assert decide(record, alive(record), NOW) == Wait(None)

    @pytest.mark.parametrize("source", ["session", "defaults", "template"])
    def test_sleeps_when_nobody_used_it_for_long_enough(self, source):
        idle = {"after": "10m"}
        record = a_record(
            Phase.RUNNING,
            spec=a_spec(idle=idle) if source == "session" else None,
            template=a_template(
                **{"defaults": {"idle": idle}} if source == "defaults" else {},
                **{"idle": idle} if source == "template" else {},
            ),
            since=timedelta(hours=1),
            last_activity_at=NOW - timedelta(minutes=9),
        )
        end = NOW + timedelta(minutes=1)
        assert decide(record, alive(record), NOW - timedelta(minutes=5)) == Wait(
            end - timedelta(minutes=2)
        )
        told = decide(record, alive(record), NOW)
        assert isinstance(told, Become)
        assert (told.record.phase, told.record.reason) == (Phase.RUNNING, Reason.IDLE)
        assert told.record.message == (
            "Nobody uses it: it is put to sleep within 2 minutes, unless somebody does."
        )
        assert decide(told.record, alive(record), NOW) == Wait(end)
        action = decide(told.record, alive(record), end)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (Phase.HIBERNATING, Reason.IDLE)
        assert action.record.spec.desired is Desired.HIBERNATED
        assert action.record.order == record.order

    def test_whoever_uses_it_again_has_it_kept(self):
        record = a_record(
            Phase.RUNNING,
            spec=a_spec(idle={"after": "40s"}),
            since=timedelta(hours=1),
            last_activity_at=NOW - timedelta(seconds=35),
        )
        told = decide(record, alive(record), NOW)
        assert isinstance(told, Become)
        assert "within 10 seconds" in told.record.message
        used = told.record.evolve(last_activity_at=NOW)
        action = decide(used, alive(record), NOW)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (Phase.RUNNING, Reason.DRAWN)
        assert decide(action.record, alive(record), NOW) == Wait(NOW + timedelta(seconds=30))

    def test_nobody_is_warned_for_an_older_use_than_their_last(self):
        end = timedelta(minutes=10)
        record = a_record(
            Phase.RUNNING,
            spec=a_spec(idle={"after": "10m"}),
            since=timedelta(hours=1),
            last_activity_at=NOW,
        )
        effective, later = alive(record).effective, NOW + 14 * SECOND
        assert not news_of_use(record, effective, later, later)
        assert news_of_use(record, effective, NOW + 15 * SECOND, NOW + 15 * SECOND)
        warned_at = NOW + end - timedelta(minutes=2)
        assert news_of_use(record, effective, later, warned_at)
        used = record.evolve(last_activity_at=later)
        assert decide(used, alive(used), warned_at) == Wait(warned_at + 14 * SECOND)
        told = record.evolve(reason=Reason.IDLE, last_activity_at=later)
        assert not news_of_use(told, effective, later + SECOND / 2, warned_at + 15 * SECOND)
        assert news_of_use(told, effective, later + SECOND, warned_at + 15 * SECOND)

    def test_is_deleted_for_being_idle_if_its_spec_says_so(self):
        record = a_record(
            Phase.RUNNING,
            spec=a_spec(idle={"after": "1m", "action": "Delete"}),
            since=timedelta(hours=1),
        )
        first = decide(record, alive(record), NOW)
        assert isinstance(first, Become)
        second = decide(first.record, alive(record), NOW)
        assert isinstance(second, Become)
        assert (second.record.phase, second.record.reason) == (Phase.TERMINATING, Reason.IDLE)

    @pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.HIBERNATED, Phase.FAILED])
    def test_ends_when_it_lived_long_enough(self, phase):
        spec = a_spec(lifetime="8h", desired="Running" if phase is Phase.RUNNING else "Hibernated")
        record = a_record(phase, spec=spec, started_at=NOW - timedelta(hours=7))
        view = alive(record) if phase is Phase.RUNNING else seen(record)
        if phase is not Phase.FAILED:
            assert decide(record, view, NOW) == Wait(NOW + timedelta(hours=1))
        action = decide(record, view, NOW + timedelta(hours=1))
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.reason) == (
            Phase.TERMINATING,
            Reason.LIFETIME_OVER,
        )


class TestSleep:
    def test_stops_the_desktop_and_keeps_the_home(self):
        record = a_record(Phase.HIBERNATING, spec=ASLEEP)
        assert decide(record, alive(record), NOW) == Clear(patience=True)
        action = decide(record, seen(record), NOW)
        assert isinstance(action, Become)
        assert (action.record.phase, action.record.begun_at) == (Phase.HIBERNATED, None)

    def test_loses_patience_at_its_deadline(self):
        record = a_record(Phase.HIBERNATING, spec=ASLEEP, since=DEADLINES[Phase.HIBERNATING])
        assert decide(record, alive(record), NOW) == Clear(patience=False)

    def test_wakes_when_it_is_wanted_and_there_is_room(self):
        record = a_record(Phase.HIBERNATED)
        held = decide(record, seen(record, obstacle=NO_ROOM), NOW)
        assert isinstance(held, Become)
        assert (held.record.phase, held.record.reason) == (Phase.HIBERNATED, Reason.NO_CAPACITY)
        action = decide(held.record, seen(record), NOW)
        assert isinstance(action, Begin)
        assert action.record.phase is Phase.WAKING

    def test_a_kill_while_going_to_sleep_is_not_a_loss(self):
        record = a_record(Phase.HIBERNATING, spec=ASLEEP)
        lost = lose(record, Reason.WINDOWS_LOST, "It was stopped.", NOW, counts=False)
        assert (lost.phase, lost.restarts) == (Phase.HIBERNATED, 0)


class TestLent:
    """Its files are used while it sleeps."""

    ASKED, BEGUN = Lent(NOW + SECOND), Lent(NOW + SECOND, begun=True)

    def asleep(self, **changes):
        return a_record(phase=Phase.HIBERNATED, spec=ASLEEP, **changes)

    def test_what_serves_them_is_started_and_left_alone(self):
        record = self.asleep()
        assert decide(record, seen(record, lent=self.ASKED), NOW) == Lend()
        assert decide(record, alive(record, lent=self.BEGUN), NOW) == Wait(NOW + SECOND)

    def test_what_an_earlier_agent_had_lent_is_cleared_first(self):
        record = self.asleep()
        assert decide(record, alive(record, lent=self.ASKED), NOW) == Clear(patience=False)
        assert decide(record, alive(record), NOW) == Clear(patience=False)

    @pytest.mark.parametrize("gone", ["desktop", "gate"])
    def test_it_is_over_when_a_part_of_it_ends(self, gone):
        record = self.asleep()
        look = alive(record, lent=self.BEGUN, **{gone: False})
        assert decide(record, look, NOW) == Clear(patience=True)

    def test_it_is_over_at_its_deadline(self):
        record = self.asleep()
        look = alive(record, lent=self.BEGUN)
        assert decide(record, look, NOW + SECOND) == Clear(patience=True)

    def test_a_start_comes_first(self):
        record = self.asleep().evolve(spec=a_spec())
        assert decide(record, alive(record, lent=self.BEGUN), NOW) == Clear(patience=False)
        assert isinstance(decide(record, seen(record, lent=self.ASKED), NOW), Begin)

    def test_so_does_an_end(self):
        record = self.asleep(deletion=Deletion(order=2))
        action = decide(record, alive(record, lent=self.BEGUN), NOW)
        assert isinstance(action, Become)
        assert action.record.phase is Phase.TERMINATING

    @pytest.mark.parametrize("phase", set(Phase) - {Phase.HIBERNATED})
    def test_only_what_sleeps_lends(self, phase):
        record = a_record(phase=phase, spec=ASLEEP)
        assert not may_lend(record)
        assert decide(record, seen(record, lent=self.ASKED), NOW) != Lend()


class TestEnd:
    @pytest.mark.parametrize("phase", set(Phase) - {Phase.TERMINATING, Phase.TERMINATED})
    def test_comes_from_every_phase(self, phase):
        record = a_record(phase, deletion=Deletion(order=2))
        action = decide(record, alive(record), NOW)
        assert isinstance(action, Become)
        assert action.record.phase is Phase.TERMINATING

    def test_clears_everything_before_it_forgets(self):
        record = a_record(Phase.TERMINATING, deletion=Deletion(order=2))
        assert decide(record, alive(record), NOW) == Clear(patience=True)
        late = NOW + DEADLINES[Phase.TERMINATING]
        assert decide(record, alive(record), late) == Clear(patience=False)
        assert decide(record, seen(record), NOW) == Remove()


@dataclass
class World:
    """A machine that does what is decided, and is killed and robbed as a test pleases."""

    record: Record
    now: datetime = NOW
    desktop: bool = False
    gate: bool = False
    drawn: bool = False
    debris: bool = False
    gone: bool = False
    started: list[tuple[int, int]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)

    def look(self) -> Seen:
        return seen(
            self.record,
            desktop=self.desktop,
            gate=self.gate,
            network=True,
            remains=self.debris,
            drawn=self.drawn and self.gate,
        )

    def step(self, killed_after: int) -> bool:  # noqa: C901, PLR0912 - one case an action
        """Do the next action, of which only the first `killed_after` parts happen."""
        action = decide(self.record, self.look(), self.now)
        parts = killed_after
        match action:
            case Wait():
                return False
            case Become(record):
                if parts:
                    self.record = record
            case Begin(record):
                if parts > 0:
                    self.record = record
                if parts > 1:
                    self.started.append((record.order, record.restarts))
                if parts > 2:
                    self.debris = True
                if parts > 3:
                    self.desktop = self.gate = True
            case Lose(record):
                key = (self.record.order, self.record.restarts)
                if parts > 0 and key not in self.lost:
                    self.lost.append(key)
                if parts > 1:
                    self.record = record
            case Clear():
                if parts > 0:
                    self.desktop = self.gate = self.drawn = False
                if parts > 1:
                    self.debris = False
            case MendGate():
                self.gate = parts > 0
            case MendNetwork():
                pass
            case Remove():
                self.gone = parts > 0
        return not self.gone

    def settle(self) -> None:
        for _ in range(60):
            if not self.step(9):
                return
        raise AssertionError("it does not come to rest")


_happening = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 5)),
    st.tuples(st.just("paint"), st.just(0)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("gate"), st.just(0)),
    st.tuples(st.just("time"), st.integers(1, 200)),
    st.tuples(st.just("order"), st.integers(0, 1)),
    st.tuples(st.just("delete"), st.just(0)),
)


@given(st.lists(_happening, max_size=60))
def test_each_start_is_one_and_each_restart_a_loss(happenings):  # noqa: C901 - a table
    world = World(a_record(spec=a_spec(idle={"after": "150s"})))
    for what, how in happenings:
        match what:
            case "step":
                world.step(how)
            case "paint":
                world.drawn = world.desktop
            case "crash":
                world.desktop = world.drawn = False
            case "gate":
                world.gate = False
            case "time":
                world.now += how * SECOND
            case "order":
                spec = a_spec(desired=list(Desired)[how])
                held = world.record.evolve(spec=spec)
                world.record = changed(held, held.order + 1, world.now)
            case "delete":
                world.record = world.record.evolve(deletion=Deletion(order=99))
        if world.gone:
            return
    assert len(set(world.started)) == len(world.started)
    assert set(range(world.record.restarts)) <= {restarts for _, restarts in world.lost}
    world.settle()
    while world.record.phase not in LASTING and not world.gone:
        # Nobody paints: only time passes, and no passing phase outlives it.
        before = world.now
        world.now += 130 * SECOND
        world.settle()
        assert world.now - before < timedelta(minutes=5)
    assert len(set(world.started)) == len(world.started)


class TestAClockThatWasSet:
    @pytest.mark.parametrize("hours", [1, -1])
    def test_what_is_on_its_way_has_as_long_as_before(self, hours: int) -> None:
        record = a_record(Phase.STARTING, since=timedelta(seconds=5))
        jump = timedelta(hours=hours)
        was = decide(record, alive(record), NOW)
        now = decide(moved(record, jump), alive(record), NOW + jump)
        assert isinstance(was, Wait)
        assert isinstance(now, Wait)
        assert was.until is not None
        assert now.until == was.until + jump

    def test_losses_count_as_long_as_before(self) -> None:
        record = a_record(Phase.RUNNING, losses=(NOW,), last_activity_at=NOW)
        jump = timedelta(hours=1)
        after = moved(record, jump)
        assert (after.losses, after.last_activity_at) == ((NOW + jump,), NOW + jump)
        assert after.created_at == record.created_at
