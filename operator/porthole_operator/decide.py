"""What to do next with a Session: the object, what is seen around it, the time -> a plan.

Pure: no clock, no loop, no cluster. A plan has one action at most, what the status is to say
once that is done, and when to look again; whoever carries it out looks again until there is
nothing to do but wait.

Two rules make every crash harmless. A pod carries the number of its attempt, and all have
one name: so the same attempt is never begun twice, and a pod that was made and not yet noted
is known again. And that an attempt is over is noted, by raising the number, before anything
is done about it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from porthole_contract.conditions import Reason
from porthole_contract.idling import USED_AGAIN, warned_at, warning
from porthole_contract.lifecycle import DEADLINES, Event, Phase, advance
from porthole_contract.losses import WINDOW, count_loss
from porthole_contract.names import ANNOTATION_FILES
from porthole_contract.session import Desired, ObjectStatus
from porthole_operator import checks
from porthole_operator.checks import Loss
from porthole_operator.plan import (
    Action,
    Begin,
    DeleteSession,
    EndPod,
    Lend,
    LetGo,
    Mend,
    Plan,
    Sleep,
)
from porthole_operator.seen import Finding, Pod, Seen
from porthole_operator.status import LOOK_AGAIN, spoken
from porthole_operator.subject import Subject

PATIENCE: Final = timedelta(seconds=3)
"""A pod that is younger is not in trouble yet: clusters bind volumes and find nodes in that time.

