"""`porthole user`: who there is, and who they are in clusters."""

from typing import Annotated

import typer

from porthole_client.cli import complete
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.output import Columns, ago
from porthole_client.models import User

app = typer.Typer(help="Who there is (administrators).", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(help="Name of the user.", metavar="USER", autocompletion=complete.users),
]

_COLUMNS: Columns[User] = {
    "name": lambda user: user.name,
    "administrator": lambda user: user.is_admin,
    "in clusters": lambda user: user.kubernetes_username,
    "age": lambda user: ago(user.created_at),
}


def _show(desk: Desk, user: User) -> None:
    desk.out.one(user, {"name": user.name, "in clusters": user.kubernetes_username})


@command(app, "list")
def list_(desk: Desk) -> None:
    """List users; one is made by making a token for them."""
    desk.out.list(desk.porthole.users.list(), _COLUMNS, "There are no users.")


@command(app, "map")
def map_(
    desk: Desk,
    user: Which,
    username: Annotated[
        str, typer.Argument(help="As `kubectl auth whoami` calls them.", metavar="USERNAME")
    ],
) -> None:
    """Say who a user is in clusters.

    What was made there for that owner is listed as theirs.
    """
    _show(desk, desk.porthole.users.call_in_clusters(user, username))


@command(app, "unmap")
def unmap(desk: Desk, user: Which) -> None:
    """Say that nobody in clusters is this user."""
    _show(desk, desk.porthole.users.call_in_clusters(user, None))
