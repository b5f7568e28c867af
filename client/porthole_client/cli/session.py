"""`porthole session`: desktops."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from porthole_client.cli import complete, links
from porthole_client.cli.copying import Copy, ends
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Columns, Form, ago, plain
from porthole_client.errors import FileFault, NotFound
from porthole_client.models import Session
from porthole_contract.lifecycle import Phase

app = typer.Typer(help="Desktops: create, look at, stop, wake, end.", no_args_is_help=True)

Which = Annotated[
    str,
    typer.Argument(
        help="Name or id of the session.", metavar="SESSION", autocompletion=complete.sessions
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]
Timeout = Annotated[
    float, typer.Option("--timeout", help="Seconds to wait at the most.", min=0, show_default=True)
]


def _reason(session: Session) -> str:
    """Return why it is as it is; of one that waits for room, its place in the queue."""
    if session.queue_place is None:
        return session.reason
    return f"{session.reason}, number {session.queue_place}"


_COLUMNS: Columns[Session] = {
    "name": lambda session: session.name,
    "template": lambda session: session.template,
    "phase": lambda session: session.phase,
    "reason": _reason,
    "agent": lambda session: session.agent,
    "home": lambda session: session.home,
    "viewers": lambda session: session.viewers,
    "age": lambda session: ago(session.created_at),
}


def find(desk: Desk, which: str, *, ended: bool = False) -> Session:
    """Return the session that is meant: by its id, else the living one of that name.

    Args:
        desk: where to look.
        which: its id or name.
        ended: whether the last one of that name will do, where none is left.

    Raises:
        Failure: there is none, or several (an administrator sees others' as well).
    """
    try:
        return desk.porthole.sessions.get(UUID(which))
    except ValueError:
        found = [one for one in desk.porthole.sessions.list() if one.name == which]
    except NotFound:
        found = []
    if not found and ended:
        found = [one for one in desk.porthole.sessions.list(ended=True) if one.name == which][:1]
    if not found:
        raise Failure(
            f"There is no session {which!r}. See `porthole session list`.", Exit.NOT_FOUND
        )
    if len(found) > 1:
        ids = ", ".join(f"{one.id} ({one.owner})" for one in found)
        raise Failure(
            f"Several sessions are called {which!r}; name one by its id: {ids}.", Exit.USAGE
        )
    return found[0]


def _show(desk: Desk, session: Session) -> None:
    desk.out.one(
        session,
        {
            "name": session.name,
            "id": session.id,
            "owner": session.owner,
            "template": session.template,
            "phase": session.phase,
            "reason": session.reason,
            "message": session.message,
            "desired": session.desired,
            "agent": session.agent,
            "home": session.home,
            "viewers": session.viewers,
            "restarts": session.restarts,
            "created": session.created_at,
            "started": session.started_at,
            "last active": session.last_activity_at,
        },
    )


def _wait(desk: Desk, session: Session, phase: Phase, timeout: float) -> Session:
    """Wait for a phase, and tell of each phase on the way."""
    with desk.out.waiting(session.name) as tell:
        return desk.porthole.sessions.wait_phase(
            session.id, phase, timeout=timeout, seen=lambda one: tell(_news(one))
        )


def _news(session: Session) -> str:
    return f"{session.phase}, {session.message}" if session.message else str(session.phase)


@command(app, "create")
def create(
    desk: Desk,
    template: Annotated[
        str,
        typer.Argument(
            help="What to make it from: desktop, or its third revision: desktop@3.",
            autocompletion=complete.templates,
        ),
    ],
    name: Annotated[str | None, typer.Option("--name", help="What to call it.")] = None,
    on: Annotated[str | None, typer.Option("--agent", help="The agent that must run it.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--agent-label", help="What its agent is labelled.", metavar="KEY=VALUE"),
    ] = None,
    keep: Annotated[
        str | None, typer.Option("--in-home", help="Home to use, made if there is none yet.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", help="URL or file to open in it.", metavar="WHAT")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Size of the screen.", metavar="WIDTHxHEIGHT")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = 180,
) -> None:
    """Ask for a desktop; with --wait, until it can be looked at."""
    spec: dict[str, Any] = {"home": keep, "start": start, "display": _display(size)}
    if labels:
        spec["agent_labels"] = dict(_label(one) for one in labels)
    try:
        session = desk.porthole.sessions.create(template, name=name, agent=on, **spec)
    except NotFound as error:
        hint = "`porthole template list` and `porthole agent list` say what there is."
        raise Failure(f"{error} {hint}", Exit.NOT_FOUND) from None
    if wait:
        session = _wait(desk, session, Phase.RUNNING, timeout)
    _show(desk, session)
    if wait and desk.out.form is Form.TABLE:
        desk.out.note(f"See it with `porthole session open {session.name}`.")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise Failure(f"{text!r} is no label such as zone=west.", Exit.USAGE)
    return key, value


def _display(size: str | None) -> dict[str, int] | None:
    """Return the screen that `1600x900` means.

    Raises:
        Failure: it means none.
    """
    if size is None:
        return None
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise Failure(f"{size!r} is no size such as 1600x900.", Exit.USAGE)
    return {"width": int(width), "height": int(height)}


@command(app, "list")
def list_(
    desk: Desk,
    every: Annotated[bool, typer.Option("--all", help="Ended ones, too.")] = False,
) -> None:
    """List sessions, newest first."""
    sessions = desk.porthole.sessions.list(ended=every)
    empty = "There are no sessions. Make one with `porthole session create desktop`."
    desk.out.list(sessions, _COLUMNS, empty)


@command(app, "show")
def show(desk: Desk, session: Which) -> None:
    """Show one session."""
    _show(desk, find(desk, session))


@command(app, "logs")
def logs(desk: Desk, session: Which) -> None:
    """Print the last lines that a session's programs have said."""
    text = desk.porthole.sessions.logs(find(desk, session, ended=True).id)
    if desk.out.form is Form.JSON:
        desk.out.json({"logs": text})
        return
    for line in text.splitlines():
        print(plain(line))


@command(app, "events")
def events(desk: Desk, session: Which) -> None:
    """Print what happened to a session, oldest first."""
    found = desk.porthole.sessions.events(find(desk, session, ended=True).id)
    if desk.out.form is Form.JSON:
        desk.out.json({"items": [event.model_dump(mode="json") for event in found]})
        return
    for event in found:
        print(f"{plain(event.at)}  {plain(event.phase):<12} {plain(event.message)}")


@command(app, "open")
def open_(
    desk: Desk,
    session: Which,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the link, open no browser.")
    ] = False,
) -> None:
    """Open a session in the browser; the link signs in once."""
    found = find(desk, session)
    link = links.to_session(desk.porthole.people.sign_in_link().url, found.id)
    if desk.out.form is Form.JSON:
        desk.out.json({"session": str(found.id), "url": link})
    elif only_print or not links.open_in_browser(link, desk.local.run):
        print(link)


