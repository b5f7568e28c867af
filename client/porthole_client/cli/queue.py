"""`porthole command`: the queue of orders to agents, as it is."""

from typing import Annotated

import typer

from porthole_client.cli.desk import Desk, command
from porthole_client.cli.output import Columns, ago
from porthole_client.models import Command

app = typer.Typer(help="The queue of orders to agents, as it is.", no_args_is_help=True)

_COLUMNS: Columns[Command] = {
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
    limit: Annotated[int, typer.Option("--limit", help="The most to list.", min=1)] = 50,
) -> None:
    """List commands, newest first."""
    desk.out.list(desk.porthole.commands.list(most=limit), _COLUMNS, "There are no commands.")
