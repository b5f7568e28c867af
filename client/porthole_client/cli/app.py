"""The command line put together from its nouns."""

from importlib.metadata import version
from typing import Annotated

import typer

from porthole_client.cli import (
    agent,
    backup,
    cluster,
    connect,
    developer,
    drive,
    home,
    mcp,
    queue,
    rdp_server,
    session,
    status,
    template,
    token,
    user,
)
from porthole_client.cli.open import command as open_
from porthole_client.cli.up import command as up

app = typer.Typer(
    name="porthole",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

EXIT_CODES = """Exit codes: 0 it is done, 1 it failed, 2 the command line is wrong, 3 not found,
4 not allowed, 5 nobody answers, 6 not done in time, 7 something is in the way,
126 a program was not run, 130 Ctrl-C."""


def _say_version(asked: bool) -> None:
    if asked:
        print(f"porthole {version('porthole')}")
        raise typer.Exit


@app.callback(epilog=EXIT_CODES)
def _porthole(
    asked: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Remote desktops in the browser."""


up.add_to(app)
open_.add_to(app)
status.add_to(app)
drive.add_to(session.app)
connect.add_to(session.app)
app.add_typer(session.app, name="session")
app.add_typer(template.app, name="template")
app.add_typer(agent.app, name="agent")
app.add_typer(home.app, name="home")
app.add_typer(rdp_server.app, name="rdp-server")
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.add_typer(queue.app, name="command")
app.add_typer(backup.app, name="backup")
mcp.add_to(app)
app.add_typer(cluster.app, name="cluster", rich_help_panel="Development")
developer.add_to(app)
