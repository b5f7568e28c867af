"""What a gate is told: which way files may go, if it is not both."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from porthole_contract.configuration import gate_config
from porthole_contract.effective import resolve
from porthole_contract.session import SessionSpec
from porthole_contract.template import ClipboardRules, FileRules, SessionTemplateSpec


def told(**more: Any) -> dict[str, Any]:
    return gate_config(
        UUID(int=1), "ab" * 32, [], listen="unix:/a", health="unix:/b", desktop_uid=1000, **more
    )


@pytest.mark.parametrize("rules", [None, ClipboardRules()])
def test_a_clipboard_that_is_open_is_not_spoken_of(rules: ClipboardRules | None) -> None:
    assert "clipboard" not in told(clipboard=rules)


def test_what_a_template_says_of_the_clipboard_is_said_to_its_gate() -> None:
    rules = {"download": False, "limit": "64Ki"}
    template = SessionTemplateSpec.model_validate({"title": "x", "clipboard": rules})
    spec = SessionSpec.model_validate({"owner": "a", "template": "x"})
    said = told(clipboard=resolve(spec, template).clipboard)["clipboard"]
    assert said == {"upload": True, "download": False, "most": 65536}


@pytest.mark.parametrize("limit", ["0", "500m", "65Mi", "1Gi", "much"])
def test_a_limit_of_the_clipboard_is_some_bytes(limit: str) -> None:
    with pytest.raises(ValidationError):
        ClipboardRules.model_validate({"limit": limit})


@pytest.mark.parametrize("rules", [None, FileRules()])
def test_what_everybody_may_is_not_said(rules: FileRules | None) -> None:
    assert "files" not in told(files=rules)


def test_what_a_template_forbids_is_said_to_its_gate() -> None:
    template = SessionTemplateSpec.model_validate({"title": "x", "files": {"upload": False}})
    spec = SessionSpec.model_validate({"owner": "a", "template": "x"})
    assert told(files=resolve(spec, template).files)["files"] == {
        "upload": False,
        "download": True,
    }


def test_the_keyboard_is_said_to_a_gate_that_speaks_rdp_if_it_is_not_the_usual_one() -> None:
    assert told(protocols=("rdp",), keyboard="de")["keyboard"] == "de"
    assert "keyboard" not in told(protocols=("rdp",), keyboard="us")
    assert "keyboard" not in told(protocols=("vnc",), keyboard="de")
