"""`porthole home`: users' files, which outlive sessions."""

from typing import Annotated

import typer

from porthole_client.cli import complete
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Columns, ago, size
from porthole_client.models import Home

app = typer.Typer(help="Users' files, which outlive sessions.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(help="Name or id of the home.", metavar="NAME", autocompletion=complete.homes),
]

_COLUMNS: Columns[Home] = {
    "name": lambda home: home.name,
    "agent": lambda home: home.agent,
    "used": lambda home: size(home.used_bytes),
    "size": lambda home: size(home.size_bytes),
    "held by": lambda home: home.holder,
    "age": lambda home: ago(home.created_at),
    "id": lambda home: home.id,
}


def _find(desk: Desk, which: str) -> Home:
    found = [home for home in desk.porthole.homes.list() if which in {home.name, str(home.id)}]
    if not found:
        raise Failure(f"There is no home {which!r}. See `porthole home list`.", Exit.NOT_FOUND)
    if len(found) > 1:
        ids = ", ".join(f"{home.id} ({home.owner})" for home in found)
        raise Failure(f"Several homes are called {which!r}; name one by its id: {ids}.", Exit.USAGE)
    return found[0]


@command(app, "list")
def list_(desk: Desk) -> None:
    """List homes."""
    empty = "There are no homes. One is made with `porthole session create desktop --in-home NAME`."
    desk.out.list(desk.porthole.homes.list(), _COLUMNS, empty)


@command(app, "rename")
def rename(
    desk: Desk,
    which: Which,
    to: Annotated[str, typer.Argument(help="Its new name.", metavar="NEW")],
) -> None:
    """Give a home another name; its files stay where they are."""
    renamed = desk.porthole.homes.rename(_find(desk, which).id, to)
    desk.out.one(renamed, {"name": renamed.name, "id": renamed.id})


@command(app, "delete")
def delete(
    desk: Desk,
    which: Which,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a home and all files in it."""
    found = _find(desk, which)
    if not yes and not typer.confirm(
        f"Delete the home {found.name!r} and all files in it?", err=True
    ):
        raise Failure("Nothing was deleted.")
    desk.porthole.homes.delete(found.id)
    desk.out.done([found.name], "Deleting")
