"""What to do next with a session: its record, what is seen of it, the time -> an action.

Pure: no clock, no loop, no files. The keeper asks again after each action, until there is
nothing to do but wait.

A lost desktop is begun again, sooner or later, as `porthole_contract.losses` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from porthole_agent.runtimes.local.record import Deletion, Record
from porthole_contract.conditions import Reason
from porthole_contract.effective import Effective
from porthole_contract.idling import USED_AGAIN, warned_at, warning
from porthole_contract.lifecycle import DEADLINES, Event, Phase
from porthole_contract.losses import WINDOW, count_loss
from porthole_contract.session import Desired

_USED_STEP: Final = timedelta(seconds=15)
"""How much later the last use must be before it is noted."""
_RETURN_STEP: Final = timedelta(seconds=1)
"""The same where somebody is told, or about to be, that it is about to sleep."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a session cannot be begun now."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Lent:
    """That a session's files are used while it sleeps: until when at most; whether it has begun."""

    until: datetime
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a session at one moment.

    `desktop`, `gate`, `network`: its processes live. `remains`: something of it is left on
    this machine besides its record. `drawn`: its screen has been painted, says the gate.
    `may_mend`: the last mending was long enough ago. `lent`: its files are used, or asked for.
    `listens`: its port is listened on; `port_trouble`: why it cannot be, if it is to be.
    `obstacle`: why it could not be begun now. `effective`: None if its spec is over a limit
    (the obstacle says so).
    """

    desktop: bool = False
    gate: bool = False
    network: bool = False
    remains: bool = False
    drawn: bool = False
    may_mend: bool = True
    lent: Lent | None = None
    listens: bool = False
    port_trouble: str | None = None
    obstacle: Obstacle | None = None
    effective: Effective | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something changes or `until` comes."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Become:
    """Write this record; nothing else."""

    record: Record


@dataclass(frozen=True, slots=True)
class Begin:
    """Write this record, journal the start, start the processes."""

    record: Record


@dataclass(frozen=True, slots=True)
class Lose:
    """Journal that this attempt was lost, then write this record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Clear:
    """End what is left of its processes; `patience`: let its programs end on their own."""

    patience: bool


@dataclass(frozen=True, slots=True)
class MendGate:
    """Start its gate again beside the running desktop."""


@dataclass(frozen=True, slots=True)
class MendNetwork:
    """Start its network program again beside the running desktop."""


@dataclass(frozen=True, slots=True)
class Lend:
    """Start what serves its files while it sleeps."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Nothing runs: leave a tombstone and remove the record."""


Action = Wait | Become | Begin | Lose | Clear | MendGate | MendNetwork | Lend | Remove


def decide(record: Record, seen: Seen, now: datetime) -> Action:
    """Return the next action."""
    if (ending := _ending(record, seen, now)) is not None:
        return Become(ending)
    return _BY_PHASE[record.phase](record, seen, now)


def lose(record: Record, reason: Reason, message: str, now: datetime, *, counts: bool) -> Record:
    """Return the record after its processes were lost.

    Args:
        record: in a phase in which something may have been running.
        reason: what to call it.
        message: the sentence.
        now: the moment.
        counts: whether it counts towards back-off and giving up.
    """
    if record.phase is Phase.HIBERNATING:
        return record.happen(
            Event.LOST, Reason.REQUESTED, "It was stopped; its home is kept.", now
        ).evolve(begun_at=None)
    lost = record.evolve(begun_at=None, restarts=record.restarts + 1)
    if not counts:
        return lost.happen(Event.LOST, reason, message, now).evolve(not_before=None)
    verdict = count_loss(record.losses, now)
    lost = lost.evolve(losses=verdict.losses)
    if verdict.failed:
        minutes = WINDOW.seconds // 60
        sentence = f"It ended {len(verdict.losses)} times within {minutes} minutes. {message}"
        return _give_up(lost, Reason.CRASH_LOOP, sentence, now)
    wait = verdict.wait
    return lost.happen(
        Event.LOST, reason if wait is None else Reason.BACK_OFF, message, now
    ).evolve(not_before=None if wait is None else now + wait)


def changed(record: Record, order: int, now: datetime) -> Record:
    """Return the record after its spec has a newer order: what failed is tried again."""
    record = record.evolve(order=order)
    if record.phase is not Phase.FAILED or record.spec.desired is Desired.HIBERNATED:
        return record
    return record.happen(
        Event.CHANGED, Reason.REQUESTED, "Its spec was changed; it is tried again.", now
    ).evolve(losses=(), not_before=None)


def moved(record: Record, by: timedelta) -> Record:
    """Return the record after the machine's clock was set: as long ago as before, by that clock."""
    moments = {
        name: moment + by
        for name in ("begun_at", "phase_since", "not_before", "started_at", "last_activity_at")
        if (moment := getattr(record, name)) is not None
    }
    return record.evolve(losses=tuple(moment + by for moment in record.losses), **moments)


