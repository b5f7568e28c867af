"""`porthole rdp-server`: what is started as a session, again and again, on one home."""

from pathlib import Path
from typing import Annotated

import typer

from porthole_client.cli import complete
from porthole_client.cli import connect as door
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Columns, ago
from porthole_client.models import RdpAction, RdpServer, RdpServerMade

app = typer.Typer(
    help="RDP servers: started as sessions on a home of their own.", no_args_is_help=True
)

Which = Annotated[
    str,
    typer.Argument(
        help="Name or id of the server.", metavar="NAME", autocompletion=complete.rdp_servers
    ),
]

_COLUMNS: Columns[RdpServer] = {
    "name": lambda server: server.name,
    "status": lambda server: server.status,
    "host": lambda server: server.host,
    "port": lambda server: server.port,
    "address": lambda server: server.address,
    "session": lambda server: server.session_id if server.status == "running" else None,
    "age": lambda server: ago(server.created_at),
    "id": lambda server: server.server_id,
}


def _find(desk: Desk, which: str) -> RdpServer:
    servers = desk.porthole.rdp_servers.list()
    found = [one for one in servers if which in {one.name, str(one.server_id)}]
    if not found:
        raise Failure(
            f"There is no RDP server {which!r}. See `porthole rdp-server list`.", Exit.NOT_FOUND
        )
    if len(found) > 1:
        ids = ", ".join(str(server.server_id) for server in found)
        raise Failure(f"Several servers are called {which!r}; name one by its id: {ids}.")
    return found[0]


@command(app, "list")
def list_(desk: Desk) -> None:
    """List RDP servers."""
    empty = "There are no RDP servers. One is made with `porthole rdp-server create NAME`."
    desk.out.list(desk.porthole.rdp_servers.list(), _COLUMNS, empty)


@command(app, "create")
def create(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    resolution: Annotated[
        str, typer.Option("--resolution", help="Width and height of its screen, in pixels.")
    ] = "1920x1080",
    agent: Annotated[
        str | None,
        typer.Option("--agent", help="Where it is to be.", autocompletion=complete.agents),
    ] = None,
    expose: Annotated[
        bool,
        typer.Option(
            "--expose",
            help="Let RDP programs of its agent's machine come in on its port, with a password that"
            " is shown now and never again.",
        ),
    ] = False,
    start: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
) -> None:
    """Make an RDP server, with a home of its own."""
    servers = desk.porthole.rdp_servers
    made = servers.create(
        name, agent=agent, expose=expose, configuration={"resolution": resolution}
    )
    if start:
        # Before anything can go wrong with the start: nobody is told the password again.
        if made.password is not None:
            desk.out.note(f"Its password: {made.password}")
        servers.start(made.server_id)
        now = servers.get(made.server_id)
        made = RdpServerMade.model_validate({**now.model_dump(), "password": made.password})
    _shown(desk, made)


def _shown(desk: Desk, made: RdpServerMade) -> None:
    rows = {heading: cell(made) for heading, cell in _COLUMNS.items()}
    if made.password is not None:
        rows |= {"certificate": made.certificate, "password": made.password}
    desk.out.one(made, rows)


@command(app, "expose")
def expose(desk: Desk, which: Which) -> None:
    """Let RDP programs in on a server's port, by a new password.

    Its agent listens while the server runs, for programs of its own machine unless its
    administrator wants more. Who came in by an older password is cut off.
    """
    _shown(desk, desk.porthole.rdp_servers.expose(_find(desk, which).server_id))


@command(app, "hide")
def hide(desk: Desk, which: Which) -> None:
    """Let nobody in on a server's port any more."""
    found = desk.porthole.rdp_servers.hide(_find(desk, which).server_id)
    desk.out.done([found.name], "Hidden")


@command(app, "start")
def start(desk: Desk, which: Which) -> None:
    """Start a server, and wait until it runs."""
    _told(desk, desk.porthole.rdp_servers.start(_find(desk, which).server_id))


@command(app, "stop")
def stop(desk: Desk, which: Which) -> None:
    """Stop a server; its files stay."""
    _told(desk, desk.porthole.rdp_servers.stop(_find(desk, which).server_id))


@command(app, "restart")
def restart(desk: Desk, which: Which) -> None:
    """Stop a server and start it anew."""
    _told(desk, desk.porthole.rdp_servers.restart(_find(desk, which).server_id))


def _told(desk: Desk, done: RdpAction) -> None:
    rows = {"status": done.status, "session": done.session_id, "message": done.message}
    desk.out.one(done, rows)
    if done.status in {"starting", "stopping"}:
        raise Failure(f"It is still {done.status}.", Exit.TIMED_OUT)


@command(app, "test")
def try_(
    desk: Desk,
    which: Which,
    force: Annotated[
        bool, typer.Option("--force", help="Take the place of who looks at it.")
    ] = False,
) -> None:
    """Connect over RDP, and see whether a screen is drawn."""
    found = desk.porthole.rdp_servers.try_connection(_find(desk, which).server_id, force=force)
    rows = {
        "available": found.connection_available,
        "drawn": f"{found.drawn_percent:.0f} %",
        "resolution": found.resolution,
        "seconds": found.seconds,
        "message": found.message,
    }
    desk.out.one(found, rows)
    if not found.connection_available:
        raise Failure("Nobody would have seen its desktop.")


@command(app, "connect")
def connect(
    desk: Desk,
    which: Which,
    view: Annotated[bool, typer.Option("--view", help="Only watch: nothing is typed.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", help="Port on 127.0.0.1, if not the server's own.", min=0, max=65535
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Write an .rdp file here, without the password."),
    ] = None,
) -> None:
    """Open a server to an RDP program, until Ctrl-C.

    It is open on this machine alone, on the server's port.
    """
    found = _find(desk, which)
    if found.status != "running" or found.session_id is None:
        raise Failure(f"The server is {found.status}; connect once it runs.", Exit.CONFLICT)
    own = found.port if port is None else port
    door.connect(desk, str(found.session_id), rdp=True, view=view, port=own, file=file)


@command(app, "delete")
def delete(
    desk: Desk,
    which: Which,
    force: Annotated[bool, typer.Option("--force", help="Stop it, if it runs.")] = False,
) -> None:
    """Delete a server; its files stay, in a home of yours."""
    found = _find(desk, which)
    desk.porthole.rdp_servers.delete(found.server_id, force=force)
    desk.out.done([found.name], "Deleted")
