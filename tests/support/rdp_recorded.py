"""What clients and xrdp 0.9.21 have said to each other, inside TLS, PDU by PDU.

FreeRDP 2.11.7 was recorded between the two, and so begins with X.224; IronRDP 0.7.0, in Chromium,
at a gate: a connection, a pointer that moves, some keys, a clipboard that is announced. Pictures
of more than 1600 bytes are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from porthole_desktop.gate.rdp.agreed import Agreed
from porthole_desktop.gate.rdp.clipboard import Clipboard
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.rdp.desktop import DesktopParser
from porthole_desktop.gate.rdp.dynamic import Dynamic
from porthole_desktop.gate.rdp.viewer import Terms, ViewerParser
from porthole_desktop.gate.rdp.writing import Text
from porthole_desktop.gate.ways import Ways

_FOLDER = Path(__file__).parents[1] / "compat/rdp"
Way = Literal[">", "<"]
MOST = Size(7680, 4320)


def recorded(client: str = "freerdp-2.11.7") -> list[tuple[Way, bytes]]:
    """Return all PDUs, the two of X.224 included; `>` is what the viewer said."""
    text = (_FOLDER / f"{client}-xrdp-0.9.21.txt").read_text()
    lines = (line.split() for line in text.splitlines())
    return [(">" if way == ">" else "<", bytes.fromhex(text)) for way, text in lines]


@dataclass
class People:
    """Counts what people do."""

    events: int = 0
    uses: int = 0

    def event(self) -> None:
        self.events += 1

    def used(self) -> None:
        self.uses += 1


@dataclass
class Conversation:
    """Both parsers of one conversation, and what has passed."""

    may_use: bool = True
    terms: Terms = field(default_factory=lambda: Terms(MOST, Size(800, 600)))
    clipboard_bytes: int = 2**20

    def __post_init__(self) -> None:
        self.people = People()
        self.sizes: list[int] = []
        self.agreed = Agreed(asked=1, may_use=self.may_use)
        self.clipboard = Clipboard(self.agreed, Ways(most=self.clipboard_bytes))
        dynamic = Dynamic(self.agreed, self.terms.most)
        self.viewer = ViewerParser(
            self.agreed,
            self.terms,
            clipboard=self.clipboard,
            dynamic=dynamic,
            people=self.people,
            message=self.sizes.append,
        )
        self.desktop = DesktopParser(self.agreed, clipboard=self.clipboard, dynamic=dynamic)
        self.to_desktop: list[bytes] = []
        self.texts: list[str] = []
        self.to_viewer: list[bytes] = []

    def say(self, way: Way, data: bytes) -> None:
        """Let one side say something."""
        if way == ">":
            said = self.viewer.feed(data)
            self.to_desktop += [piece for piece in said.on if isinstance(piece, bytes)]
            self.texts += [piece.text for piece in said.on if isinstance(piece, Text)]
            self.to_viewer += said.back
        else:
            passed = self.desktop.feed(data)
            self.to_viewer += passed.on
            self.to_desktop += passed.back

    def play(self, pdus: Iterable[tuple[Way, bytes]]) -> "Conversation":
        """Let both say what they have said, without X.224."""
        for way, pdu in pdus:
            self.say(way, pdu)
        return self


def begun(*, until: str = "", **changes: bool) -> Conversation:
    """Return a conversation that has come to its first picture, or to before a PDU in hex."""
    made = Conversation(**changes)
    for way, pdu in recorded()[2:]:
        if (until and pdu.hex().startswith(until)) or (not until and pdu[0] != 3):
            break
        made.say(way, pdu)
    return made