@command(app, "exec")
def exec_(
    desk: Desk,
    session: Which,
    words: Annotated[
        list[str], typer.Argument(help="The program and its arguments, after --.", metavar="CMD...")
    ],
    cwd: Annotated[
        str | None, typer.Option("--cwd", help="Folder to run in, seen from the home.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="A variable for it.", metavar="NAME=VALUE")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="End it after so long.", min=0.1)
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", "-i", help="Give it what this command is given to read.")
    ] = False,
) -> None:
    """Run a program in a session: exec NAME -- ls -l.

    What it prints comes here as it comes, and its exit code is this command's; 126 if it was
    not run.
    """
    given = dict(_variable(one) for one in env or ())
    heard: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    as_json = desk.out.form is Form.JSON

    def say(number: int, data: bytes) -> None:
        if as_json:
            heard[number] += data
            return
        output = sys.stderr.buffer if number == _STDERR else sys.stdout.buffer
        output.write(data)
        output.flush()

    ran = desk.porthole.sessions.exec(
        find(desk, session).id,
        words,
        stdin=sys.stdin.buffer if stdin else b"",
        env=given,
        cwd=cwd,
        seconds=seconds,
        output=say,
    )
    if as_json:
        texts = {name: bytes(heard[n]).decode(errors="replace") for n, name in _OUTPUTS.items()}
        desk.out.json({"status": ran.status, "timed_out": ran.timed_out, **texts})
    elif ran.timed_out:
        desk.out.note(f"It was ended: it has run for {seconds:g} s.")
    raise typer.Exit(ran.exit_code)


_STDERR = 2
_OUTPUTS = {1: "stdout", _STDERR: "stderr"}


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Failure(f"{text!r} is no variable such as LANG=de_DE.UTF-8.", Exit.USAGE)
    return name, value


@command(app, "cp")
def cp(
    desk: Desk,
    source: Annotated[str, typer.Argument(help="What to copy: a path, or SESSION:PATH.")],
    target: Annotated[str, typer.Argument(help="Where to: a path, or SESSION:PATH.")],
) -> None:
    """Copy files and folders into a session's home or out of it.

    What broke goes on where it was when it is copied again.

    Paths in a session are seen from its home: porthole session cp report.pdf work:Documents/
    """
    here, there = ends(source, target)
    up = here.session is None
    which = find(desk, str((there if up else here).session)).id
    sessions = desk.porthole.sessions
    mode = "control" if up else "view"
    with desk.out.waiting("cp") as tell:
        shown = tell if sys.stderr.isatty() else lambda _: None
        with Copy(lambda: sessions.files(which, mode=mode), shown) as copy:
            if up:
                copy.up(Path(source), there.path)
            else:
                try:
                    copy.down(here.path, Path(target))
                except FileFault as fault:
                    if fault.code != "not_found":
                        raise
                    raise Failure(f"There is no {source}.", Exit.NOT_FOUND) from None
    for one in copy.left_out:
        desk.out.note(f"Left out: {one}.")
    if desk.out.form is Form.JSON:
        done = {"files": copy.files, "bytes": copy.size, "left_out": copy.left_out}
        desk.out.json(done)
    else:
        files = "1 file" if copy.files == 1 else f"{copy.files} files"
        desk.out.note(f"Copied {files}, {copy.size} bytes.")


@command(app, "hibernate")
def hibernate(desk: Desk, session: Which, wait: Wait = False, timeout: Timeout = 180) -> None:
    """Stop a session and keep its home; its windows are lost."""
    changed = desk.porthole.sessions.hibernate(find(desk, session).id)
    _show(desk, _wait(desk, changed, Phase.HIBERNATED, timeout) if wait else changed)


@command(app, "wake")
def wake(desk: Desk, session: Which, wait: Wait = False, timeout: Timeout = 180) -> None:
    """Start a hibernated session again on its home."""
    changed = desk.porthole.sessions.wake(find(desk, session).id)
    _show(desk, _wait(desk, changed, Phase.RUNNING, timeout) if wait else changed)


@command(app, "delete")
def delete(
    desk: Desk,
    sessions: Annotated[
        list[str],
        typer.Argument(
            help="Names or ids of sessions.",
            metavar="SESSION...",
            autocompletion=complete.sessions,
        ),
    ],
    wait: Wait = False,
    timeout: Timeout = 60,
) -> None:
    """End sessions; their homes are kept."""
    ending = [find(desk, which) for which in sessions]
    for session in ending:
        desk.porthole.sessions.delete(session.id)
    for session in ending if wait else ():
        with desk.out.waiting(session.name) as tell:
            tell("ending")
            desk.porthole.sessions.wait_gone(session.id, timeout=timeout)
    desk.out.done([str(session.id) for session in ending], "Ended" if wait else "Ending")
