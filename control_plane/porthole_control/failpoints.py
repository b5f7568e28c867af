"""Places at which a test may end or stop this program, by name.

`PORTHOLE_FAILPOINTS="commands.claimed=kill:2"` kills this process with SIGKILL the second
time it passes that place; several are separated by commas. Without the variable a failpoint
is one look into an empty dictionary. `stop:2` stops it instead, with SIGSTOP, so that a test
can end others at exactly that moment and let it go on with SIGCONT.

`NAMES` is the whole list, in the order in which a session passes them.
"""

import os
import signal
import sys
from dataclasses import dataclass

CREATE = (
    "create_session.handled",  # the session and its command are written, not committed
    "create_session.committed",  # and now they are; whoever asked has no answer
    "commands.claimed",  # written as sent, not committed
    "commands.claim-committed",  # counts as sent, and was not
    "Command.sent",
    "commands.received",  # the agent has them, which was not noted
    "commands.received-noted",
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


@dataclass
class _Asked:
    """What a test wants: a signal, after so many passes."""

    signal: signal.Signals
    passes: int


_VERBS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _read(setting: str) -> dict[str, _Asked]:
    """Return what is asked for each name.

    Raises:
        ValueError: a name or an action is not known; a test that kills nothing must not
            pass by accident.
    """
    asked: dict[str, _Asked] = {}
    for part in filter(None, (item.strip() for item in setting.split(","))):
        name, _, action = part.partition("=")
        verb, _, count = action.partition(":")
        if name not in NAMES or verb not in _VERBS or not count.isdecimal() or int(count) < 1:
            raise ValueError(f"PORTHOLE_FAILPOINTS: '{part}' is not NAME=kill:N with a known name.")
        asked[name] = _Asked(_VERBS[verb], int(count))
    return asked


_asked = _read(os.environ.get("PORTHOLE_FAILPOINTS", ""))


def failpoint(name: str, *things: object) -> None:
    """Pass the place `name`; does not return if a test wants this process dead here.

    Args:
        name: the place. What passes for several reasons may have names that are not in
            `NAMES`; nobody can ask for those.
        things: what passes; then there is a place for each of their types, `TYPE.NAME`.
    """
    if not _asked:
        return
    for full in {f"{type(thing).__name__}.{name}" for thing in things} or {name}:
        _pass(full)


def _pass(name: str) -> None:
    asked = _asked.get(name)
    if asked is None:
        return
    asked.passes -= 1
    if asked.passes == 0:
        sys.stderr.write(f"failpoint {name}: {asked.signal.name} as asked\n")
        sys.stderr.flush()
        os.kill(os.getpid(), asked.signal)
