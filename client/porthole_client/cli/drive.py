"""`porthole session screenshot`, `type`, `key`, `click`, `clipboard`: a desktop from a shell."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from porthole_client.cli.desk import Desk, command
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import Form
from porthole_client.cli.session import Which, find

_STDIN = "-"


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of a session."""
    command(app, "screenshot")(screenshot)
    command(app, "type")(type_)
    command(app, "key")(key)
    command(app, "click")(click)
    command(app, "clipboard")(clipboard)


def screenshot(
    desk: Desk,
    session: Which,
    file: Annotated[
        Path | None, typer.Argument(help="Where to write the PNG; - is standard output.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", help="No wider than so many pixels.", min=16)
    ] = None,
) -> None:
    """Save what a session's screen shows, as NAME.png."""
    found = find(desk, session)
    png = desk.porthole.desktop(found).screenshot(width=width)
    if str(file) == _STDIN:
        sys.stdout.buffer.write(png)
        return
    path = file or Path(f"{found.name}.png")
    try:
        path.write_bytes(png)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.") from None
    desk.out.done([str(path)], "Saved")


def type_(
    desk: Desk,
    session: Which,
    text: Annotated[str, typer.Argument(help="What to type; - reads it from standard input.")],
) -> None:
    """Type a text in a session, whatever its keyboard."""
    found = find(desk, session)
    desk.porthole.desktop(found).type(sys.stdin.read() if text == _STDIN else text)
    desk.out.done([found.name], "Typed")


def key(
    desk: Desk,
    session: Which,
    keys: Annotated[
        list[str], typer.Argument(help="Keys: Return, F5, ctrl+shift+t ...", metavar="KEY...")
    ],
) -> None:
    """Press keys in a session, one chord after another."""
    found = find(desk, session)
    desk.porthole.desktop(found).press(*keys)
    desk.out.done([found.name], "Pressed")


def click(
    desk: Desk,
    session: Which,
    x: Annotated[int, typer.Argument(help="Pixels from the left edge.", min=0)],
    y: Annotated[int, typer.Argument(help="Pixels from the top edge.", min=0)],
    button: Annotated[
        str, typer.Option("--button", help="left, middle, right, back or forward.")
    ] = "left",
    double: Annotated[bool, typer.Option("--double", help="Twice.")] = False,
    keys: Annotated[
        str | None, typer.Option("--holding", help="Keys held meanwhile, e.g. ctrl.")
    ] = None,
) -> None:
    """Click somewhere in a session."""
    found = find(desk, session)
    count = 2 if double else 1
    desk.porthole.desktop(found).click(x, y, button=button, count=count, keys=keys)
    desk.out.done([found.name], "Clicked")


def clipboard(
    desk: Desk,
    session: Which,
    text: Annotated[
        str | None,
        typer.Argument(help="What its programs shall paste; - reads it from standard input."),
    ] = None,
) -> None:
    """Print what was copied in a session, or give it a text."""
    found = find(desk, session)
    desktop = desk.porthole.desktop(found)
    if text is not None:
        desktop.copy(sys.stdin.read() if text == _STDIN else text)
        desk.out.done([found.name], "Copied")
        return
    copied = desktop.clipboard()
    if desk.out.form is Form.JSON:
        desk.out.json({"text": copied})
    elif copied:
        # Whole, for a pipe; on a terminal nothing in it may be obeyed.
        safe = sys.stdout.isatty()
        shown = "".join(one for one in copied if one.isprintable() or one in "\n\t")
        print(shown if safe else copied)
    else:
        raise Failure("Nothing was copied in it.", Exit.NOT_FOUND)
