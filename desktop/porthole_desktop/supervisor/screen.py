"""What a desktop is drawn on: an X server, and what carries its picture to viewers.

`xvnc.py` speaks RFB itself; in `xorg.py` a program beside the X server speaks RDP. The
desktop's life is the same on all of them.
"""

import itertools
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .x11 import Display


class Unusable(Exception):
    """The screen cannot be made on this machine; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """A program that the screen needs beside its X server; it is kept running."""

    name: str
    command: tuple[str, ...]


class Screen(ABC):
    """One screen; `prepare` comes first, and `parts` when X has told its number.

    `x_server` is what the X server is called in logs, `needed` the programs that it cannot
    do without, `sockets` where viewers come in.
    """

    x_server: str
    needed: Sequence[str]
    sockets: Sequence[Path]

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most need nothing
        """Make what it needs, in `folder`, which is the desktop's own; may wait for a program.

        Raises:
            Unusable: it could not be made.
        """

    @abstractmethod
    def command(self, number: int, *, authority: Path, ready_fd: int) -> list[str]:
        """Return the argv of the X server of display `number`, who writes it to `ready_fd`."""

    def environment(self) -> Mapping[str, str]:
        """Return what stands in the X server's environment beside the usual."""
        return {}

    def parts(self, number: int) -> Sequence[Part]:  # noqa: ARG002 - of who has some
        """Return what is to run beside the X server, which is display `number`."""
        return ()

    async def settle(self, display: Display) -> None:  # noqa: B027 - most are so at once
        """Wait until the X server is as it is to be: of the right size.

        Raises:
            XError: it is gone, or does not become so.
        """

    @abstractmethod
    async def colours(self, display: Display) -> int:
        """Return how many colours somebody who connects now would see.

        Raises:
            OSError, TimeoutError, NotRfb, XError: nobody would see anything yet.
        """

    def state(self) -> Mapping[str, Any]:
        """Return what the gate has to know of it to bring viewers in."""
        return {}


def free_number(begin: int) -> int:
    """Return the number of a display that nobody has, the first from `begin` on.

    An X server that takes a number by itself looks for nobody who listens to no network
    either, and would take their socket away.
    """
    places = ("/tmp/.X11-unix/X{}", "/tmp/.X{}-lock")  # noqa: S108 - X's own
    numbers = itertools.count(begin)
    return next(n for n in numbers if not any(os.path.lexists(place.format(n)) for place in places))


def missing(names: Sequence[str]) -> str | None:
    """Return the first of these programs that is not there; None: all are."""
    return next((name for name in names if shutil.which(name) is None), None)
