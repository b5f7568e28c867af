"""What a gate is told: which way files may go, if it is not both."""

from typing import Any
from uuid import UUID

import pytest

from porthole_contract.configuration import gate_config
from porthole_contract.effective import resolve
from porthole_contract.session import SessionSpec
from porthole_contract.template import FileRules, SessionTemplateSpec


def told(**more: Any) -> dict[str, Any]:
    return gate_config(
        UUID(int=1), "ab" * 32, [], listen="unix:/a", health="unix:/b", desktop_uid=1000, **more
    )


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