def _ending(record: Record, seen: Seen, now: datetime) -> Record | None:
    """Return the record on its way out, if it is time and it is not on it yet."""
    if record.phase in {Phase.TERMINATING, Phase.TERMINATED}:
        return None
    deletion = record.deletion
    over = _lifetime_end(record, seen)
    if deletion is None and over is not None and now >= over:
        message = "It lived as long as its spec allows."
        deletion = Deletion(order=record.order, reason=Reason.LIFETIME_OVER, message=message)
    if deletion is None:
        return None
    return record.evolve(deletion=deletion).happen(
        Event.END, deletion.reason, deletion.message or "Its end was asked for.", now
    )


def _at_rest(record: Record, seen: Seen, now: datetime) -> Action:
    """Pending or Hibernated: nothing runs, and it may last."""
    if seen.lent is not None and may_lend(record):
        return _lent(record, seen, now, seen.lent)
    if seen.desktop or seen.gate or seen.remains:
        return Clear(patience=False)
    if record.spec.desired is Desired.HIBERNATED:
        if record.phase is Phase.HIBERNATED:
            return _wait(record, seen, now)
        message = "It was asked to sleep before it had begun."
        return Become(record.happen(Event.HIBERNATE, Reason.REQUESTED, message, now))
    if seen.obstacle is not None:
        said = record.evolve(reason=seen.obstacle.reason, message=seen.obstacle.message)
        return _wait(record, seen, now) if said == record else Become(said)
    event = Event.STARTED if record.phase is Phase.PENDING else Event.WAKE
    return Begin(
        _begun(record.happen(event, Reason.STARTING, "Its desktop is starting.", now), now)
    )


def may_lend(record: Record) -> bool:
    """Return whether its files may be used while nothing runs: it sleeps, and is to."""
    asleep = record.phase is Phase.HIBERNATED and record.spec.desired is Desired.HIBERNATED
    return asleep and record.deletion is None


def _lent(record: Record, seen: Seen, now: datetime, lent: Lent) -> Action:
    if not lent.begun:
        remains = seen.desktop or seen.gate or seen.remains
        return Clear(patience=False) if remains else Lend()
    if seen.desktop and seen.gate and now < lent.until:
        return _wait(record, seen, now, lent.until)
    return Clear(patience=True)


def _on_its_way(record: Record, seen: Seen, now: datetime) -> Action:
    """Starting or Waking: begun and not drawn yet, or lost and not begun again yet."""
    if record.spec.desired is Desired.HIBERNATED:
        return Become(_to_sleep(record, now))
    if record.begun_at is None:
        return _again(record, seen, now)
    if not seen.desktop:
        return _lost(record, now)
    if seen.drawn and seen.gate:
        message = "Its screen has been painted."
        return Become(record.happen(Event.DRAWN, Reason.DRAWN, message, now))
    deadline = record.begun_at + DEADLINES[record.phase]
    if now >= deadline:
        seconds = int(DEADLINES[record.phase].total_seconds())
        message = f"Its screen was not painted within {seconds} seconds."
        return Become(
            record.happen(Event.DEADLINE, Reason.START_TIMED_OUT, message, now).evolve(
                begun_at=None
            )
        )
    return _mend(seen) or _wait(record, seen, now, deadline)


def _again(record: Record, seen: Seen, now: datetime) -> Action:
    """Lost: cleared, and begun again when its back-off is over."""
    if seen.desktop or seen.gate or seen.remains:
        return Clear(patience=False)
    if record.not_before is not None and now < record.not_before:
        return _wait(record, seen, now, record.not_before)
    return Begin(_begun(record, now))


def _running(record: Record, seen: Seen, now: datetime) -> Action:
    if record.spec.desired is Desired.HIBERNATED:
        return Become(_to_sleep(record, now))
    if not seen.desktop:
        return _lost(record, now)
    if (mending := _mend(seen)) is not None:
        return mending
    idle_end = _idle_end(record, seen)
    if idle_end is None or now < idle_end:
        return _awake(record, seen, now, idle_end)
    assert seen.effective is not None
    message = "Nobody has used it for as long as its spec allows."
    if seen.effective.idle_action == "Delete":
        deletion = Deletion(order=record.order, reason=Reason.IDLE, message=message)
        return Become(record.evolve(deletion=deletion))
    spec = record.spec.model_copy(update={"desired": Desired.HIBERNATED})
    asleep = record.evolve(spec=spec)
    return Become(asleep.happen(Event.HIBERNATE, Reason.IDLE, message, now))


