"""Templates: what sessions are made from."""

from typing import Any

from porthole_client.models import Template
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed
from porthole_contract.template import SessionTemplate

PATH = "/api/v1/templates"


def list_() -> Steps[list[Template]]:
    """Return all templates, by name."""
    return (yield from everything(PATH, Template))


def get(name: str) -> Steps[Template]:
    """Return one template in its newest revision."""
    answer = yield from call(Send("GET", f"{PATH}/{name}"))
    return Template.model_validate_json(answer.body)


def create(name: str, spec: dict[str, Any]) -> Steps[Template]:
    """Make a template. `spec` is that of a SessionTemplate manifest."""
    wanted = SessionTemplate.model_validate({"name": name, "spec": spec})
    answer = yield from call(Send("POST", PATH, body=wanted.to_dict(), headers=keyed()))
    return Template.model_validate_json(answer.body)


def replace(name: str, spec: dict[str, Any]) -> Steps[Template]:
    """Give a template a new revision; sessions keep the one that they started with."""
    wanted = SessionTemplate.model_validate({"name": name, "spec": spec})
    body = {"spec": wanted.to_dict()["spec"]}
    answer = yield from call(Send("PUT", f"{PATH}/{name}", body=body, headers=keyed()))
    return Template.model_validate_json(answer.body)


def delete(name: str) -> Steps[None]:
    """Delete a template; sessions made from it go on."""
    yield from call(Send("DELETE", f"{PATH}/{name}"))
