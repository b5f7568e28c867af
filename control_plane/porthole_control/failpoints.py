"""Places at which a test may end or stop this program, by name.

`porthole_contract.failpoints` says how a test asks for it.

`NAMES` is the whole list, in the order in which a session passes them.
"""

import contextlib
import os
import sys
from pathlib import Path

from porthole_contract.failpoints import VARIABLE, Failpoints

CREATE = (
    "create_session.handled",  # the session and its command are written, not committed
    "create_session.committed",  # and now they are; whoever asked has no answer
    "commands.claimed",  # counts as sent, and was not
    "Command.sent",
    "commands.received",  # the agent has them, which was not noted
    "commands.received-noted",  # or needed no note: their results came before it
    "CommandResult.written",  # what the agent said is written, not committed
    "CommandResult.committed",  # and now it is; the agent does not know
    "SessionObserved.written",
    "SessionObserved.committed",
)
CONNECT = (
    "create_ticket.handled",
    "create_ticket.committed",
    "streams.redeemed",  # the ticket is used up
    "streams.asking",  # the agent counts as asked, and was not
    "streams.asked",
    "streams.dialled-back",  # the agent's secret is used up
    "streams.met",  # both legs are here
    "streams.ending",  # the stream is over, which was not noted
)
DELETE = (
    "delete_session.handled",
    "delete_session.committed",
    "sessions.ended",  # what is left of it is written, not committed
)
NAMES = CREATE + CONNECT + DELETE


def _take(path: str) -> str:
    """Return what a file says, and remove it; nothing if there is none."""
    with contextlib.suppress(FileNotFoundError):
        file = Path(path)
        said = file.read_text(encoding="ascii")
        file.unlink()
        return said
    return ""


_asked = Failpoints(NAMES, os.environ.get(VARIABLE, ""), _take)


def failpoint(name: str, *things: object) -> None:
    """Pass the place `name`; does not return if a test wants this process dead here.

    Args:
        name: the place. What passes for several reasons may have names that are not in
            `NAMES`; nobody can ask for those.
        things: what passes; then there is a place for each of their types, `TYPE.NAME`.
    """
    if not _asked.any:
        return
    for full in {f"{type(thing).__name__}.{name}" for thing in things} or {name}:
        if (number := _asked.due(full)) is not None:
            sys.stderr.write(f"failpoint {full}: {number.name} as asked\n")
            sys.stderr.flush()
            os.kill(os.getpid(), number)
