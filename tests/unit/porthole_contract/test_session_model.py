"""What a session may be asked to be, and what nobody may ask."""

from typing import Any

import pytest
from pydantic import ValidationError

from porthole_contract.lifecycle import Phase
from porthole_contract.session import (
    LONGEST_ENVIRONMENT,
    Desired,
    Session,
    SessionSpec,
    SessionStatus,
    TemplateRef,
)
from porthole_contract.testing.builders import a_session_spec, a_status, an_id

LEAST = {"owner": "ada", "template": "desktop"}
EVERYTHING = {
    "owner": "system:serviceaccount:ns:name",
    "template": "desktop@3",
    "desired": "Hibernated",
    "protocol": "vnc",
    "display": {"width": 1920, "height": 1080, "scale": 150},
    "keyboard": "de(nodeadkeys)",
    "locale": "de_DE.UTF-8@euro",
    "timezone": "America/Argentina/Buenos_Aires",
    "env": [{"name": "LANG", "value": "C"}, {"name": "EMPTY", "value": ""}],
    "start": "https://example.org/?q=a b",
    "home": "Ada's files",
    "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
    "idle": {"after": "30m", "action": "Delete"},
    "lifetime": "8h",
    "labels": {"team": "a", "example.org/team": "", "kubernetes.io/x": "y"},
}


def test_an_owner_and_a_template_are_enough() -> None:
    spec = SessionSpec.model_validate(LEAST)
    assert spec.desired is Desired.RUNNING
    assert spec.to_dict() == {**LEAST, "desired": "Running", "labels": {}}


def test_everything_can_be_said_and_comes_back_as_it_was() -> None:
    spec = SessionSpec.model_validate(EVERYTHING)
    assert spec.to_dict() == EVERYTHING
    assert SessionSpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("desktop", "desktop", None),
        ("desktop@3", "desktop", 3),
        ("a" * 52 + "@999999999", "a" * 52, 999_999_999),
    ],
)
def test_a_template_is_one_text(text: str, name: str, revision: int | None) -> None:
    template = SessionSpec.model_validate({**LEAST, "template": text}).template
    assert template == TemplateRef(name, revision) == TemplateRef.parse(text)
    assert str(template) == text


def test_a_template_that_is_none_is_refused_in_a_sentence() -> None:
    for wrong in ("desktop@0", {"name": "desktop"}):
        with pytest.raises(ValidationError, match="desktop, or one of its revisions, such as"):
            SessionSpec.model_validate({**LEAST, "template": wrong})
    with pytest.raises(ValidationError):
        a_session_spec(template=TemplateRef("../x"))


