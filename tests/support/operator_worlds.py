"""Sessions and what is seen around them, for tests of the operator's decisions."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from porthole_contract.conditions import Reason
from porthole_contract.effective import resolve
from porthole_contract.lifecycle import Phase
from porthole_contract.session import Attempt, ObjectStatus, PinnedName
from porthole_contract.stream.control import State, Viewer
from porthole_contract.stream.grant import Issuer
from porthole_contract.template import SessionTemplateSpec
from porthole_contract.testing.builders import NOON, a_session_spec, a_template_spec
from porthole_operator.desired.extras import read_extras
from porthole_operator.desired.recipe import Recipe, Site
from porthole_operator.plan import Plan
from porthole_operator.seen import Container, Home, Pod, Seen, Template
from porthole_operator.subject import Subject

NAMESPACE_UID = UUID("11111111-1111-4111-8111-111111111111")
UID = "22222222-2222-4222-8222-222222222222"
FINGERPRINT = "f" * 64
ISSUER = Issuer(
    key_id="agent-1",
    public_key="MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqo=",
    channels=("control", "vnc"),
    modes=("command", "control", "observe", "view"),
)
SITE = Site(
    registry="localhost/porthole",
    version="0.1.0",
    gate_image="localhost/porthole/porthole-gate:0.1.0",
    system_namespace="porthole-system",
    issuers=(ISSUER,),
)


def a_cluster_template(**fields: Any) -> SessionTemplateSpec:
    """Return what a plain desktop of a cluster is made from."""
    return a_template_spec(**{"image": "desktop-vnc", **fields})


def a_subject(phase: Phase = Phase.PENDING, **fields: Any) -> Subject:
    """Return the Session `one` of ada; `status` and `spec` may be given as their fields."""
    status = fields.pop("status", {})
    spec = fields.pop("spec", {})
    if not isinstance(status, ObjectStatus):
        known = {"observed_generation": 1} if phase is not Phase.PENDING else {}
        status = ObjectStatus(**{"phase": phase, "phase_since": NOON, **known, **status})
    return Subject(
        **{
            "name": "one",
            "namespace": "porthole-sessions",
            "namespace_uid": NAMESPACE_UID,
            "uid": UID,
            "resource_version": "7",
            "generation": 1,
            "created_at": NOON,
            "spec": a_session_spec(**spec) if isinstance(spec, dict) else spec,
            "status": status,
            **fields,
        }
    )


def begun(number: int = 0, **fields: Any) -> Attempt:
    """Return the memory of an attempt that was begun at noon."""
    return Attempt(**{"number": number, "begun_at": NOON, **fields})


def a_recipe(subject: Subject | None = None, **template: Any) -> Recipe:
    """Return what the Session's objects are made from."""
    subject = subject or a_subject()
    spec = a_cluster_template(**template)
    assert subject.spec is not None
    return Recipe(
        site=SITE,
        subject=subject,
        template=pinned(spec),
        effective=resolve(subject.spec, spec),
        extras=read_extras(spec.pod),
    )


def pinned(spec: SessionTemplateSpec, name: str = "desktop") -> Template:
    """Return the revision that holds `spec`."""
    return Template(PinnedName(name=name, digest=spec.digest()), spec)


def seen(subject: Subject, made_from: SessionTemplateSpec | None = None, /, **fields: Any) -> Seen:
    """Return what is seen around the Session: its template, and nothing that runs."""
    spec = made_from or a_cluster_template()
    assert subject.spec is not None
    effective = None if "over_limit" in fields else resolve(subject.spec, spec)
    return Seen(**{"template": pinned(spec), "effective": effective, "shape": "s", **fields})


def a_pod(**fields: Any) -> Pod:
    """Return the pod of attempt 0: made, on a node, its desktop not begun."""
    return Pod(
        **{
            "uid": "33333333-3333-4333-8333-333333333333",
            "attempt": 0,
            "shape": "s",
            "digest": None,
            "fingerprint": FINGERPRINT,
            "created_at": NOON,
            "node": "worker-1",
            "address": "10.0.0.5",
            **fields,
        }
    )


def a_running_pod(**fields: Any) -> Pod:
    """Return the pod of attempt 0 with both containers running; not Ready."""
    both = {"desktop": Container(running=True), "gate": Container(running=True)}
    return a_pod(**{**both, **fields})


def a_drawn_pod(**fields: Any) -> Pod:
    """Return the pod of attempt 0 when its screen has been painted."""
    return a_running_pod(**{"ready": True, **fields})


def a_home(subject: Subject, **fields: Any) -> Home:
    """Return the volume of the Session's home, held by it."""
    return Home(
        **{
            "name": "home",
            "ours": True,
            "owner": "ada",
            "holder": subject.uid,
            "resource_version": "3",
            "phase": "Bound",
            **fields,
        }
    )


def gate_says(*, idle: float = 0, drawn: bool = True, viewers: int = 0) -> State:
    """Return what a gate tells its observers; `idle` in seconds."""
    ids = [UUID(int=number) for number in range(viewers)]
    looking = tuple(Viewer(stream=one, channel="vnc", mode="view", since=NOON) for one in ids)
    return State(session=UUID(UID), drawn=drawn, idle_seconds=idle, viewers=looking)


def later(**span: float) -> datetime:
    """Return so long after noon."""
    return NOON + timedelta(**span)


def said(plan: Plan) -> tuple[Phase, str]:
    """Return phase and reason of a plan's status."""
    return plan.status.phase, Reason(plan.status.reason)


def carry_on(subject: Subject, plan: Plan, **changes: Any) -> Subject:
    """Return the Session after the plan's status was written."""
    fields = {name: getattr(subject, name) for name in Subject.__slots__}
    return Subject(**{**fields, "status": plan.status, **changes})
