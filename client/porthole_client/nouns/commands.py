"""Commands: the queue of orders to agents, as it is."""

from uuid import UUID

from porthole_client.models import Command
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call

PATH = "/api/v1/commands"


def list_(
    *,
    state: str | None = None,
    subject: UUID | str | None = None,
    agent: str | None = None,
    most: int | None = None,
) -> Steps[list[Command]]:
    """Return the commands, newest first.

    Args:
        state: only those in this state, e.g. `pending`.
        subject: only those about the session or home of this id.
        agent: only those for the agent of this name.
        most: the newest so many; None: all.
    """
    given = {"state": state, "subject": subject, "agent": agent}
    query = {name: str(value) for name, value in given.items() if value is not None}
    return (yield from everything(PATH, Command, query, most=most))


def get(command: UUID | str) -> Steps[Command]:
    """Return one command by its id."""
    answer = yield from call(Send("GET", f"{PATH}/{command}"))
    return Command.model_validate_json(answer.body)
