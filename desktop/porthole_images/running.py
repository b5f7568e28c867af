"""Programs that a step runs: quiet while all is well, quoted when they fail."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from porthole_client.cli.exits import Failure

_SHOWN = 4000  # characters of a failed program's output, from its end


def run(
    command: Sequence[str | Path], *, cwd: Path = Path("/"), env: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return what it printed to standard output.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: what its environment has besides ours.

    Raises:
        Failure: it could not be started, or failed; the sentence has its last words.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise Failure(f"{words[0]} is not installed, or not in PATH.") from None
    if done.returncode:
        said = (done.stderr + done.stdout).strip()[-_SHOWN:]
        raise Failure(f"`{shlex.join(words)[:200]}` failed, in its own words:\n{said}")
    return done.stdout
