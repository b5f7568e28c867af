"""What a session is made from, its limits, and the digest that pins it."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from porthole_contract.link import codec
from porthole_contract.link.commands import TemplateContent
from porthole_contract.link.frames import ControlData
from porthole_contract.template import (
    LONGEST_COMMANDS,
    LONGEST_POD,
    EgressMode,
    Profile,
    SessionTemplate,
    SessionTemplateSpec,
)
from porthole_contract.testing.builders import a_pin, a_template, a_template_spec

EVERYTHING: dict[str, Any] = {
    "title": "Browser",
    "description": "Two\nlines.",
    "icon": "<svg/>",
    "image": "registry.example/browser@sha256:00",
    "packages": ["chromium", "libstdc++6", "fonts-noto"],
    "protocols": ["vnc", "rdp"],
    "profile": "sandbox",
    "programs": [
        {
            "name": "Chromium",
            "command": ["chromium", "{start}"],
            "autostart": True,
            "restart": True,
            "icon": "chromium",
        }
    ],
    "defaults": {"display": {"width": 1920, "height": 1080, "scale": 100}, "lifetime": "8h"},
    "limits": {"resources": {"cpu": "2"}, "lifetime": "24h", "idleAfter": "1h"},
    "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2"}},
    "egress": {"mode": "rules", "rules": [{"cidr": "10.0.0.0/8", "ports": [443]}]},
    "files": {"upload": True, "download": False},
    "clipboard": {"upload": False, "download": True, "limit": "64Ki"},
    "idle": {"after": "30m", "action": "Hibernate"},
    "pod": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "x", "value": None}]},
}


def test_a_title_is_enough_and_gives_the_safe_choices() -> None:
    spec = SessionTemplateSpec(title="Desktop")
    assert spec.profile is Profile.RESTRICTED
    assert spec.egress.mode is EgressMode.INTERNET
    assert spec.idle.after is None


def test_everything_can_be_said_and_comes_back_as_it_was() -> None:
    spec = SessionTemplateSpec.model_validate(EVERYTHING)
    assert spec.to_dict() == EVERYTHING


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 81),
        ("title", "a\nb"),
        ("title", "a\x00"),
        ("description", "a\x00"),
        ("description", "x" * 1001),
        ("icon", "x" * 32769),
        ("icon", "\x00"),
        ("image", "a b"),
        ("image", ""),
        ("packages", ["--reinstall"]),
        ("packages", ["x; reboot"]),
        ("packages", ["X"]),
        ("packages", ["a/b"]),
        ("packages", ["x=1\n"]),
        ("protocols", []),
        ("protocols", ["ssh"]),
        ("profile", "privileged"),
        ("programs", [{"name": "x", "command": []}]),
        ("programs", [{"name": "x", "command": ["a\x00"]}]),
        ("programs", [{"name": "x\n", "command": ["a"]}]),
        ("programs", [{"name": "", "command": ["a"]}]),
        ("programs", [{"name": "x", "command": "a b"}]),
        ("programs", [{"name": "x", "command": ["a"], "user": "root"}]),
        ("programs", [{"name": "x", "command": ["a"]}] * 65),
        ("programs", [{"name": "x", "command": ["a" * 4096] * 17}]),
        ("defaults", {"owner": "eve"}),
        ("defaults", {"desired": "Hibernated"}),
        ("limits", {"resources": {"cpu": "0"}}),
        ("egress", {"mode": "some"}),
        ("egress", {"rules": [{"cidr": "everywhere"}]}),
        ("egress", {"rules": [{"cidr": "10.0.0.0/8", "ports": [0]}]}),
        ("egress", {"rules": [{"cidr": "10.0.0.0/8", "ports": [65536]}]}),
        ("pod", []),
        ("pod", {"a": "\x00"}),
        ("pod", {"a\x00": 1}),
        ("pod", {"a": "\ud800"}),
        ("pod", {"a": float("nan")}),
        ("pod", {"a": float("inf")}),
        ("pod", {"a": {1: 2}}),
        ("pod", {"a": {1, 2}}),
        ("pod", {"a": "x" * LONGEST_POD}),
        ("nonsense", 1),
    ],
)
def test_what_makes_no_sense_or_hides_something_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        SessionTemplateSpec.model_validate({"title": "x", field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("wrap", [lambda x: {"a": x}, lambda x: [x]])
@pytest.mark.parametrize("depth", [32, 300, 100_000])
def test_a_pod_is_not_nested_without_end(wrap: Any, depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    with pytest.raises(ValidationError, match="levels deep"):
        SessionTemplateSpec(title="x", pod={"a": value})


def test_commands_may_be_as_long_as_they_say() -> None:
    programs = [{"name": "x", "command": ["a" * 4096] * 16}]
    assert LONGEST_COMMANDS == 16 * 4096
    assert SessionTemplateSpec.model_validate({"title": "x", "programs": programs})


def test_a_template_is_a_kubernetes_object() -> None:
    template = a_template("desktop")
    manifest = template.manifest()
    assert manifest["kind"] == "SessionTemplate"
    assert manifest["metadata"] == {"name": "desktop"}
    assert SessionTemplate.from_manifest(manifest) == template


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"metadata": None, "spec": {"title": "x"}},
        {"metadata": "x", "spec": {"title": "x"}},
        {"metadata": {"name": 1}, "spec": {"title": "x"}},
        {"metadata": {"name": "x"}},
        {"metadata": {"name": "x"}, "spec": []},
    ],
)
def test_what_is_no_template_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionTemplate.from_manifest(manifest)


def test_the_digest_is_that_of_the_content_and_not_of_its_spelling() -> None:
    one = SessionTemplateSpec.model_validate(EVERYTHING)
    shuffled = json.loads(json.dumps(EVERYTHING), object_pairs_hook=lambda p: dict(reversed(p)))
    assert SessionTemplateSpec.model_validate(shuffled).digest() == one.digest()
    assert one.evolve(title="Other").digest() != one.digest()


def test_the_digest_survives_the_link() -> None:
    spec = SessionTemplateSpec.model_validate(EVERYTHING)
    frame = ControlData(seq=1, items=(TemplateContent(digest=spec.digest(), spec=spec),))
    heard = codec.decode_from_control(codec.encode(frame)).items[0]
    assert heard.spec == spec
    assert heard.spec.digest() == heard.digest


def test_the_digest_does_not_know_what_nobody_said() -> None:
    said = a_template_spec(profile=Profile.RESTRICTED, egress={"mode": "internet"})
    assert said.digest() == a_template_spec().digest()


def test_the_digest_of_a_revision_never_changes() -> None:
    """It is stored with revisions: whoever changes it must know that."""
    known = {key: value for key, value in EVERYTHING.items() if key not in {"files", "clipboard"}}
    assert SessionTemplateSpec.model_validate(known).digest() == (
        "03753fc088baedba1ce1220da452d7d7c8a958b3661b394eae7b9d7503cb82f2"
    )


def test_a_pin_may_have_the_digest_alone() -> None:
    pin = a_pin()
    assert pin.spec is not None
    assert "spec" not in pin.evolve(spec=None).to_dict()
    with pytest.raises(ValidationError):
        pin.evolve(digest="x" * 64)
