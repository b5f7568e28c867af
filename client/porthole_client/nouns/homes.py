"""Homes: a user's files, which outlive sessions."""

from uuid import UUID

from porthole_client.models import Home
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed

PATH = "/api/v1/homes"


def list_() -> Steps[list[Home]]:
    """Return the homes, by name."""
    return (yield from everything(PATH, Home))


def rename(home: UUID | str, name: str) -> Steps[Home]:
    """Give a home another name; its files stay where they are."""
    send = Send("PATCH", f"{PATH}/{home}", body={"name": name}, headers=keyed())
    answer = yield from call(send)
    return Home.model_validate_json(answer.body)


def delete(home: UUID | str) -> Steps[None]:
    """Delete a home and all files in it."""
    yield from call(Send("DELETE", f"{PATH}/{home}"))
