"""`porthole command`: the queue of orders to agents, as it is."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from porthole_client.cli import complete
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.output import Columns, Form, ago, plain
from porthole_client.cli.session import find
from porthole_client.models import Command

app = typer.Typer(help="The queue of orders to agents, as it is.", no_args_is_help=True)


class State(StrEnum):
    """Where a command is on its way."""

    PENDING = "pending"
    SENT = "sent"
    RECEIVED = "received"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


_COLUMNS: Columns[Command] = {
    "id": lambda order: order.id,
    "kind": lambda order: order.kind,
    "subject": lambda order: f"{order.subject_kind} {order.subject_id}",
    "order": lambda order: order.order,
    "agent": lambda order: order.agent,
    "state": lambda order: order.state,
    "attempts": lambda order: order.attempts,
    "age": lambda order: ago(order.created_at),
    "error": lambda order: order.last_error,
}


@command(app, "list")
def list_(
    desk: Desk,
    state: Annotated[State | None, typer.Option("--state", help="Only those in it.")] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            help="Only those about this session, by its name or id.",
            autocompletion=complete.sessions,
        ),
    ] = None,
    subject: Annotated[
        UUID | None, typer.Option("--subject", help="Only those about the thing of this id.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="Only those for the agent of this name.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="The most to list.", min=1)] = 50,
) -> None:
    """List commands, newest first."""
    about = find(desk, session).id if session is not None else subject
    found = desk.porthole.commands.list(
        state=None if state is None else str(state), subject=about, agent=agent, most=limit
    )
    desk.out.list(found, _COLUMNS, "There are no such commands.")


@command(app, "show")
def show(
    desk: Desk,
    which: Annotated[UUID, typer.Argument(help="Id of the command.", metavar="COMMAND")],
) -> None:
    """Tell what became of a command, in sentences."""
    found = desk.porthole.commands.get(which)
    desk.out.one(
        found,
        {
            "id": found.id,
            "kind": found.kind,
            "subject": f"{found.subject_kind} {found.subject_id}",
            "order": found.order,
            "agent": found.agent,
            "state": found.state,
            "attempts": found.attempts,
        },
    )
    if desk.out.form is Form.TABLE:
        print()
        for line in found.story:
            when = plain(line.at) if line.at is not None else "now"
            print(f"{when:<19}  {plain(line.message)}")
