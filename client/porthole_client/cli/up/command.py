"""The command `porthole up`."""

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from porthole_client.cli import links
from porthole_client.cli.desk import HomeOption
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.failures import failures
from porthole_client.cli.up import leftovers, locks, record, whole
from porthole_client.cli.up.instance import Instance
from porthole_client.cli.up.prepare import need_root, prepare
from porthole_client.home import Home, default_home
from porthole_client.models import SignInLink

DEFAULT_PORT = 8080
_PRIVATE = 0o700


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("up")(_up)


def _up(
    port: Annotated[
        int, typer.Option("--port", help="Port of the console and the API.", min=1, max=65535)
    ] = DEFAULT_PORT,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="ADDR", help="A further address to serve on, with TLS: for others."
        ),
    ] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="TEMPLATE", help="Install what this template needs, too."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
    home: HomeOption = None,
) -> None:
    """Start everything on this machine; Ctrl-C ends it.

    It prints a link that signs in, once.
    """
    need_root()
    where = Home((home or default_home()).absolute())

    async def start(instance: Instance) -> None:
        await whole.start(
            instance,
            where,
            port=port,
            listen=listen,
            opened=lambda link: _opened(link, where, no_browser),
        )

    with held(where):
        check_port(port, listen)
        prepare(extra or (), say)
        say(f"Starting Porthole with the home {where.path}")
        with failures():
            asyncio.run(Instance(where, say).run(start))
        say("Everything has ended. `porthole up` goes on where it was.")


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Hold a home, with what an earlier run left in it ended.

    Raises:
        Failure: another process holds it.
    """
    make_home(home)
    lock = locks.take(home.run / "up.lock")
    if lock is None:
        raise Failure(_in_use(home), Exit.CONFLICT)
    try:
        if ended := leftovers.end(home):
            say(f"Ended what an earlier run had left: {', '.join(ended)}")
        yield
    finally:
        os.close(lock)


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)


def make_home(home: Home) -> None:
    """Create the home's directories, closed to others where they hold secrets or data.

    Raises:
        Failure: that is not possible here.
    """
    try:
        home.path.mkdir(parents=True, exist_ok=True, mode=0o755)
        for inner in (home.run, home.log, home.agent, home.secrets):
            inner.mkdir(exist_ok=True, mode=_PRIVATE)
    except OSError as error:
        raise Failure(
            f"The home {home.path} cannot be made: {error.strerror}. Choose one with --home."
        ) from None


def check_port(port: int, listen: str | None) -> None:
    """Check that the addresses are free and this machine's, before anything is started.

    Raises:
        Failure: one of them is not.
    """
    for address in ("127.0.0.1", *([listen] if listen else [])):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise Failure(
                    f"Port {port} on {address} cannot be used: {(error.strerror or '').lower()}."
                    " Choose another one with --port.",
                    Exit.CONFLICT,
                ) from None


def _in_use(home: Home) -> str:
    last = record.read(home)
    who = f" (process {last.up.pid})" if last is not None and last.up.is_alive() else ""
    return (
        f"Another `porthole up`{who} already runs with the home {home.path}."
        " End it with Ctrl-C, or choose another home with --home."
    )


def _opened(link: SignInLink, home: Home, no_browser: bool) -> None:
    say("")
    say("Porthole is ready. This link signs you in, once:")
    say("")
    say(f"    {link.url}")
    say("")
    say('Choose a template there and press "New session". Ctrl-C here ends everything.')
    if home.path != default_home():
        say(f"For other commands and programs: export PORTHOLE_HOME={shlex.quote(str(home.path))}")
    if not no_browser and sys.stdout.isatty():
        links.open_in_browser(link.url, home.run)
