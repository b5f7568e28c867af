"""`porthole mcp`: desktops for assistants, over the Model Context Protocol."""

from typing import Annotated

import typer

from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Failure
from porthole_client.clients import AsyncPorthole


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "mcp")(mcp)


def mcp(
    desk: Desk,
    end_any: Annotated[
        bool,
        typer.Option("--end-any", help="Let the assistant end sessions that it has not made, too."),
    ] = False,
) -> None:
    """Serve desktops to an assistant, by MCP on stdin and stdout.

    The assistant can do what the token may: give it one of its own, with the scopes read,
    sessions, connect and session:control.
    """
    try:
        from porthole_client.assistant.server import server  # noqa: PLC0415 - an extra
    except ImportError:
        raise Failure(
            "This needs the extra `mcp`: in a clone, `pip install '.[client,mcp]'` installs it."
        ) from None
    place = desk.place
    served = server(
        lambda: AsyncPorthole(place.server, place.token, fingerprint=place.fingerprint),
        end_any=end_any,
    )
    served.run("stdio")