def _awake(record: Record, seen: Seen, now: datetime, idle_end: datetime | None) -> Action:
    """Whoever looks at it is told before it sleeps, and when it will not."""
    effective, told = seen.effective, record.reason == Reason.IDLE
    if idle_end is None or effective is None or effective.idle_after is None:
        warn_at = None
    else:
        warn_at = warned_at(idle_end, effective.idle_after)
    if warn_at is None or now < warn_at:
        if told:
            return Become(record.evolve(reason=Reason.DRAWN, message=USED_AGAIN))
        return _wait(record, seen, now, warn_at)
    if not told:
        assert effective is not None
        assert effective.idle_after is not None
        message = warning(effective.idle_after, effective.idle_action)
        return Become(record.evolve(reason=Reason.IDLE, message=message))
    return _wait(record, seen, now, idle_end)


def _hibernating(record: Record, seen: Seen, now: datetime) -> Action:
    late = now - record.phase_since >= DEADLINES[Phase.HIBERNATING]
    if seen.desktop or seen.gate or seen.remains:
        return Clear(patience=not late)
    message = "Its desktop is stopped and its home is kept; its windows are not."
    return Become(
        record.happen(Event.STOPPED, record.reason, message, now).evolve(
            begun_at=None, losses=(), not_before=None
        )
    )


def _failed(record: Record, seen: Seen, now: datetime) -> Action:
    if seen.desktop or seen.gate or seen.remains:
        return Clear(patience=False)
    if record.spec.desired is Desired.HIBERNATED:
        message = "It had failed and was asked to sleep."
        return Become(record.happen(Event.HIBERNATE, Reason.REQUESTED, message, now))
    return _wait(record, seen, now)


def _terminating(record: Record, seen: Seen, now: datetime) -> Action:
    if seen.desktop or seen.gate or seen.remains:
        return Clear(patience=now - record.phase_since < DEADLINES[Phase.TERMINATING])
    return Remove()


def _begun(record: Record, now: datetime) -> Record:
    return record.evolve(
        begun_at=now,
        not_before=None,
        started_at=record.started_at or now,
    )


def _lost(record: Record, now: datetime) -> Lose:
    message = "Its desktop ended by itself; it is begun again on its home."
    return Lose(lose(record, Reason.DESKTOP_LOST, message, now, counts=True))


def _to_sleep(record: Record, now: datetime) -> Record:
    message = "It was asked to sleep; its desktop is being stopped."
    return record.happen(Event.HIBERNATE, Reason.REQUESTED, message, now)


def _give_up(record: Record, reason: Reason, message: str, now: datetime) -> Record:
    if record.phase is Phase.RUNNING:
        record = record.happen(Event.LOST, reason, message, now)
    return record.happen(Event.GAVE_UP, reason, message, now).evolve(not_before=None)


def _mend(seen: Seen) -> Action | None:
    if not seen.may_mend:
        return None
    if not seen.gate:
        return MendGate()
    return None if seen.network else MendNetwork()


def _idle_end(record: Record, seen: Seen) -> datetime | None:
    if seen.effective is None or seen.effective.idle_after is None:
        return None
    moments = (record.phase_since, record.last_activity_at)
    return max(moment for moment in moments if moment is not None) + seen.effective.idle_after


def _lifetime_end(record: Record, seen: Seen) -> datetime | None:
    if seen.effective is None or seen.effective.lifetime is None or record.started_at is None:
        return None
    return record.started_at + seen.effective.lifetime


def news_of_use(record: Record, effective: Effective | None, at: datetime, now: datetime) -> bool:
    """Return whether it is to be noted that somebody used it at `at`, the last that is known.

    Not every key is written down; but nobody is warned, or put to sleep, for an older one.
    """
    before = record.last_activity_at
    if before is None:
        return True
    after = effective.idle_after if effective is not None else None
    if after is None:
        return at - before >= _USED_STEP
    near = record.reason == Reason.IDLE or now >= warned_at(before + after, after)
    return at - before >= (_RETURN_STEP if near else min(_USED_STEP, after / 8))


def _wait(record: Record, seen: Seen, now: datetime, *others: datetime | None) -> Wait:
    moments = (*others, _lifetime_end(record, seen))
    return Wait(min((m for m in moments if m is not None and m > now), default=None))


def _over(_record: Record, _seen: Seen, _now: datetime) -> Action:
    return Wait()


_BY_PHASE: Final[Mapping[Phase, Callable[[Record, Seen, datetime], Action]]] = {
    Phase.PENDING: _at_rest,
    Phase.STARTING: _on_its_way,
    Phase.RUNNING: _running,
    Phase.HIBERNATING: _hibernating,
    Phase.HIBERNATED: _at_rest,
    Phase.WAKING: _on_its_way,
    Phase.FAILED: _failed,
    Phase.TERMINATING: _terminating,
    Phase.TERMINATED: _over,
}
