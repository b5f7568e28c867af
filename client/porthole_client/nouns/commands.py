"""Commands: the queue of orders to agents, as it is."""

from uuid import UUID

from porthole_client.models import Command
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call

PATH = "/api/v1/commands"


def list_(*, most: int | None = None) -> Steps[list[Command]]:
    """Return the commands, newest first."""
    return (yield from everything(PATH, Command, most=most))


def get(command: UUID | str) -> Steps[Command]:
    """Return one command by its id."""
    answer = yield from call(Send("GET", f"{PATH}/{command}"))
    return Command.model_validate_json(answer.body)
