"""What every command that talks to Porthole is given, and the options that say it.

`command` adds `--server`, `--token-file`, `--home` and `--output` to a function whose first
parameter is a `Desk`, so that each command names only what is its own.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.failures import failures
from porthole_client.cli.output import Form, Output
from porthole_client.clients import Porthole
from porthole_client.home import Home, default_home
from porthole_client.place import Place, find

P = ParamSpec("P")

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="The home of the instance on this machine (PORTHOLE_HOME).",
        show_default=False,
        file_okay=False,
    ),
]
OutputOption = Annotated[Form, typer.Option("--output", "-o", help="How results are printed.")]

_SHARED = {
    "server": Annotated[
        str | None,
        typer.Option("--server", help="Address of the server (PORTHOLE_SERVER).", metavar="URL"),
    ],
    "token_file": Annotated[
        Path | None,
        typer.Option(
            "--token-file", help="File with the token (or PORTHOLE_TOKEN).", dir_okay=False
        ),
    ],
    "home": HomeOption,
    "output": OutputOption,
}


@dataclass(frozen=True)
class Desk:
    """Where a command finds the server, and where it prints."""

    server: str | None = None
    token_file: Path | None = None
    home: Path | None = None
    out: Output = field(default_factory=Output)

    @cached_property
    def place(self) -> Place:
        """Which Porthole is meant, and as whom."""
        token = None if self.token_file is None else read_token(self.token_file)
        return find(server=self.server, token=token, home=self.home)

    @cached_property
    def porthole(self) -> Porthole:
        """The connection to it."""
        return Porthole(self.place.server, self.place.token, fingerprint=self.place.fingerprint)

    @property
    def local(self) -> Home:
        """The home that is meant on this machine."""
        return Home(self.home or default_home())


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        Failure: there is none that can be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"The token in {path} cannot be read: {error}.", Exit.NOT_ALLOWED) from None


def command(
    app: typer.Typer, name: str, **options: Any
) -> Callable[[Callable[Concatenate[Desk, P], None]], Callable[Concatenate[Desk, P], None]]:
    """Add a function to `app` as the command `name`, with the shared options after its own."""

    def add(function: Callable[Concatenate[Desk, P], None]) -> Callable[Concatenate[Desk, P], None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=Form.TABLE if key == "output" else None,
                annotation=annotation,
            )
            for key, annotation in _SHARED.items()
        ]
        kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

        def run(**given: Any) -> None:
            where = (given.pop("server"), given.pop("token_file"), given.pop("home"))
            desk = Desk(*where, Output(given.pop("output")))
            with failures():
                function(desk, **given)  # type: ignore[call-arg]

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature([*kept, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {
            parameter.name: parameter.annotation for parameter in [*kept, *shared]
        }
        app.command(name, **options)(run)
        return function

    return add
