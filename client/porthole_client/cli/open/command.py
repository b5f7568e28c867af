"""The command `porthole open`."""

from pathlib import Path
from typing import Annotated

import typer

from porthole_client.cli import complete, session
from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open import which

_OPTIONAL = frozenset({"aiohttp", "kubernetes"})


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "open")(open_)


def open_(
    desk: Desk,
    which_one: Annotated[
        str,
        typer.Argument(
            help="session/NAME in a cluster; a NAME alone, where no option below names a cluster,"
            " is a session of the control plane.",
            metavar="SESSION",
            autocompletion=complete.sessions,
        ),
    ],
    context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig: which cluster.")
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", help="File to read instead of KUBECONFIG.", dir_okay=False),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Its namespace in the cluster. Left out: the context's, else porthole-sessions.",
            show_default=False,
        ),
    ] = None,
    view: Annotated[bool, typer.Option("--view", help="Only watch: nothing is typed.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for it to be ready.", min=0)
    ] = 180,
) -> None:
    """Open a session in the browser.

    One of a cluster without a control plane is open until Ctrl-C.

    In a cluster the kubeconfig is the right to it: Porthole's operator lets in who may own the
    session or create sessions/connect, and the API server carries the picture.
    """
    if not (context or kubeconfig or namespace or which.as_kubectl_says(which_one)):
        if view:
            raise Failure(
                '--view is for sessions of a cluster; the console has its own "Only watch".',
                Exit.USAGE,
            )
        session.open_(desk, which_one, only_print=no_browser)
        return
    if desk.server or desk.token_file:
        raise Failure(
            "A session is opened through a server or by a kubeconfig. Leave one of them out.",
            Exit.USAGE,
        )
    name = which.session_name(which_one)
    try:
        from porthole_client.cli.open import showing  # noqa: PLC0415 - others do without it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OPTIONAL:
            raise
        raise Failure(
            "Opening a session of a cluster needs the Kubernetes client, which is not installed"
            " here. Install it with: pip install 'porthole[client,kubernetes]'.",
        ) from error
    showing.show(
        desk.out,
        name,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        watch_only=view,
        browser=not no_browser,
        within=timeout,
    )
