"""Places at which a test may end or stop a program, by name (the pure part of it).

`PORTHOLE_FAILPOINTS="local.create.record-written=kill:2"` asks for SIGKILL the second time
a program passes that place; several are separated by commas. `stop:2` asks for SIGSTOP
instead, so that a test can end others at exactly that moment and let it go on with SIGCONT.
Each program has a list of its names and sends itself the signal.

`PORTHOLE_FAILPOINTS=/some/folder` lets a test ask while the program runs: a file there that is
called like a place and says `kill:1` is taken away when the place is passed next, and counts
from then on. In a container, signals to oneself need another first process than oneself.
"""

import signal
from collections.abc import Callable, Collection
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
        take: returns what a file says, and removes it; nothing if there is none.

    Raises:
        ValueError: a name or an action is not known; a test that kills nothing must not
            pass by accident.
    """

    def __init__(
        self, names: Collection[str], setting: str, take: Callable[[str], str] = lambda _: ""
    ) -> None:
        self._names = names
        self._take = take
        self._folder = setting if setting.startswith("/") else ""
        self._asked: dict[str, _Asked] = {}
        if not self._folder:
            for part in filter(None, (item.strip() for item in setting.split(","))):
                name, _, action = part.partition("=")
                self._asked[name] = self._read(name, action)

    @property
    def any(self) -> bool:
        """Whether anything was asked for, or may yet be."""
        return bool(self._asked or self._folder)

    def due(self, name: str) -> signal.Signals | None:
        """Count one pass of the place `name`; return the signal if it is time for it.

        What passes for several reasons may have names that nobody can ask for.
        """
        asked = self._asked.get(name) or self._found(name)
        if asked is None:
            return None
        asked.passes -= 1
        if asked.passes:
            return None
        del self._asked[name]
        return asked.signal

    def _found(self, name: str) -> _Asked | None:
        if not self._folder or name not in self._names:
            return None
        action = self._take(f"{self._folder}/{name}").strip()
        if not action:
            return None
        self._asked[name] = self._read(name, action)
        return self._asked[name]

    def _read(self, name: str, action: str) -> _Asked:
        verb, _, count = action.partition(":")
        known = name in self._names and verb in _VERBS
        if not known or not count.isdecimal() or int(count) < 1:
            raise ValueError(f"{VARIABLE}: '{name}={action}' is not NAME=kill:N with a known name.")
        return _Asked(_VERBS[verb], int(count))
