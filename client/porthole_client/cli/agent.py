"""`porthole agent`: the places where sessions run."""

import asyncio
import shlex
from typing import Annotated
from uuid import UUID

import typer

from porthole_client.cli import complete
from porthole_client.cli.desk import Desk, HomeOption, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Columns, Form, ago
from porthole_client.cli.up import command as up
from porthole_client.cli.up import joined
from porthole_client.cli.up.instance import Instance
from porthole_client.cli.up.prepare import need_root, prepare
from porthole_client.home import Home, default_home
from porthole_client.models import Agent

app = typer.Typer(help="The places where sessions run.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(
        help="Name or id of the agent.", metavar="AGENT", autocompletion=complete.agents
    ),
]

_COLUMNS: Columns[Agent] = {
    "name": lambda agent: agent.name,
    "state": lambda agent: agent.state,
    "linked": lambda agent: agent.linked,
    "runtime": lambda agent: agent.runtime,
    "version": lambda agent: agent.version,
    "seen": lambda agent: ago(agent.last_seen_at),
    "id": lambda agent: agent.id,
}


def _find(desk: Desk, which: str) -> Agent:
    try:
        return desk.porthole.agents.get(UUID(which))
    except ValueError:
        found = [agent for agent in desk.porthole.agents.list() if agent.name == which]
    if not found:
        raise Failure(f"There is no agent {which!r}. See `porthole agent list`.", Exit.NOT_FOUND)
    return found[0]


@command(app, "list")
def list_(desk: Desk) -> None:
    """List agents."""
    empty = "There are no agents. `porthole agent join-token NAME` says how one joins."
    desk.out.list(desk.porthole.agents.list(), _COLUMNS, empty)


@command(app, "join-token")
def join_token(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="What the agent will be called.")],
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", help="How long it can be used (an hour).")
    ] = None,
) -> None:
    """Make the right to enrol one agent.

    The last line is what to type on its machine.
    """
    made = desk.porthole.agents.join_token(name, lifetime=lifetime)
    if desk.out.form is Form.JSON:
        desk.out.json(made.model_dump(mode="json"))
        return
    desk.out.note("Clone Porthole on the machine that joins, and type there, once:")
    print(shlex.join(["./porthole", "agent", "join", made.url, made.token]))


@app.command("join")
def join(
    url: Annotated[str | None, typer.Argument(help="The Porthole to join.")] = None,
    token: Annotated[str | None, typer.Argument(help="The join token.")] = None,
    home: HomeOption = None,
) -> None:
    """Make this machine an agent of a Porthole elsewhere.

    Ctrl-C ends it and its desktops.

    Without arguments it goes on as the agent that it has become before.
    """
    need_root()
    where = Home((home or default_home()).absolute())
    if (url is None) != (token is None):
        raise Failure("Paste the whole line: an address and a join token.", Exit.USAGE)
    with up.held(where):
        prepare((), up.say, console=False)
        up.say("Starting the agent of this machine; Ctrl-C ends it and its desktops")
        asyncio.run(Instance(where, up.say).run(lambda made: joined.start(made, where, url, token)))


@command(app, "drain")
def drain(
    desk: Desk,
    agent: Which,
    undo: Annotated[bool, typer.Option("--undo", help="Have it take sessions again.")] = False,
) -> None:
    """Give an agent no new sessions; what runs there goes on."""
    changed = desk.porthole.agents.drain(_find(desk, agent).id, draining=not undo)
    desk.out.one(changed, {"name": changed.name, "state": changed.state})


@command(app, "remove")
def remove(
    desk: Desk,
    agent: Which,
    with_sessions: Annotated[
        bool, typer.Option("--with-sessions", help="End its sessions with it.")
    ] = False,
) -> None:
    """Take away an agent that never comes back.

    Its sessions count as ended, AgentRemoved.
    """
    found = _find(desk, agent)
    desk.porthole.agents.revoke(found.id, with_sessions=with_sessions)
    desk.out.done([found.name], "Removed")


@command(app, "revoke")
def revoke(desk: Desk, agent: Which) -> None:
    """Take an agent's right to link away, and end its link.

    Its streams end at once.
    """
    found = _find(desk, agent)
    desk.porthole.agents.revoke(found.id)
    desk.out.done([found.name], "Revoked")
