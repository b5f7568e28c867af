"""What both directions of one conversation in RDP have to know of each other."""

from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Final

CLIPBOARD: Final = "cliprdr"
DYNAMIC: Final = "drdynvc"
SERVED: Final = frozenset({CLIPBOARD, DYNAMIC})
"""The static channels that may carry something."""
LARGEST_SIDE: Final = 16384
"""Pixels; the most that a desktop may be wide or high."""


class Stage(IntEnum):
    """How far a conversation has come; it never goes back."""

    CONNECT = auto()  # the viewer says what it is (MCS Connect Initial)
    ANSWER = auto()  # the desktop says what there is (MCS Connect Response)
    CHANNELS = auto()  # the viewer joins channels, and says who it is (Client Info)
    LICENCE = auto()  # both pretend that there are licences, until Demand Active
    SHARE = auto()  # the desktop is shown, or about to be
    ACTIVE = auto()  # the desktop has said that all is set (Font Map)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the desktop is told instead of what the viewer has said.

    Nobody asks for them there; but xrdp holds up who has no name, or no password, for seconds.
    """

    user: str = "user"
    password: str = field(default="-", repr=False)


@dataclass(slots=True)
class Agreed:
    """One conversation; `may_use` is whether the viewer may use the desktop, not only look.

    `asked` are the bits of the protocols that the viewer asked for, `names` the static channels
    in their order, `channels` their numbers once the desktop has given them. `width` and
    `height` are what the desktop has said that it is; 0: nothing yet. `parted` is whether the
    desktop has taken its leave.
    """

    asked: int
    stage: Stage = Stage.CONNECT
    names: list[str] = field(default_factory=list)
    channels: dict[int, str] = field(default_factory=dict)
    io_channel: int = 0
    user: int = 0
    share: int = 0
    may_use: bool = False
    width: int = 0
    height: int = 0
    parted: bool = False

    @property
    def waits_for_desktop(self) -> bool:
        """Whether it is the desktop's turn, as far as can be told."""
        return self.stage in {Stage.ANSWER, Stage.LICENCE}

    def number_of(self, name: str) -> int:
        """Return the number of a static channel; 0 if there is none of that name."""
        return next((number for number, its in self.channels.items() if its == name), 0)
