"""`porthole session connect`: a session in an RDP or VNC program of this machine."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from porthole_client.cli import complete, session
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Form, Output
from porthole_client.clients import AsyncPorthole
from porthole_client.models import Session
from porthole_client.native.file import USER, rdp_file
from porthole_contract.lifecycle import Phase
from porthole_contract.stream.channels import Channel

if TYPE_CHECKING:
    from porthole_client.native.door import Door

RDP, VNC = str(Channel.RDP), str(Channel.VNC)


def add_to(app: typer.Typer) -> None:
    """Add the command to those about sessions."""
    command(app, "connect")(connect)


def connect(
    desk: Desk,
    which: Annotated[
        str,
        typer.Argument(
            help="Name or id of the session.", metavar="SESSION", autocompletion=complete.sessions
        ),
    ],
    rdp: Annotated[bool, typer.Option("--rdp", help="For a program that speaks RDP.")] = False,
    vnc: Annotated[bool, typer.Option("--vnc", help="For a program that speaks VNC.")] = False,
    view: Annotated[bool, typer.Option("--view", help="Only watch: nothing is typed.")] = False,
    port: Annotated[
        int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    path: Annotated[
        Path | None,
        typer.Option("--socket", help="Path of a unix socket to listen on, instead of a port."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Write an .rdp file here, without the password."),
    ] = None,
) -> None:
    """Open a session to an RDP or VNC program, until Ctrl-C.

    It listens on 127.0.0.1 alone and asks for a password that is shown here and good once; the
    next connection has another. Nothing is opened where the session runs.
    """
    found = session.find(desk, which)
    over = _over(desk, found, rdp=rdp, vnc=vnc)
    if file is not None and (over != RDP or path is not None):
        raise Failure("An .rdp file is for an RDP program and a port.", Exit.USAGE)
    if path is not None and path.exists():
        raise Failure(f"{path} is there already. Name another, or delete it.", Exit.CONFLICT)
    if found.phase != Phase.RUNNING:
        raise Failure(f"The session is {found.phase}; connect once it runs.", Exit.CONFLICT)
    try:
        asyncio.run(_until_told(desk, found, over, "view" if view else "control", port, path, file))
    except OSError as error:
        where = path or f"port {port} of 127.0.0.1"
        raise Failure(f"{where} cannot be listened on: {error.strerror}.") from None


def _over(desk: Desk, found: Session, *, rdp: bool, vnc: bool) -> str:
    """Return what is spoken: what was asked for, else what the desktop speaks first.

    Raises:
        Failure: both were asked for, or what the desktop does not speak.
    """
    speaks = str(found.protocol or VNC)
    asked = {RDP} if rdp else set()
    asked |= {VNC} if vnc else set()
    if len(asked) > 1:
        raise Failure("Ask for --rdp or for --vnc.", Exit.USAGE)
    over = asked.pop() if asked else speaks
    if over != speaks and over not in desk.porthole.templates.get(found.template).protocols:
        raise Failure(
            f"The session speaks {speaks.upper()}: use --{speaks}, or leave it out.", Exit.USAGE
        )
    return over


async def _until_told(
    desk: Desk,
    found: Session,
    over: str,
    mode: str,
    port: int,
    path: Path | None,
    file: Path | None,
) -> None:
    from porthole_client.native.door import Telling  # noqa: PLC0415 - others do without it

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # elsewhere Ctrl-C ends it less gently
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, stopped.set)
    tell = Telling(
        password=lambda password: _next(desk.out, password),
        news=lambda news: desk.out.note(f"{found.name}: {news}"),
    )
    place = desk.place
    async with (
        AsyncPorthole(place.server, place.token, fingerprint=place.fingerprint) as porthole,
        porthole.sessions.door(
            found.id, over=over, mode=mode, port=port, path=path, tell=tell
        ) as door,
    ):
        with _written(file, rdp_file(door.address)):
            _announce(desk.out, found, door, over, file)
            await stopped.wait()


def _announce(out: Output, found: Session, door: "Door", over: str, file: Path | None) -> None:
    shown = {
        "session": found.name,
        "protocol": over,
        "address": door.address,
        "user": USER if over == RDP else None,
        "password": door.password,
        "fingerprint": door.fingerprint,
        "file": None if file is None else str(file),
    }
    if out.form is Form.JSON:
        out.json({name: value for name, value in shown.items() if value is not None})
        sys.stdout.flush()
        return
    print(f"Session {found.name} waits for a {over.upper()} program of this machine:\n")
    for name, value in shown.items():
        if value is not None and name != "session":
            print(f"    {name:<11}  {value}")
    print(f"\n    {_example(over, door)}\n")
    print(
        "The password is good for one connection; the next one is shown then.\n"
        "Ctrl-C here closes all of them; the session goes on.",
        flush=True,
    )


def _example(over: str, door: "Door") -> str:
    """Return how a common program is started, without the password."""
    if over == VNC:
        unix = door.address.startswith("/")
        return f"vncviewer {door.address if unix else door.address.replace(':', '::')}"
    colons = ":".join(
        (door.fingerprint or "")[at : at + 2] for at in range(0, len(door.fingerprint or ""), 2)
    )
    return f"xfreerdp /v:{door.address} /u:{USER} /sec:tls /cert:fingerprint:sha256:{colons}"


def _next(out: Output, password: str) -> None:
    if out.form is Form.JSON:
        out.json({"password": password})
        sys.stdout.flush()
        return
    print(f"The next connection has the password {password}", flush=True)


@contextlib.contextmanager
def _written(file: Path | None, text: str) -> Iterator[None]:
    """Have a file that is ours alone and was not there, if one is wanted.

    Raises:
        Failure: it is there, or cannot be written.
    """
    if file is None:
        yield
        return
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from None
    with os.fdopen(made, "w", encoding="utf-8", newline="") as opened:
        opened.write(text)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
