"""`porthole backup`: what the database of a home on this machine holds, saved and put back.

People's files are no part of it, nor is what runs: `docs/backups.md` says why, and what else
belongs to a backup.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from porthole_client.cli.desk import HomeOption
from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.output import size
from porthole_client.cli.up import plan, record
from porthole_client.cli.up.command import held, say
from porthole_client.home import Home, default_home

app = typer.Typer(help="What the database on this machine holds.", no_args_is_help=True)

_PRIVATE = 0o600


@app.command("save")
def save(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not exist yet.")],
    home: HomeOption = None,
) -> None:
    """Save it to a file, while Porthole runs or while it does not.

    Who has the file has everything that the database holds: keep it as you keep keys.
    """
    where = _home(home)
    if not (where.path / "postgres" / "data").exists():
        raise Failure(f"There is no database below {where.path}.", Exit.NOT_FOUND)
    try:
        into = open(file, "xb", opener=_privately)  # noqa: SIM115 - closed with what is written
    except FileExistsError:
        raise Failure(f"There is a file {file} already.", Exit.CONFLICT) from None
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from None
    try:
        with into, _database(where):
            _program("save", where, into=into)
    except BaseException:
        file.unlink()
        raise
    print(f"Saved {size(file.stat().st_size)} to {file}.")


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `porthole backup save` made.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
) -> None:
    """Put back what was saved, all of it or nothing.

    What the database holds now is gone then. Porthole must have ended. Sessions that have begun
    or ended since it was saved stay as they are: agents tell what they have when it runs again.
    """
    where = _home(home)
    if _runs(where):
        raise Failure(
            f"Porthole runs with the home {where.path}. End it first (Ctrl-C).", Exit.CONFLICT
        )
    try:
        saved = file.open("rb")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", Exit.NOT_FOUND) from None
    with saved:
        question = f"Put it in the place of all that the database below {where.path} holds?"
        if not yes and not typer.confirm(question, err=True):
            raise Failure("Nothing was loaded.")
        with _database(where):
            _program("load", where, saved=saved)
    print("Loaded. `porthole up` goes on from there.")


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _home(named: Path | None) -> Home:
    return Home((named or default_home()).absolute())


def _runs(home: Home) -> bool:
    last = record.read(home)
    return last is not None and last.up.is_alive()


@contextmanager
def _database(home: Home) -> Iterator[None]:
    """Have the database of a home running: as a part of what runs, or by itself."""
    if _runs(home):
        yield
        return
    part = plan.postgres(home)
    with (
        held(home),
        subprocess.Popen(
            part.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running,
    ):
        assert running.stdout is not None, "it is a pipe"
        assert running.stderr is not None, "it is a pipe"
        try:
            if not running.stdout.readline().startswith("ready"):
                raise Failure(f"The database does not start: {running.stderr.read().strip()}")
            yield
        finally:
            running.terminate()
            running.communicate(timeout=part.patience)


def _program(
    what: str,
    home: Home,
    *,
    saved: IO[bytes] | int = subprocess.DEVNULL,
    into: IO[bytes] | None = None,
) -> None:
    """Have the control plane's own program do it.

    Raises:
        Failure: it did not; in its words.
    """
    command = (sys.executable, "-m", "porthole_control.backup", what, "--home", str(home.path))
    done = subprocess.run(
        command, stdin=saved, stdout=into, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise Failure(done.stderr.strip() or f"The backup was not {what}ed.")
    if done.stderr:
        say(done.stderr.strip())
