"""The `porthole` command line: one file per noun, and `up`.

Exit codes are in `exits`, tables and JSON in `output`, where the server and the token come
from in `place`. A command ends with a result on standard output, or with one or two
sentences on standard error; never with a traceback.
"""

import signal
import sys

from porthole_client.cli.app import app
from porthole_client.cli.exits import Exit, Failure


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(Exit.INTERRUPTED))
    try:
        app(prog_name="porthole")
    except Failure as failure:
        sys.stdout.flush()
        print(f"porthole: {failure}", file=sys.stderr)
        sys.exit(failure.code)
