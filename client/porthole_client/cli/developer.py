"""`porthole prepare`; and `test`, `bench` and `chaos`, which are the checkout's own programs."""

import os
import shutil
import sys
from typing import Annotated

import typer

from porthole_client.cli import checkout
from porthole_client.cli.up import packages
from porthole_client.cli.up.prepare import prepare

_BASELINES = ("socat",)
"""Debian packages of programs, called like these, that ours are measured against."""
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("prepare", rich_help_panel="Development")(_prepare)
    app.command("test", context_settings=_PASSED_ON, rich_help_panel="Development")(_test)
    app.command("bench", context_settings=_PASSED_ON, rich_help_panel="Development")(_bench)
    own = {**_PASSED_ON, "help_option_names": []}
    app.command("chaos", context_settings=own, rich_help_panel="Development")(_chaos)


def _become(command: str, program: tuple[str, ...], arguments: list[str]) -> None:
    root = checkout.need(f"porthole {command}")
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, *program, *arguments])


def _prepare(
    extra: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="TEMPLATE", help="Install what this template needs, too."),
    ] = None,
) -> None:
    """Install and build what this machine lacks, and start nothing."""
    prepare(extra or (), print)


def _test(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Stages to run (all, if none); what follows -- goes to pytest."),
    ] = None,
) -> None:
    """Run every check and test of the project, stage by stage."""
    del arguments  # they come without the -- that parts them
    _become("test", ("-m", "tests.run"), sys.argv[sys.argv.index("test") + 1 :])


def _bench(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks to run (all, if none).")
    ] = None,
) -> None:
    """Measure, print the table and write the JSON into bench/."""
    prepare(("browser",), print)
    if lacking := [name for name in _BASELINES if shutil.which(name) is None]:
        packages.install(lacking, print)
    _become("bench", ("-m", "bench"), arguments or [])


def _chaos(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="--minutes N, --seed S; --help tells of more.")
    ] = None,
) -> None:
    """Break what can break while it is used, and judge it."""
    wanted = arguments or []
    if not {"--help", "--sum"} & set(wanted):
        prepare((), print)
    _become("chaos", ("-m", "e2e.chaos.command"), wanted)