@pytest.mark.parametrize("missing", ["owner", "template"])
def test_nothing_can_be_made_of_nobody_from_nothing(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        SessionSpec.model_validate({key: LEAST[key] for key in LEAST if key != missing})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner", "a b"),
        ("owner", ""),
        ("template", ""),
        ("template", "../x"),
        ("template", "Desktop"),
        ("template", "a" * 53),
        ("template", "x" * 300),
        ("template", "desktop\n"),
        ("template", "desktop@"),
        ("template", "desktop@0"),
        ("template", "desktop@03"),
        ("template", "desktop@-1"),
        ("template", "desktop@1.5"),
        ("template", "desktop@\u0663"),
        ("template", "desktop@1000000000"),
        ("template", "desktop@3@4"),
        ("template", "@3"),
        ("template", {"name": "desktop"}),
        ("template", ["desktop"]),
        ("template", 3),
        ("desired", "Terminated"),
        ("desired", "running"),
        ("protocol", "ssh"),
        ("display", {"width": 1}),
        ("display", {"width": 100_000}),
        ("display", {"height": -1}),
        ("display", {"scale": 0}),
        ("display", {"width": 1280.5}),
        ("display", {"depth": 24}),
        ("keyboard", "de; reboot"),
        ("keyboard", "de\n"),
        ("keyboard", "-option"),
        ("locale", "../../x"),
        ("locale", "C\n"),
        ("timezone", "../../../etc/passwd"),
        ("timezone", "/etc/passwd"),
        ("timezone", "Europe/Berlin\n"),
        ("timezone", ""),
        ("env", [{"name": "A=B", "value": "x"}]),
        ("env", [{"name": "", "value": "x"}]),
        ("env", [{"name": "A\x00", "value": "x"}]),
        ("env", [{"name": "A", "value": "x\x00y"}]),
        ("env", [{"name": "1A"}]),
        ("env", [{"name": f"A{i}"} for i in range(257)]),
        ("env", [{"name": f"A{i}", "value": "x" * 32_768} for i in range(5)]),
        ("start", ""),
        ("start", "a\nb"),
        ("start", "a\x00b"),
        ("start", "x" * 4097),
        ("home", ""),
        ("home", "a/b"),
        ("home", "a\x00b"),
        ("home", "a\x1bb"),
        ("home", "x" * 64),
        ("resources", {"requests": {"cpu": "0"}}),
        ("resources", {"limits": {"memory": "-1Gi"}}),
        ("resources", {"limits": {"memory": "much"}}),
        ("resources", {"limits": {"gpu": "1"}}),
        ("idle", {"after": "-1s"}),
        ("idle", {"after": "soon"}),
        ("idle", {"action": "Explode"}),
        ("lifetime", "11y"),
        ("lifetime", "100000h"),
        ("labels", {"a b": "x"}),
        ("labels", {"a": "x y"}),
        ("labels", {"a": "x" * 64}),
        ("labels", {"x" * 64: "a"}),
        ("labels", {"/a": "x"}),
        ("labels", {"a/b/c": "x"}),
        ("labels", {"a\n": "x"}),
        ("labels", {"porthole.dev/owner": "eve"}),
        ("labels", {"internal.porthole.dev/x": "y"}),
        ("labels", {f"a{i}": "" for i in range(65)}),
        ("nonsense", 1),
        ("status", {}),
    ],
)
def test_what_makes_no_sense_or_hides_something_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SessionSpec.model_validate({**LEAST, field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("field", ["owner", "keyboard", "locale", "timezone", "start", "home"])
@pytest.mark.parametrize("value", ["\ud800", "\x00", [], {}, 1, True])
def test_texts_are_texts(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        SessionSpec.model_validate({**LEAST, field: value})


def test_an_environment_may_be_as_large_as_it_says() -> None:
    value = "x" * 32_767
    env = [{"name": name, "value": value} for name in "ABCD"]
    assert sum(len(value) + 1 for _ in env) == LONGEST_ENVIRONMENT
    assert SessionSpec.model_validate({**LEAST, "env": env})


def test_labels_that_only_look_like_ours_are_somebody_elses() -> None:
    labels = {"notporthole.dev/x": "y", "porthole.dev": "x", "porthole.dev.example.org/x": "y"}
    assert a_session_spec(labels=labels).labels == labels


def test_a_session_is_a_kubernetes_object() -> None:
    session = Session(id=an_id(1), name="desk", spec=a_session_spec(), status=a_status())
    assert session.manifest() == {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "Session",
        "metadata": {"name": "desk"},
        "spec": {**LEAST, "desired": "Running", "labels": {}},
    }


def test_a_session_begins_pending() -> None:
    assert SessionStatus().phase is Phase.PENDING


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phase", "Exploded"),
        ("reason", "x" * 65),
        ("reason", "a\x00"),
        ("order", -1),
        ("order", 2**53),
        ("viewers", -1),
        ("restarts", 2**31),
        ("observedGeneration", 2**63),
        ("startedAt", "2030-01-01T00:00:00"),
        ("podName", "x\x00"),
        ("gate", {"address": "a", "fingerprint": "0" * 63}),
        ("gate", {"address": "a", "fingerprint": "A" * 64}),
        ("gate", {"address": "a\x00", "fingerprint": "0" * 64}),
        ("conditions", [{"type": "Ready"}]),
        ("home", "ada"),
    ],
)
def test_an_agent_cannot_report_what_no_database_holds(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SessionStatus.model_validate({"phase": "Running", field: value})
    assert caught.value.errors()[0]["loc"][0] == field
