"""Programs that a step runs: quiet while all is well, quoted when they fail."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from porthole_client.cli.exits import Failure

_SHOWN = 4000  # characters of a failed program's output, from its end

Word = str | Path


def run(
    command: Sequence[Word],
    *,
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
    given: IO[bytes] | bytes | None = None,
) -> str:
    """Run a program to its end and return what it printed to standard output.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: its environment; this process's own if None.
        given: its standard input.

    Raises:
        Failure: it could not be started, or failed; the sentence has its last words.
    """
    words = [str(word) for word in command]
    content = given if isinstance(given, bytes) else None
    stdin = subprocess.DEVNULL if given is None or content is not None else given
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            capture_output=True,
            check=False,
            **({"input": content} if content is not None else {"stdin": stdin}),
        )
    except FileNotFoundError:
        raise Failure(f"{words[0]} is not installed, or not in PATH.") from None
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        said = (done.stderr.decode(errors="replace") + output).strip()[-_SHOWN:]
        raise Failure(f"`{shlex.join(words)[:200]}` failed, in its own words:\n{said}")
    return output
