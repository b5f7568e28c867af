"""What the operator does next with a Session, with time as an argument.

In: the Session, what is seen around it, the moment. Out: a plan. How plans are carried out is
tested against a real API server in tests/integration.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole_contract.conditions import ConditionType, Reason
from porthole_contract.lifecycle import DEADLINES, LASTING, Phase
from porthole_contract.losses import MOST_LOSSES
from porthole_contract.names import ANNOTATION_FILES
from porthole_contract.session import Attempt, Idle
from porthole_contract.template import Limits
from porthole_contract.testing.builders import NOON
from porthole_operator import checks
from porthole_operator.decide import LENT_WITHIN, PATIENCE, decide, refused
from porthole_operator.plan import Begin, DeleteSession, EndPod, Lend, LetGo, Mend, Sleep
from porthole_operator.seen import Container, Finding, Node, Note, Seen
from tests.support.operator_worlds import (
    a_cluster_template,
    a_drawn_pod,
    a_home,
    a_pod,
    a_running_pod,
    a_subject,
    begun,
    carry_on,
    gate_says,
    later,
    said,
    seen,
)

SECOND = timedelta(seconds=1)
ASLEEP = {"desired": "Hibernated"}
HOME = {"home": "work"}
SILENT = Node("worker-1", answers=False, fenced=False)
FENCED = Node("worker-1", answers=False, fenced=True)


def starting(**fields):
    return a_subject(Phase.STARTING, status={"attempt": begun(**fields)})


def running(spec=None, **fields):
    status = {"attempt": begun(drawn=True), "started_at": NOON, "reason": "Drawn", **fields}
    return a_subject(Phase.RUNNING, status=status, spec=spec or {})


def condition(plan, kind):
    return next(one for one in plan.status.conditions if one.type is kind)


class TestPending:
    def test_is_begun_when_nothing_is_in_the_way(self):
        subject = a_subject()
        plan = decide(subject, seen(subject), NOON)
        assert plan.action == Begin()
        assert said(plan) == (Phase.STARTING, Reason.STARTING)
        assert plan.status.attempt == begun()
        assert (plan.status.started_at, plan.status.observed_generation) == (None, 1)
        assert plan.status.template.name == "desktop"

    def test_a_pod_that_was_made_and_not_noted_is_known_again(self):
        subject = a_subject()
        plan = decide(subject, seen(subject, pod=a_pod()), later(seconds=9))
        assert plan.action is None
        assert said(plan) == (Phase.STARTING, Reason.STARTING)

    def test_takes_note_of_the_order_that_it_holds(self):
        subject = a_subject(annotations={"porthole.dev/order": "7"})
        assert decide(subject, seen(subject), NOON).status.order == 7

    def test_may_be_asked_to_sleep_before_it_began(self):
        subject = a_subject(spec=ASLEEP)
        plan = decide(subject, seen(subject), NOON)
        assert (plan.action, plan.status.phase) == (None, Phase.HIBERNATED)

    def test_a_pod_made_for_what_should_sleep_by_now_is_ended(self):
        subject = a_subject(spec=ASLEEP)
        around = seen(subject, pod=a_pod())
        plan = decide(subject, around, NOON)
        assert plan.status.phase is Phase.HIBERNATED
        assert decide(carry_on(subject, plan), around, NOON).action == EndPod(around.pod.uid)

    def test_one_whose_image_was_corrected_is_made_anew(self):
        subject = a_subject(status={"observed_generation": 1, "reason": Reason.IMAGE_UNAVAILABLE})
        around = seen(subject, pod=a_pod(shape="old"))
        plan = decide(subject, around, NOON)
        assert (plan.action, plan.status.attempt.number) == (None, 1)
        again = decide(carry_on(subject, plan), around, NOON)
        assert again.action == EndPod(around.pod.uid)
        gone = decide(carry_on(subject, again), seen(subject), NOON)
        assert gone.action == Begin()


OBSTACLES = {
    "the spec is none": ({"spec": None, "fault": "spec.owner: Field required."}, {}, "SpecInvalid"),
    "an object of its name is not ours": ({}, {"foreign": ("The Secret one",)}, "ForeignObject"),
    "a namesake is still ending": ({}, {"leftovers": ("The Pod one",)}, "StillEnding"),
    "the template is unknown": (
        {},
        {"template": None, "no_template": Finding("TemplateUnknown", "There is none.")},
        "TemplateUnknown",
    ),
    "the profile is not served": ({}, {"profile": "sandbox"}, "TemplateNotOffered"),
    "the template has no image": ({}, {"image": None}, "TemplateNotOffered"),
    "it asks for too much": (
        {},
        {"over_limit": Finding("LimitExceeded", "Too much."), "effective": None},
        "LimitExceeded",
    ),
    "another holds the home": ({"spec": HOME}, {"home": {"taken": "two has it."}}, "HomeInUse"),
    "the home is another's": ({"spec": HOME}, {"home": {"owner": "eve"}}, "HomeForeign"),
    "the claim is not ours": ({"spec": HOME}, {"home": {"ours": False}}, "ForeignObject"),
    "the home is lost": ({"spec": HOME}, {"home": {"phase": "Lost"}}, "HomeUnreachable"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_is_told_and_waited_for(name):
    fields, around, reason = OBSTACLES[name]
    subject = a_subject(**fields)
    template = a_cluster_template(
        **{key: around[key] for key in ("profile", "image") if key in around}
    )
    given_home = {"home": a_home(subject, **around["home"])} if "home" in around else {}
    rest = {k: v for k, v in around.items() if k not in {"profile", "image", "home"}}
    whole = Seen(**rest) if subject.spec is None else seen(subject, template, **rest, **given_home)
    plan = decide(subject, whole, NOON)
    assert plan.action is None
    assert said(plan) == (Phase.PENDING, reason)
    assert plan.status.message.endswith(".")
    assert plan.again == later(seconds=5)
    ready = condition(plan, ConditionType.READY)
    assert (ready.status, ready.reason, ready.message) == ("False", reason, plan.status.message)
    assert decide(carry_on(subject, plan), whole, NOON).status == plan.status
    if subject.spec is not None:
        corrected = decide(carry_on(subject, plan), seen(subject, home=None), later(minutes=9))
        assert corrected.action == Begin()


TROUBLES = {
    "no node": ({"node": None, "unschedulable": "0/2 nodes: too few CPU"}, "Unschedulable"),
    "the home's node is away": (
        {"node": None, "unschedulable": "1 node(s) had volume node affinity conflict"},
        "HomeUnreachable",
    ),
    "the home's node is cordoned": (
        {
            "node": None,
            "unschedulable": "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's"
            " node affinity, 1 node(s) were unschedulable.",
        },
        "HomeUnreachable",
    ),
    "no volume": (
        {"node": None, "unschedulable": "pod has unbound immediate PersistentVolumeClaims"},
        "VolumeUnavailable",
    ),
    "the image is not to be had": (
        {"desktop": Container(image="a:1", waiting="ErrImagePull", says="not found")},
        "ImageUnavailable",
    ),
    "the gate's image is not to be had": (
        {"gate": Container(image="g:1", waiting="ImagePullBackOff")},
        "ImageUnavailable",
    ),
    "a Secret of the template is missing": (
        {"desktop": Container(waiting="CreateContainerConfigError", says='secret "k" not found')},
        "PodRefused",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_pod_that_cannot_begin_waits_and_says_why(name):
    fields, reason = TROUBLES[name]
    subject = starting()
    around = seen(subject, pod=a_pod(**fields))
    plan = decide(subject, around, later(seconds=5))
    assert plan.action is None
    assert said(plan) == (Phase.PENDING, reason)
    assert reason in checks.TROUBLED
    waiting = carry_on(subject, plan)
    # It may last: no deadline runs.
    assert decide(waiting, around, later(hours=3)).status.phase is Phase.PENDING
    # While nothing is known to be better it is not called better.
    calm = decide(waiting, seen(subject, pod=a_pod()), later(hours=3))
    assert said(calm) == (Phase.PENDING, reason)
    better = decide(waiting, seen(subject, pod=a_running_pod()), later(hours=3))
    assert said(better) == (Phase.STARTING, Reason.STARTING)
    assert better.status.attempt.begun_at == later(hours=3)


def test_what_a_cluster_settles_by_itself_is_no_trouble_yet():
    subject = starting()
    unbound = a_pod(node=None, unschedulable="pod has unbound immediate PersistentVolumeClaims")
    around = seen(subject, pod=unbound)
    plan = decide(subject, around, later(seconds=0.5))
    assert plan.status.phase is Phase.STARTING
    assert plan.again == later(seconds=PATIENCE.total_seconds())
    assert said(decide(subject, around, plan.again)) == (Phase.PENDING, Reason.VOLUME_UNAVAILABLE)


@pytest.mark.parametrize(
    ("reason", "message", "found"),
    [
        ("Pulling", 'Pulling image "desktop-vnc"', "PullingImage"),
        ("FailedMount", "timed out waiting for the condition", "VolumeUnavailable"),
    ],
)
def test_what_the_kubelet_says_is_told(reason, message, found):
    subject = starting()
    around = seen(subject, pod=a_pod(), notes=(Note(reason, message, NOON),))
    plan = decide(subject, around, later(seconds=5))
    assert said(plan) == (Phase.PENDING, found)
    assert message in plan.status.message


def test_what_the_cluster_refuses_is_told():
    subject = a_subject()
    found = Finding(Reason.POD_REFUSED, "The cluster does not accept its pod: no.")
    plan = refused(subject, seen(subject), found, NOON)
    assert said(plan) == (Phase.PENDING, Reason.POD_REFUSED)
    assert plan.status.attempt.begun_at is None
    assert decide(carry_on(subject, plan), seen(subject), later(seconds=5)).action == Begin()


class TestStarting:
    @pytest.mark.parametrize(
        "drawn", [{"pod": a_drawn_pod()}, {"pod": a_running_pod(), "gate": gate_says()}]
    )
    def test_is_running_when_its_screen_is_painted(self, drawn):
        subject = starting()
        plan = decide(subject, seen(subject, **drawn), later(seconds=1.5))
        assert said(plan) == (Phase.RUNNING, Reason.DRAWN)
        assert plan.status.message == "Its screen was painted 1.5 s after it was begun."
        assert plan.status.gate.address == "10.0.0.5:7443"
        assert plan.status.attempt.drawn
        assert plan.status.started_at == later(seconds=1.5)
        assert condition(plan, ConditionType.READY).status == "True"

    def test_waits_for_paint_until_its_deadline_and_has_failed_then(self):
        subject = starting()
        around = seen(subject, pod=a_running_pod())
        end = NOON + DEADLINES[Phase.STARTING]
        assert decide(subject, around, end - SECOND).again == end
        plan = decide(subject, around, end)
        assert said(plan) == (Phase.FAILED, Reason.START_TIMED_OUT)
        over = decide(carry_on(subject, plan), around, end)
        assert over.action == EndPod(around.pod.uid)

    def test_says_what_is_known_of_why_it_was_not_painted(self):
        subject = starting()
        gate = Container(waiting="CrashLoopBackOff", restarts=4)
        around = seen(subject, pod=a_running_pod(gate=gate))
        plan = decide(subject, around, later(minutes=2))
        assert plan.status.message.endswith("Its gate ended 4 times.")

    def test_what_changes_on_the_way_is_kept_back_for_a_moment(self):
        subject = a_subject()
        begun_now = carry_on(subject, decide(subject, seen(subject), NOON))
        around = seen(subject, pod=a_running_pod())
        quiet = decide(begun_now, around, later(seconds=1))
        assert quiet.status == begun_now.status
        assert quiet.again == later(seconds=4)
        told = decide(begun_now, around, later(seconds=4))
        assert condition(told, ConditionType.SCHEDULED).status == "True"

    def test_does_not_go_on_with_what_should_sleep_by_now(self):
        subject = a_subject(Phase.STARTING, status={"attempt": begun()}, spec=ASLEEP)
        around = seen(subject, pod=a_running_pod())
        plan = decide(subject, around, NOON)
        assert plan.status.phase is Phase.HIBERNATING
        assert decide(carry_on(subject, plan), around, NOON).action == EndPod(around.pod.uid)

    def test_a_spec_that_changes_meanwhile_is_for_the_next_start(self):
        subject = replace(starting(), generation=2)
        plan = decide(subject, seen(subject, pod=a_running_pod(), shape="new"), later(seconds=1))
        assert (plan.action, plan.status.phase) == (None, Phase.STARTING)
        assert plan.status.observed_generation == 2


class TestRunning:
    def test_a_healthy_desktop_is_left_alone_whatever_its_template_says_now(self):
        subject = running()
        around = seen(subject, a_cluster_template(title="New"), pod=a_drawn_pod(), shape="new")
        plan = decide(subject, around, later(days=30))
        assert plan.action is None
        assert said(plan) == (Phase.RUNNING, Reason.DRAWN)
        gone = replace(around, template=None, no_template=Finding("TemplateUnknown", "Gone."))
        assert decide(subject, gone, later(days=30)).action is None

    def test_a_gate_that_is_started_again_is_told_and_nothing_is_lost(self):
        subject = running()
        pod = a_drawn_pod(ready=False, gate=Container(waiting="CrashLoopBackOff", restarts=7))
        plan = decide(subject, seen(subject, pod=pod), later(hours=1))
        assert (plan.action, plan.status.phase) == (None, Phase.RUNNING)
        ready = condition(plan, ConditionType.READY)
        assert (ready.status, ready.reason) == ("False", Reason.CRASH_LOOP)

    def test_what_somebody_took_from_beside_it_is_made_again(self):
        subject = running()
        around = seen(subject, pod=a_drawn_pod(), lacking=True)
        assert decide(subject, around, later(hours=1)).action == Mend()

    def test_tells_who_looks_and_when_somebody_did_something(self):
        subject = running()
        around = seen(subject, pod=a_drawn_pod(), gate=gate_says(idle=30, viewers=2))
        plan = decide(subject, around, later(hours=1))
        assert plan.status.viewers == 2
        assert plan.status.last_activity_at == later(minutes=59, seconds=30)
        soon = replace(around, gate=gate_says(idle=10, viewers=2))
        assert decide(carry_on(subject, plan), soon, later(hours=1)).status == plan.status


LOSSES = {
    "its pod was deleted": (None, "DesktopLost", False),
    "its pod is being deleted": ({"deleting_since": NOON}, "DesktopLost", False),
    "a pod that is not the attempt's": ({"attempt": 9}, "DesktopLost", False),
    "it ended": ({"over": True, "desktop": Container(exit_code=75)}, "DesktopLost", True),
    "it used too much memory": (
        {"over": True, "desktop": Container(exit_code=137, exit_reason="OOMKilled")},
        "DesktopLost",
        True,
    ),
    "its node did not run it": ({"over": True, "says": "OutOfcpu"}, "DesktopLost", True),
    "it filled its node": ({"over": True, "evicted": "The node was low on disk."}, "Evicted", True),
    "its node was drained": (
        {"deleting_since": NOON, "disrupted": Finding("EvictionByEvictionAPI", "drained")},
        "Evicted",
        False,
    ),
    "its node was lost": (
        {"deleting_since": NOON, "disrupted": Finding("DeletionByTaintManager", "")},
        "NodeLost",
        False,
    ),
}


class TestLosses:
    @pytest.mark.parametrize("name", LOSSES)
    def test_a_loss_is_noted_before_anything_is_done_about_it(self, name):
        fields, reason, counts = LOSSES[name]
        pod = None if fields is None else a_drawn_pod(**fields)
        subject = running()
        plan = decide(subject, seen(subject, pod=pod), later(hours=1))
        assert plan.action is None
        assert said(plan) == (Phase.STARTING, reason)
        assert (plan.status.restarts, plan.status.attempt.number) == (1, 1)
        assert plan.status.attempt.begun_at is None
        assert bool(plan.status.attempt.losses) is counts

    def test_what_is_left_is_ended_before_the_next_one_is_begun(self):
        subject = running()
        around = seen(subject, pod=a_drawn_pod(over=True))
        lost = carry_on(subject, decide(subject, around, NOON))
        ending = decide(lost, around, NOON)
        assert ending.action == EndPod(around.pod.uid)
        deleting = seen(subject, pod=a_drawn_pod(over=True, deleting_since=NOON))
        assert decide(lost, deleting, NOON).action is None
        again = decide(lost, seen(subject), NOON)
        assert again.action == Begin()
        assert (again.status.phase, again.status.attempt.number) == (Phase.STARTING, 1)
        assert again.status.started_at == subject.status.started_at

    def test_later_ones_wait_longer_each_time_and_then_it_has_failed(self):
        subject, now, waits = starting(), NOON, []
        while subject.status.phase is Phase.STARTING:
            pod = a_running_pod(over=True, attempt=subject.status.attempt.number)
            lost = decide(subject, seen(subject, pod=pod), now)
            subject = carry_on(subject, lost)
            wait = lost.status.attempt.not_before
            if wait is not None:
                waits.append((wait - now).total_seconds())
                assert decide(subject, seen(subject), now).again == wait
                now = wait
            if lost.status.phase is Phase.STARTING:
                again = decide(subject, seen(subject), now)
                assert again.action == Begin()
                subject = carry_on(subject, again)
        assert waits == [1, 2, 4, 8]
        assert (subject.status.phase, subject.status.reason) == (Phase.FAILED, Reason.CRASH_LOOP)
        assert subject.status.restarts == MOST_LOSSES

    def test_being_drained_again_and_again_is_not_its_fault(self):
        subject = running()
        for _ in range(3 * MOST_LOSSES):
            number = subject.status.attempt.number
            pod = a_drawn_pod(attempt=number, deleting_since=NOON, disrupted=Finding("E", "e"))
            subject = carry_on(subject, decide(subject, seen(subject, pod=pod), NOON))
            subject = carry_on(subject, decide(subject, seen(subject), NOON))
            drawn = seen(subject, pod=a_drawn_pod(attempt=number + 1))
            subject = carry_on(subject, decide(subject, drawn, NOON))
        assert subject.status.phase is Phase.RUNNING


class TestLostNode:
    def lost(self, spec=None):
        subject = running(spec)
        around = seen(subject, pod=a_drawn_pod(deleting_since=NOON), node=SILENT)
        return carry_on(subject, decide(subject, around, NOON)), around

    def test_is_waited_for_because_the_desktop_may_still_run_there(self):
        subject, around = self.lost(HOME)
        plan = decide(subject, around, later(minutes=1))
        assert plan.action is None
        assert said(plan) == (Phase.PENDING, Reason.NODE_LOST)
        assert "out-of-service" in plan.status.message
        assert "home" in plan.status.message

    def test_once_it_is_fenced_the_pod_is_forgotten_and_it_goes_on(self):
        subject, around = self.lost()
        waiting = carry_on(subject, decide(subject, around, later(minutes=1)))
        fenced = replace(around, node=FENCED)
        assert decide(waiting, fenced, later(hours=1)).action == EndPod(around.pod.uid, grace=0)
        assert decide(waiting, seen(subject), later(hours=1)).action == Begin()

    def test_a_home_that_cannot_follow_leaves_it_pending(self):
        subject, _ = self.lost(HOME)
        again = carry_on(subject, decide(subject, seen(subject, home=a_home(subject)), NOON))
        conflict = "1 node(s) had volume node affinity conflict"
        pod = a_pod(attempt=1, node=None, unschedulable=conflict)
        plan = decide(again, seen(subject, pod=pod), later(seconds=5))
        assert said(plan) == (Phase.PENDING, Reason.HOME_UNREACHABLE)


class TestIdle:
    SPEC = {"idle": Idle(after=timedelta(minutes=30))}  # noqa: RUF012 - never changed

    def test_what_nobody_uses_is_put_to_sleep(self):
        subject = running(self.SPEC)
        around = seen(subject, pod=a_drawn_pod(), gate=gate_says(idle=1800))
        plan = decide(subject, around, later(hours=1))
        assert plan.action == Sleep()
        assert said(plan) == (Phase.HIBERNATING, Reason.IDLE)

    def test_what_was_used_is_not_yet(self):
        subject = running(self.SPEC)
        around = seen(subject, pod=a_drawn_pod(), gate=gate_says(idle=60))
        plan = decide(subject, around, later(hours=1))
        assert plan.action is None
        assert plan.again == later(hours=1, minutes=27)

    def test_who_looks_is_told_before_and_can_stay(self):
        subject = running(self.SPEC)
        around = seen(subject, pod=a_drawn_pod(), gate=gate_says(idle=1700))
        plan = decide(subject, around, later(hours=1))
        assert plan.action is None
        assert said(plan) == (Phase.RUNNING, Reason.IDLE)
        assert plan.again == later(hours=1, seconds=5)
        told = carry_on(subject, plan)
        unheard = decide(told, seen(subject, pod=a_drawn_pod()), later(hours=1))
        assert said(unheard) == (Phase.RUNNING, Reason.IDLE)
        used = replace(around, gate=gate_says(idle=1))
        assert said(decide(told, used, later(hours=1))) == (Phase.RUNNING, Reason.DRAWN)

    def test_what_nobody_can_hear_is_not_called_idle(self):
        subject = running(self.SPEC)
        plan = decide(subject, seen(subject, pod=a_drawn_pod()), later(days=9))
        assert (plan.action, plan.status.phase) == (None, Phase.RUNNING)

    def test_a_template_may_have_it_deleted(self):
        subject = running({"idle": Idle(after=SECOND, action="Delete")})
        around = seen(subject, pod=a_drawn_pod(), gate=gate_says(idle=1800))
        plan = decide(subject, around, later(hours=1))
        assert isinstance(plan.action, DeleteSession)
        assert plan.action.reason == Reason.IDLE


class TestLifetime:
    def test_is_deleted_when_it_is_over_whatever_it_is_doing(self):
        template = a_cluster_template(limits=Limits(lifetime=timedelta(hours=2)))
        subject = running()
        around = seen(subject, template, pod=a_drawn_pod())
        assert decide(subject, around, later(hours=1)).again == later(hours=2)
        plan = decide(subject, around, later(hours=2))
        assert plan.action == DeleteSession(
            Reason.LIFETIME_OVER, "It lived as long as its spec allows."
        )


class TestHibernation:
    def test_the_desktop_is_stopped_and_its_home_is_kept(self):
        subject = running({**ASLEEP, **HOME})
        around = seen(subject, pod=a_drawn_pod())
        plan = decide(subject, around, NOON)
        assert said(plan) == (Phase.HIBERNATING, Reason.REQUESTED)
        asleep = carry_on(subject, plan)
        assert decide(asleep, around, NOON).action == EndPod(around.pod.uid)
        done = decide(asleep, seen(subject), later(seconds=2))
        assert done.status.phase is Phase.HIBERNATED
        assert "its windows are not" in done.status.message
        assert condition(done, ConditionType.HOME_READY).status == "True"

    def test_takes_no_longer_than_its_deadline(self):
        subject = a_subject(Phase.HIBERNATING, status={"attempt": Attempt(number=1)}, spec=ASLEEP)
        around = seen(subject, pod=a_drawn_pod(deleting_since=NOON), node=SILENT)
        plan = decide(subject, around, NOON + DEADLINES[Phase.HIBERNATING])
        assert plan.status.phase is Phase.HIBERNATED

    def test_wakes_when_it_is_asked_to(self):
        subject = a_subject(Phase.HIBERNATED, status={"attempt": Attempt(number=1, drawn=True)})
        plan = decide(subject, seen(subject), NOON)
        assert plan.action == Begin()
        assert plan.status.phase is Phase.WAKING
        drawn = seen(subject, pod=a_drawn_pod(attempt=1))
        assert decide(carry_on(subject, plan), drawn, NOON).status.phase is Phase.RUNNING

    def test_waits_for_what_is_left_of_its_last_pod(self):
        subject = a_subject(Phase.HIBERNATED, status={"attempt": Attempt(number=1)})
        around = seen(subject, pod=a_drawn_pod(deleting_since=NOON))
        assert decide(subject, around, NOON).action is None


class TestLent:
    """Its files are used while it sleeps."""

    UNTIL = later(seconds=600)

    def asleep(self, phase=Phase.HIBERNATED, *, wish=True, **fields):
        wishes = {ANNOTATION_FILES: self.UNTIL.isoformat()} if wish else {}
        spec = fields.pop("spec", ASLEEP | HOME)
        return a_subject(phase, spec=spec, annotations=wishes, **fields)

    def shelf(self, **fields):
        return a_running_pod(attempt=None, files=True, **fields)

    def test_a_pod_is_made_for_them_and_left_alone_until_its_time_is_over(self):
        subject = self.asleep()
        assert decide(subject, seen(subject), NOON).action == Lend()
        plan = decide(subject, seen(subject, pod=self.shelf(ready=True)), NOON)
        assert (plan.action, plan.again) == (None, self.UNTIL)
        assert plan.status.phase is Phase.HIBERNATED
        assert plan.status.gate is not None
        assert condition(plan, ConditionType.READY).status == "False"

    @pytest.mark.parametrize(
        ("fields", "moment"),
        [({"over": True}, NOON), ({}, UNTIL), ({"desktop": Container()}, NOON + LENT_WITHIN)],
    )
    def test_the_wish_is_taken_back_before_its_pod_is_ended(self, fields, moment):
        subject, around = self.asleep(), self.shelf(**fields)
        plan = decide(subject, seen(subject, pod=around), moment)
        assert plan.action == LetGo()
        done = self.asleep(wish=False)
        ending = decide(done, seen(done, pod=around), moment)
        assert (ending.action, ending.status.gate) == (EndPod(around.uid), None)

    def test_what_an_earlier_wish_has_left_is_no_answer_to_this_one(self):
        subject, before = self.asleep(), later(seconds=-600).isoformat()
        around = self.shelf(over=True, wish=before)
        assert decide(subject, seen(subject, pod=around), NOON).action == EndPod(around.uid)
        # One that goes on serves it, whoever had asked for it.
        around = self.shelf(ready=True, wish=before)
        assert decide(subject, seen(subject, pod=around), NOON).action is None

    @pytest.mark.parametrize("wish", ["soon", "0001-01-01T00:00:00+23:59", ""])
    def test_a_wish_that_names_no_moment_is_none(self, wish):
        subject = a_subject(
            Phase.HIBERNATED, spec=ASLEEP | HOME, annotations={ANNOTATION_FILES: wish}
        )
        assert decide(subject, seen(subject), NOON).action is None

    def test_what_cannot_be_served_is_not_wished_for(self):
        homeless = self.asleep(spec=ASLEEP)
        assert decide(homeless, seen(homeless), NOON).action == LetGo()
        subject = self.asleep()
        around = seen(subject, foreign=("The Secret one",))
        assert decide(subject, around, NOON).action == LetGo()

    def test_a_start_comes_first(self):
        subject, around = self.asleep(spec=HOME), self.shelf()
        assert decide(subject, seen(subject, pod=around), NOON).action == EndPod(around.uid)
        assert decide(subject, seen(subject), NOON).action == Begin()

    def test_what_a_start_has_left_of_a_wish_is_taken_back_when_it_sleeps_again(self):
        subject = self.asleep(Phase.HIBERNATING)
        assert decide(subject, seen(subject), NOON).action == LetGo()

    @pytest.mark.parametrize("phase", set(Phase) - {Phase.HIBERNATED})
    def test_only_what_sleeps_lends(self, phase):
        subject = self.asleep(phase)
        assert decide(subject, seen(subject), NOON).action != Lend()


class TestFailed:
    def failed(self, **fields):
        return a_subject(Phase.FAILED, status={"attempt": Attempt(number=3)}, **fields)

    def test_lasts(self):
        subject = self.failed()
        plan = decide(subject, seen(subject), later(days=1))
        assert (plan.action, plan.status.phase, plan.again) == (None, Phase.FAILED, None)

    @pytest.mark.parametrize(
        "change", [{"generation": 2}, {"annotations": {"porthole.dev/order": "4"}}]
    )
    def test_is_tried_again_when_its_spec_changes(self, change):
        subject = self.failed(**change)
        plan = decide(subject, seen(subject), later(days=1))
        assert plan.action == Begin()
        assert plan.status.phase is Phase.STARTING

    def test_that_it_wants_its_home_again_is_noted_before_it_begins(self):
        """Who failed has let go of it: another may be about to take it."""
        subject = self.failed(generation=2, spec=HOME)
        plan = decide(subject, seen(subject), later(days=1))
        assert (plan.action, plan.status.phase) == (None, Phase.PENDING)
        noted = carry_on(subject, plan)
        assert decide(noted, seen(noted), later(days=1)).action == Begin()

    def test_may_be_asked_to_sleep(self):
        subject = self.failed(spec=ASLEEP)
        assert decide(subject, seen(subject), NOON).status.phase is Phase.HIBERNATED


class TestTerminating:
    def ending(self, **fields):
        return a_subject(Phase.RUNNING, deleting_since=NOON, **fields)

    def test_what_runs_is_ended_with_patience(self):
        subject = self.ending()
        around = seen(subject, pod=a_drawn_pod())
        plan = decide(subject, around, NOON)
        assert plan.action == EndPod(around.pod.uid)
        assert plan.status.phase is Phase.TERMINATING

    def test_nothing_is_begun_any_more(self):
        subject = replace(a_subject(), deleting_since=NOON)
        assert decide(subject, seen(subject), NOON).action is None

    def test_finalizers_of_others_are_named(self):
        subject = self.ending(finalizers=("example.com/keep",))
        plan = decide(subject, seen(subject), NOON)
        assert "example.com/keep" in plan.status.message

    def test_on_a_node_that_does_not_answer_it_says_so(self):
        subject = self.ending()
        around = seen(subject, pod=a_drawn_pod(deleting_since=NOON), node=SILENT)
        plan = decide(subject, around, later(seconds=30))
        assert said(plan) == (Phase.TERMINATING, Reason.NODE_LOST)
        fenced = replace(around, node=FENCED)
        assert decide(subject, fenced, later(seconds=30)).action == EndPod(around.pod.uid, 0)


PODS = st.sampled_from(
    [
        None,
        a_pod(),
        a_pod(attempt=None),
        a_pod(attempt=1),
        a_pod(unschedulable="no"),
        a_running_pod(),
        a_drawn_pod(),
        a_drawn_pod(attempt=1),
        a_drawn_pod(deleting_since=NOON),
        a_drawn_pod(over=True),
        a_drawn_pod(over=True, deleting_since=NOON, attempt=1),
    ]
)


@given(
    phase=st.sampled_from(sorted(set(Phase) - {Phase.TERMINATED})),
    pod=PODS,
    node=st.sampled_from([None, SILENT, FENCED]),
    number=st.integers(0, 2),
    begun_at=st.sampled_from([None, NOON]),
    desired=st.sampled_from(["Running", "Hibernated"]),
    deleting=st.booleans(),
    gate=st.sampled_from([None, gate_says(), gate_says(drawn=False)]),
    minutes=st.integers(0, 300),
)
def test_whatever_is_seen_there_is_a_plan_and_what_passes_has_an_end(  # noqa: PLR0917 - the world
    phase, pod, node, number, begun_at, desired, deleting, gate, minutes
):
    memory = Attempt(number=number, begun_at=begun_at)
    subject = a_subject(
        phase,
        status={"attempt": memory},
        spec={"desired": desired},
        deleting_since=NOON if deleting else None,
    )
    around = seen(subject, pod=pod, node=node, gate=gate)
    now = later(minutes=minutes)
    plan = decide(subject, around, now)
    if isinstance(plan.action, Begin):
        assert pod is None
    if isinstance(plan.action, EndPod):
        assert plan.action.uid == pod.uid
    changes = plan.status != subject.status
    if (
        not changes
        and plan.action is None
        and phase not in LASTING
        and phase is not Phase.TERMINATING
    ):
        assert plan.again is not None, "a passing phase that nobody looks at again"
