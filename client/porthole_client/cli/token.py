"""`porthole token`: the right to use a server."""

from typing import Annotated

import typer

from porthole_client.cli.desk import Desk, command
from porthole_client.cli.output import Columns, Form, ago
from porthole_client.models import Token

app = typer.Typer(help="The right to use this server.", no_args_is_help=True)

_COLUMNS: Columns[Token] = {
    "name": lambda token: token.name,
    "user": lambda token: token.user,
    "kind": lambda token: token.kind,
    "scopes": lambda token: token.scopes,
    "age": lambda token: ago(token.created_at),
    "used": lambda token: ago(token.last_used_at),
    "expires": lambda token: token.expires_at,
    "id": lambda token: token.id,
}


@command(app, "create")
def create(
    desk: Desk,
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    user: Annotated[
        str | None, typer.Option("--user", help="Whose it is; made if there is none yet.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it is good for, and for nothing else; repeat for several: read, sessions,"
            " connect, session:control, session:exec, session:files, templates, agents, tokens.",
        ),
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", help="How long it lasts, e.g. 720h.")
    ] = None,
) -> None:
    """Make a token; the last line is the token, shown this once."""
    made = desk.porthole.people.create_token(
        name, user=user, scopes=scope or None, lifetime=lifetime
    )
    if desk.out.form is Form.JSON:
        desk.out.json(made.model_dump(mode="json"))
        return
    desk.out.note(
        f"A token for {made.user}, good for {', '.join(made.scopes)}. It is shown this once."
    )
    print(made.token)


@command(app, "list")
def list_(
    desk: Desk,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="All users' (administrators).")
    ] = False,
) -> None:
    """List tokens, never their secrets."""
    desk.out.list(desk.porthole.people.tokens(everyone=everyone), _COLUMNS, "There are no tokens.")


@command(app, "revoke")
def revoke(
    desk: Desk, token: Annotated[str, typer.Argument(help="Id of the token.", metavar="ID")]
) -> None:
    """Revoke a token; what it had opened is closed at once."""
    desk.porthole.people.revoke_token(token)
    desk.out.done([token], "Revoked")
