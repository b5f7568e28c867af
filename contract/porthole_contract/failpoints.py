"""Places at which a test may end or stop a program, by name (the pure part of it).

`PORTHOLE_FAILPOINTS="local.create.record-written=kill:2"` asks for SIGKILL the second time
a program passes that place; several are separated by commas. `stop:2` asks for SIGSTOP
instead, so that a test can end others at exactly that moment and let it go on with SIGCONT.
Each program has a list of its names and sends itself the signal.
"""

import signal
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "PORTHOLE_FAILPOINTS"
_VERBS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass
class _Asked:
    """What a test wants: a signal, after so many passes."""

    signal: signal.Signals
    passes: int


class Failpoints:
    """What is asked of one program; without a setting, a look into an empty dictionary.

    Args:
        names: all of the program's failpoints.
        setting: the variable's value.

    Raises:
        ValueError: a name or an action is not known; a test that kills nothing must not
            pass by accident.
    """

    def __init__(self, names: Collection[str], setting: str) -> None:
        self._asked: dict[str, _Asked] = {}
        for part in filter(None, (item.strip() for item in setting.split(","))):
            name, _, action = part.partition("=")
            verb, _, count = action.partition(":")
            if name not in names or verb not in _VERBS or not count.isdecimal() or int(count) < 1:
                raise ValueError(f"{VARIABLE}: '{part}' is not NAME=kill:N with a known name.")
            self._asked[name] = _Asked(_VERBS[verb], int(count))

    @property
    def any(self) -> bool:
        """Whether anything was asked for."""
        return bool(self._asked)

    def due(self, name: str) -> signal.Signals | None:
        """Count one pass of the place `name`; return the signal if it is time for it.

        What passes for several reasons may have names that nobody can ask for.
        """
        asked = self._asked.get(name)
        if asked is None:
            return None
        asked.passes -= 1
        return asked.signal if asked.passes == 0 else None