To say so and to take it back would be three writes for a start with a new home.
"""

LENT_WITHIN: Final = timedelta(seconds=90)
"""A pod that serves files and has not begun after this long is given up."""


@dataclass(frozen=True, slots=True)
class Case:
    """A Session, what is seen around it, and the moment; what its status comes to."""

    subject: Subject
    seen: Seen
    now: datetime
    status: ObjectStatus

    @property
    def asleep(self) -> bool:
        """Whether it is to sleep."""
        spec = self.subject.spec
        return spec is not None and spec.desired is Desired.HIBERNATED

    @property
    def since(self) -> datetime:
        """When its phase was entered."""
        return self.status.phase_since or self.subject.created_at

    @property
    def pod(self) -> Pod | None:
        """The pod of the present attempt."""
        pod = self.seen.pod
        return pod if pod is not None and pod.attempt == self.status.attempt.number else None

    def say(self, reason: str, message: str) -> "Case":
        """Return the case with other words."""
        return self.become(reason=reason, message=message)

    def become(self, **changes: object) -> "Case":
        """Return the case with `changes` to the status."""
        status = self.status.model_copy(update=changes)
        return Case(self.subject, self.seen, self.now, status)

    def remember(self, **changes: object) -> "Case":
        """Return the case with `changes` to what is remembered of attempts."""
        return self.become(attempt=self.status.attempt.model_copy(update=changes))

    def happen(self, event: Event, reason: str, message: str) -> "Case":
        """Return the case after `event`.

        Raises:
            Forbidden: it cannot happen in this phase.
        """
        phase = advance(self.status.phase, event)
        since = self.since if phase is self.status.phase else self.now
        return self.become(phase=phase, phase_since=since, reason=reason, message=message)

    def end_attempt(self) -> "Case":
        """Return the case with the present attempt noted as over."""
        number = self.status.attempt.number + 1
        return self.remember(number=number, begun_at=None)

    def plan(self, action: Action | None = None, *again: datetime | None) -> Plan:
        """Return the plan that leaves the status as it is here; look again at the earliest."""
        moments = [m for m in (*again, _lifetime_end(self)) if m is not None and m > self.now]
        status, quiet_until = spoken(self.subject, self.seen, self.status, self.now)
        if quiet_until is not None:
            moments.append(quiet_until)
        return Plan(status=status, action=action, again=min(moments, default=None))


def decide(subject: Subject, seen: Seen, now: datetime) -> Plan:
    """Return what to do next."""
    case = _accept(Case(subject, seen, now, subject.status))
    if subject.deleting_since is not None:
        return _terminating(case)
    end = _lifetime_end(case)
    if end is not None and now >= end:
        sentence = "It lived as long as its spec allows."
        return case.plan(DeleteSession(Reason.LIFETIME_OVER, sentence))
    return _BY_PHASE[case.status.phase](case)


def refused(subject: Subject, seen: Seen, found: Finding, now: datetime) -> Plan:
    """Return the plan after the cluster did not accept what `decide` wanted to make."""
    case = _accept(Case(subject, seen, now, subject.status))
    return _blocked(case, found)


def _accept(case: Case) -> Case:
    """Take note of a newer spec or order; what had failed is tried again."""
    subject, status = case.subject, case.status
    known = status.observed_generation
    newer = known is None or subject.generation > known or subject.order > status.order
    if not newer:
        return case
    case = case.become(
        observed_generation=subject.generation, order=max(subject.order, status.order)
    )
    if status.phase is not Phase.FAILED or case.asleep:
        return case
    sentence = "Its spec was changed; it is tried again."
    case = case.happen(Event.CHANGED, Reason.REQUESTED, sentence)
    return case.remember(losses=(), not_before=None)


def _at_rest(case: Case) -> Plan:
    """Pending or Hibernated: it may last; a pod may have been made that has not begun."""
    if case.asleep:
        if case.status.phase is Phase.PENDING:
            if case.pod is not None:
                case = case.end_attempt()
            sentence = "It was asked to sleep before it had begun."
            return case.happen(Event.HIBERNATE, Reason.REQUESTED, sentence).plan()
        return _lent(case) or _clear(case) or case.plan()
    return _unbegun(case)


def _lent(case: Case) -> Plan | None:
    """Its files are asked for while it sleeps; None if they are not.

    That a wish is over is noted, by taking it back, before its pod is ended.
    """
    until, pod = case.subject.files_until, case.seen.pod
    if until is None or case.status.phase is not Phase.HIBERNATED:
        return None
    if case.now >= until or case.subject.home is None:
        return case.plan(LetGo())
    if pod is None:
        obstacle = checks.first(checks.OBSTACLES, case.subject, case.seen)
        return case.plan(Lend() if obstacle is None else LetGo())
    earlier = pod.over and pod.wish not in {None, case.subject.annotations.get(ANNOTATION_FILES)}
    if not pod.files or pod.deleting_since is not None or earlier:
        return _clear(case)
    patient_until = pod.created_at + LENT_WITHIN
    if pod.over or (not pod.begun and case.now >= patient_until):
        return case.plan(LetGo())
    return case.plan(None, until, None if pod.begun else patient_until)


def _made(case: Case, pod: Pod) -> Plan:
    """A pod of the present attempt is there, and it is not noted as begun."""
    if not pod.begun:
        if case.seen.shape not in {"", pod.shape}:
            return case.end_attempt().plan()
        trouble = checks.first(checks.TROUBLES, case.subject, case.seen)
        if trouble is not None:
            return _blocked(case, trouble)
        if case.status.reason in checks.TROUBLED:
            return case.plan(None, case.now + LOOK_AGAIN)
    return _begun(case).plan(None, case.now + LOOK_AGAIN)


def _begin(case: Case) -> Plan:
    """Nothing of it runs: begin, unless something is in the way."""
    if case.subject.status.phase is Phase.FAILED and case.subject.home is not None:
        # Who failed has let go of its home: that it wants it again is noted first.
        return case.plan()
    wait = case.status.attempt.not_before
    if wait is not None and case.now < wait:
        return case.plan(None, wait)
    obstacle = checks.first(checks.OBSTACLES, case.subject, case.seen)
    if obstacle is not None:
        return _blocked(case, obstacle)
    return _begun(case).plan(Begin())


def _begun(case: Case) -> Case:
    event = {Phase.PENDING: Event.STARTED, Phase.HIBERNATED: Event.WAKE}.get(case.status.phase)
    if event is not None:
        case = case.happen(event, Reason.STARTING, "Its desktop is starting.")
    template = case.seen.template
    return case.become(
        pod_name=case.subject.name,
        template=template.pin if template is not None else case.status.template,
        home=case.subject.home,
    ).remember(begun_at=case.now, not_before=None)


def _blocked(case: Case, found: Finding) -> Plan:
    """It cannot be begun now: it waits and says why."""
    if case.status.phase in {Phase.STARTING, Phase.WAKING}:
        case = case.happen(Event.BLOCKED, found.reason, found.message)
    case = case.say(found.reason, found.message).remember(begun_at=None)
    return case.plan(None, case.now + LOOK_AGAIN)


def _on_its_way(case: Case) -> Plan:
    """Starting or Waking: begun and not drawn yet, or lost and not begun again yet."""
    if case.asleep:
        return _to_sleep(case)
    begun_at = case.status.attempt.begun_at
    if begun_at is None:
        return _unbegun(case)
    if (loss := checks.lost(case.subject, case.seen)) is not None:
        return _lost(case, loss)
    pod = case.pod
    assert pod is not None, "what is not lost is there"
    return _undrawn(case, pod, begun_at)


def _unbegun(case: Case) -> Plan:
    """Nothing is noted as begun: a pod was made and not noted, or has to be."""
    if case.pod is not None and case.pod.deleting_since is None:
        return _made(case, case.pod)
    return _clear(case) or _begin(case)


def _undrawn(case: Case, pod: Pod, begun_at: datetime) -> Plan:
    if pod.ready or (case.seen.gate is not None and case.seen.gate.drawn):
        return _drawn(case, begun_at)
    if not pod.begun:
        trouble = checks.first(checks.TROUBLES, case.subject, case.seen)
        if trouble is not None:
            patient_until = begun_at + PATIENCE
            if case.now < patient_until:
                return case.plan(None, patient_until)
            return _blocked(case, trouble)
    deadline = begun_at + DEADLINES[case.status.phase]
    if case.now >= deadline:
        seconds = int(DEADLINES[case.status.phase].total_seconds())
        sentence = f"Its screen was not painted within {seconds} s.{checks.undrawn(case.seen)}"
        return case.happen(Event.DEADLINE, Reason.START_TIMED_OUT, sentence).end_attempt().plan()
    return case.plan(None, deadline, None if pod.begun else case.now + LOOK_AGAIN)


def _drawn(case: Case, begun_at: datetime) -> Plan:
    took = max(0.0, (case.now - begun_at).total_seconds())
    sentence = f"Its screen was painted {took:.1f} s after it was begun."
    case = case.happen(Event.DRAWN, Reason.DRAWN, sentence).remember(drawn=True)
    case = case.become(started_at=case.status.started_at or case.now)
    return case.plan(None, _idle_end(case))


def _running(case: Case) -> Plan:
    if case.asleep:
        return _to_sleep(case)
    if (loss := checks.lost(case.subject, case.seen)) is not None:
        return _lost(case, loss)
    if case.seen.lacking:
        return case.plan(Mend())
    end = _idle_end(case)
    if end is None or case.now < end:
        return _awake(case, end)
    assert case.seen.effective is not None, "whose idle time is known has settings"
    sentence = "Nobody has used it for as long as its spec allows."
    if case.seen.effective.idle_action == "Delete":
        return case.plan(DeleteSession(Reason.IDLE, sentence))
    return case.end_attempt().happen(Event.HIBERNATE, Reason.IDLE, sentence).plan(Sleep())


def _awake(case: Case, end: datetime | None) -> Plan:
    """Whoever looks at it is told before it sleeps, and when it will not."""
    effective, told = case.seen.effective, case.status.reason == Reason.IDLE
    if end is None or effective is None or effective.idle_after is None:
        warn_at = None
    else:
        warn_at = warned_at(end, effective.idle_after)
    if warn_at is None or case.now < warn_at:
        # A gate that is not heard says nothing of whether somebody has come back.
        if told and case.seen.gate is not None:
            case = case.say(Reason.DRAWN, USED_AGAIN)
        return case.plan(None, warn_at)
    assert effective is not None
    assert effective.idle_after is not None
    sentence = warning(effective.idle_after, effective.idle_action)
    # A gate does not call when it is used: it is asked while that would change something.
    return case.say(Reason.IDLE, sentence).plan(None, end, case.now + LOOK_AGAIN)


def _lost(case: Case, loss: Loss) -> Plan:
    """Note that the attempt is over, before anything is done about it."""
    case = case.become(restarts=case.status.restarts + 1).end_attempt()
    if not loss.counts:
        return case.happen(Event.LOST, loss.reason, loss.message).plan()
    verdict = count_loss(case.status.attempt.losses, case.now)
    case = case.remember(losses=verdict.losses)
    if verdict.failed:
        if case.status.phase is Phase.RUNNING:
            case = case.happen(Event.LOST, loss.reason, loss.message)
        minutes = WINDOW.seconds // 60
        sentence = f"It ended {len(verdict.losses)} times within {minutes} minutes. {loss.message}"
        return case.happen(Event.GAVE_UP, Reason.CRASH_LOOP, sentence).plan()
    if verdict.wait is None:
        return case.happen(Event.LOST, loss.reason, loss.message).plan()
    case = case.remember(not_before=case.now + verdict.wait)
    return case.happen(Event.LOST, Reason.BACK_OFF, loss.message).plan()


def _to_sleep(case: Case) -> Plan:
    sentence = "It was asked to sleep; its desktop is being stopped."
    return case.end_attempt().happen(Event.HIBERNATE, Reason.REQUESTED, sentence).plan()


def _hibernating(case: Case) -> Plan:
    if case.subject.files_until is not None:  # a wish of the sleep before this one
        return case.plan(LetGo())
    if case.pod is not None:  # it was begun before we could note that it is to sleep
        return case.end_attempt().plan()
    sentence = "Its desktop is stopped and its home is kept; its windows are not."
    resting = case.remember(losses=(), not_before=None)
    if case.seen.pod is None:
        return resting.happen(Event.STOPPED, case.status.reason, sentence).plan()
    deadline = case.since + DEADLINES[Phase.HIBERNATING]
    if case.now >= deadline:
        late = f"It took too long to stop and is left to its node. {sentence}"
        return resting.happen(Event.DEADLINE, case.status.reason, late).plan()
    return _clear(case, deadline) or case.plan(None, deadline)


def _failed(case: Case) -> Plan:
    if case.asleep:
        sentence = "It had failed and was asked to sleep."
        return case.happen(Event.HIBERNATE, Reason.REQUESTED, sentence).plan()
    return _clear(case) or case.plan()


def _terminating(case: Case) -> Plan:
    """Its end was asked for: what runs is ended, the rest is its children's fate."""
    since = case.subject.deleting_since or case.since
    if case.status.phase is not Phase.TERMINATING:
        case = case.happen(Event.END, Reason.REQUESTED, "Its end was asked for.")
    pod = case.seen.pod
    if pod is None:
        if case.subject.finalizers:
            names = ", ".join(case.subject.finalizers)
            sentence = f"Nothing of it runs; the object is kept by finalizers of others: {names}."
            case = case.say(Reason.STILL_ENDING, sentence)
        return case.plan()
    deadline = since + DEADLINES[Phase.TERMINATING]
    if case.now >= deadline:
        found = checks.before_is_not_over(case.subject, case.seen)
        if found is not None:
            case = case.say(found.reason, found.message)
        if _may_be_forced(case.seen, pod):
            return case.plan(EndPod(pod.uid, grace=0))
    if pod.deleting_since is None:
        return case.plan(EndPod(pod.uid), deadline)
    return case.plan(None, deadline, case.now + LOOK_AGAIN if case.now >= deadline else None)


