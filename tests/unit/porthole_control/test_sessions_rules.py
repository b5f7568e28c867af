"""What a session is made of, and what follows from what is told of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from porthole_contract.errors import Invalid
from porthole_contract.lifecycle import Phase
from porthole_contract.link.reports import Origin, SessionObserved
from porthole_contract.session import Desired, SessionSpec, SessionStatus
from porthole_contract.template import SessionTemplateSpec
from porthole_control.errors import Conflict
from porthole_control.sessions import rules
from porthole_control.sessions.repository import Session

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ID = UUID("01900000-0000-7000-8000-000000000001")


def template(**fields: Any) -> SessionTemplateSpec:
    return SessionTemplateSpec.model_validate({"title": "T", **fields})


def asked(**fields: Any) -> dict[str, Any]:
    return {"owner": "ann", "template": "desktop", **fields}


def test_what_is_not_asked_for_the_template_gives() -> None:
    made = rules.resolve(
        asked(display={"width": 1000}, env=[{"name": "B", "value": "2"}]),
        template(
            defaults={
                "display": {"width": 800, "height": 600},
                "keyboard": "de",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
            },
            idle={"after": "15m"},
            resources={"limits": {"memory": "2Gi"}},
        ),
    )
    assert made.display is not None
    assert (made.display.width, made.display.height) == (1000, 600)
    assert made.keyboard == "de"
    assert made.env is not None
    assert [(one.name, one.value) for one in made.env] == [("A", "1"), ("B", "2")]
    assert made.idle is not None
    assert made.idle.after == timedelta(minutes=15)
    assert made.resources is not None
    assert made.resources.limits.memory == "2Gi"
    assert made.protocol == "vnc"


@pytest.mark.parametrize(
    ("fields", "limits", "code"),
    [
        ({"protocol": "rdp"}, {}, "protocol_not_offered"),
        ({"lifetime": "2h"}, {"lifetime": "1h"}, "limit_exceeded"),
        ({}, {"lifetime": "1h"}, "limit_exceeded"),
        ({"idle": {"after": "2h"}}, {"idleAfter": "1h"}, "limit_exceeded"),
        (
            {"resources": {"limits": {"cpu": "3"}}},
            {"resources": {"cpu": "2500m"}},
            "limit_exceeded",
        ),
        (
            {"resources": {"requests": {"memory": "3Gi"}}},
            {"resources": {"memory": "3G"}},
            "limit_exceeded",
        ),
    ],
)
def test_nobody_gets_more_than_the_template_allows(
    fields: dict[str, Any], limits: dict[str, Any], code: str
) -> None:
    with pytest.raises(Conflict) as refused:
        rules.resolve(asked(**fields), template(limits=limits))
    assert refused.value.code == code


def test_just_as_much_as_the_template_allows_is_given() -> None:
    limits = {"lifetime": "1h", "resources": {"cpu": "2"}}
    made = rules.resolve(
        asked(lifetime="60m", resources={"limits": {"cpu": "2000m"}}), template(limits=limits)
    )
    assert made.lifetime == timedelta(hours=1)


def test_a_name_is_made_or_checked() -> None:
    assert rules.name_of(None, "desktop", ID) == "desktop-000001"
    with pytest.raises(Invalid):
        rules.name_of("Not A Name", "desktop", ID)


def session(**changes: Any) -> Session:
    spec = SessionSpec.model_validate(asked()).to_dict()
    fields: dict[str, Any] = dict.fromkeys(Session.__dataclass_fields__)
    fields |= {
        "id": ID,
        "name": "s",
        "owner": "ann",
        "origin": "api",
        "adopted": False,
        "namespace": "",
        "template": "desktop",
        "spec": spec,
        "desired": "Running",
        "order_no": 3,
        "agent_id": ID,
        "agent": "one",
        "home_assigned": False,
        "phase": "Running",
        "reason": "",
        "message": "",
        "conditions": [],
        "reported_order": 3,
        "report_epoch": 1,
        "applied_order": 3,
        "viewers": 0,
        "restarts": 0,
        "created_at": NOW,
        "updated_at": NOW,
        "observed_at": NOW,
        "version": 1,
    }
    return Session(**{**fields, **changes})


def seen(**changes: Any) -> SessionObserved:
    status = changes.pop("status", {"phase": "Running"})
    fields = {
        "session": ID,
        "name": "s",
        "owner": "ann",
        "order": 3,
        "status": SessionStatus(**status),
    }
    return SessionObserved.model_validate({**fields, **changes})


def test_the_same_again_changes_nothing() -> None:
    told = rules.told(session(), seen(), 1, NOW)
    assert told == rules.Told({}, None, None, False)
    assert rules.told(session(), seen(), 2, NOW).values == {}, "nor on a newer link"


def test_a_new_phase_has_a_sentence() -> None:
    for phase in Phase:
        told = rules.told(session(phase="none"), seen(status={"phase": phase}), 1, NOW)
        assert told.phase_sentence


def test_nothing_ends_but_by_being_gone() -> None:
    told = rules.told(session(), seen(status={"phase": "Terminated"}), 1, NOW)
    assert told.values["phase"] == "Terminating"


def test_its_runtimes_decision_is_adopted_under_our_order_only() -> None:
    asleep = Desired.HIBERNATED
    adopted = rules.told(session(), seen(desired=asleep), 1, NOW).adopted
    assert adopted is not None
    assert adopted["desired"] == "Hibernated"
    assert rules.told(session(), seen(desired=asleep, order=2), 1, NOW).adopted is None
    ending = session(delete_requested_at=NOW, phase="Terminating")
    assert rules.told(ending, seen(desired=asleep), 1, NOW).adopted is None


def test_an_order_above_ours_is_the_newer_wish() -> None:
    told = rules.told(session(), seen(desired=Desired.HIBERNATED, order=9), 1, NOW)
    assert told.adopted is None
    assert (told.values["order_no"], told.values["desired"]) == (9, "Hibernated")
    ending = session(delete_requested_at=NOW, phase="Terminating")
    told = rules.told(ending, seen(order=9), 1, NOW)
    assert told.order_again
    assert told.values["order_no"] == 10


def test_while_it_is_ending_it_is_ending() -> None:
    ending = session(delete_requested_at=NOW, phase="Terminating", reason="Requested")
    told = rules.told(ending, seen(status={"phase": "Running", "viewers": 1}), 1, NOW)
    assert "phase" not in told.values
    assert told.values["viewers"] == 1


def test_what_is_kubectls_is_as_its_cluster_says() -> None:
    theirs = SessionSpec.model_validate(asked(lifetime="1h"))
    told = rules.told(session(origin="kubectl"), seen(origin=Origin.KUBECTL, spec=theirs), 1, NOW)
    assert told.values["spec"]["lifetime"] == "1h"
    behind = rules.told(
        session(origin="kubectl", order_no=4),
        seen(origin=Origin.KUBECTL, spec=theirs),
        1,
        NOW,
    )
    assert "spec" not in behind.values


def test_conditions_that_only_we_know() -> None:
    kinds = {c["type"]: c["status"] for c in rules.own_conditions(session())}
    assert kinds == {"Scheduled": "True", "Reachable": "False"}
    linked = session(agent_linked=ID, agent_linked_at=NOW, foreign_owner="bob")
    kinds = {c["type"]: c["status"] for c in rules.own_conditions(linked)}
    assert kinds == {"Scheduled": "True", "Reachable": "True", "Foreign": "True"}
    waiting = rules.own_conditions(session(agent_id=None, reason="NoAgent", message="None."))
    assert [(c["status"], c["reason"]) for c in waiting] == [("False", "NoAgent")]
    assert rules.own_conditions(session(deleted_at=NOW)) == []