def _clear(case: Case, *again: datetime) -> Plan | None:
    """Return the plan that ends what is left of earlier attempts; None if nothing is.

    A pod on a node that is fenced ends at once; on one that only does not answer it may
    still be running, so it is waited for.
    """
    pod = case.seen.pod
    if pod is None:
        return None
    if pod.deleting_since is None:
        return case.plan(EndPod(pod.uid), *again)
    if _may_be_forced(case.seen, pod):
        return case.plan(EndPod(pod.uid, grace=0), *again)
    found = checks.before_is_not_over(case.subject, case.seen)
    over = pod.deleting_since  # Kubernetes writes here when its grace is over
    if found is None or (found.reason == Reason.STILL_ENDING and case.now < over + LOOK_AGAIN):
        return case.plan(None, over + LOOK_AGAIN, *again)
    if case.status.phase in {Phase.STARTING, Phase.WAKING, Phase.PENDING}:
        return _blocked(case, found)
    return case.plan(None, case.now + LOOK_AGAIN, *again)


def _may_be_forced(seen: Seen, pod: Pod) -> bool:
    return seen.node is not None and seen.node.fenced and pod.grace != 0


def _idle_end(case: Case) -> datetime | None:
    """Return when it will have been idle for too long; None while its gate is not heard.

    Somebody may be using a desktop whose gate we cannot hear.
    """
    effective, gate = case.seen.effective, case.seen.gate
    if effective is None or effective.idle_after is None or gate is None:
        return None
    if case.status.phase is not Phase.RUNNING:
        return None
    used = case.now - timedelta(seconds=gate.idle_seconds)
    return max(case.since, used) + effective.idle_after


def _lifetime_end(case: Case) -> datetime | None:
    effective, started = case.seen.effective, case.status.started_at
    if effective is None or effective.lifetime is None or started is None:
        return None
    return started + effective.lifetime


def _over(case: Case) -> Plan:
    return case.plan()


_BY_PHASE: Final[Mapping[Phase, Callable[[Case], Plan]]] = {
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
