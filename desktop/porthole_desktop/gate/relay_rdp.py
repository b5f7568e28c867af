"""A stream on the channel `rdp`: RDP on both sides, in TLS of the gate's own to the desktop.

browser: RDCleanPath, then RDP ---------> ViewerParser --TLS--> rdp.sock
native:  X.224, TLS with the gate, RDP -> ViewerParser --TLS--> rdp.sock
                                   text ---> Scribe ----------> supervisor.sock
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Self

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream.channels import Mode, Wire
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import Viewer
from porthole_contract.stream.pinning import pinned_tls
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.config import Config
from porthole_desktop.gate.rdp import share
from porthole_desktop.gate.rdp.agreed import Agreed, Stage
from porthole_desktop.gate.rdp.clipboard import Clipboard
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.rdp.desktop import DesktopParser
from porthole_desktop.gate.rdp.dynamic import Dynamic
from porthole_desktop.gate.rdp.layouts import number_of
from porthole_desktop.gate.rdp.opening import Browser, DesktopOpening, Native
from porthole_desktop.gate.rdp.tls import native_tls
from porthole_desktop.gate.rdp.viewer import Terms, ViewerParser
from porthole_desktop.gate.relay import Around, Stream
from porthole_desktop.gate.scribe import Scribe
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.supervisor import Supervisor

_WORDS: Final = {
    CloseReason.KICKED: 0x1,  # an administrator has ended it
    CloseReason.GATE_STOPPED: 0x1,
    CloseReason.SESSION_ENDED: 0x2,  # an administrator has logged the user off
    CloseReason.SUPERSEDED: 0x5,  # somebody else has connected
    CloseReason.REPLACED: 0x5,
    CloseReason.REVOKED: 0x7,  # the server denies the connection
    CloseReason.VIEWER_PROTOCOL: 0x9,  # the user may not
}
"""Reasons for which RDP has a code of its own (Set Error Info)."""
_LOOK: Final = 1.0
"""Seconds between two looks at whether a viewer that is not read is still there."""


@dataclass(frozen=True, slots=True)
class Door:
    """What all streams in RDP of one gate have in common.

    `path` is the desktop's socket; `supervisor` has told of the certificate behind it, and how
    large the screen is. `layout` is the number of the desktop's own keyboard.
    """

    path: Path
    native: ssl.SSLContext
    certificate: bytes
    supervisor: Supervisor
    layout: int
    pinned: ssl.SSLContext = field(default_factory=pinned_tls)

    @classmethod
    def of(cls, config: Config, supervisor: Supervisor) -> Self:
        """Read the gate's certificate and key.

        Raises:
            OSError: a file cannot be read.
            ssl.SSLError: they are no certificate and key.
        """
        der = ssl.PEM_cert_to_DER_cert(config.certificate.read_text())
        native, layout = native_tls(config.certificate, config.key), number_of(config.keyboard)
        return cls(config.rdp, native, der, supervisor, layout)


class RdpStream(Stream):
    """One viewer's; the arguments are those of `Stream`, and the door."""

    def __init__(
        self,
        viewer: Side,
        admission: Admission,
        since: datetime,
        around: Around,
        door: Door,
    ) -> None:
        super().__init__(viewer, admission, since, around, door.path)
        self._door = door
        self._password = admission.password
        by_browser = admission.wire is Wire.RDCLEANPATH
        self._opening = Browser(door.certificate) if by_browser else Native(door.native)
        self._greeting: DesktopOpening | None = None
        self._agreed: Agreed | None = None
        self._parsers: tuple[ViewerParser, DesktopParser] | None = None
        self._scribe: Scribe | None = None
        self._answered = False
        self._stage = Stage.CONNECT
        self._viewer_spoke_last = False
        self._looking: asyncio.TimerHandle | None = None

    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""
        # Unlike Xvnc, xorgxrdp would hold on what the viewer holds.
        with contextlib.suppress(RemoteProtocolError):  # TLS itself may be what is broken
            self._allow(may_use=False)
        super().close(reason, message)

    def describe(self) -> Viewer:
        """Return what observers hear of it; of who has not shown the password, that, too."""
        described = super().describe()
        if self._password is None or (self._agreed and self._agreed.stage > Stage.CHANNELS):
            return described
        return described.model_copy(update={"unproven": True})

    def lost(self, side: Side) -> None:
        """One of the two is gone; a viewer who was told to leave did not do it by itself."""
        told = self._agreed is not None and self._agreed.parted
        super().lost(self._desktop if told and self._desktop is not None else side)

    def _hello(self) -> bytes:
        return b""  # a client begins

    def _goodbye(self, reason: CloseReason) -> bytes:
        if self._agreed is None:
            return b"" if self._opening.done else self._opening.refuse(reason)
        code = _WORDS.get(reason)
        if code is None:
            return b""
        with contextlib.suppress(RemoteProtocolError):  # TLS itself may be what is broken
            return self._opening.write([share.goodbye(self._agreed, code)])
        return b""

    def _connected(self, side: Side) -> None:
        told = self._door.supervisor
        fingerprint = told.rdp
        if fingerprint is None or told.screen is None:
            why = "The desktop has not said by what it is known, or how large it is."
            self.close(CloseReason.DESKTOP_UNREACHABLE, why)
            return
        self._greeting = DesktopOpening(self._door.pinned, fingerprint)
        side.write(self._greeting.hello)

    def _from_viewer(self, data: bytes) -> None:
        opening, greeting = self._opening, self._greeting
        if self._parsers is not None and greeting is not None:
            self._take(0, opening.read(data))
            return
        self._viewer.write(opening.feed(data))
        if opening.done or (opening.asked is not None and not self._answered):
            self._viewer.hold("greeting")
        self._meet()

    def _from_desktop(self, side: Side, data: bytes) -> None:
        greeting = self._greeting
        if greeting is None:
            return
        if self._parsers is not None:
            self._take(1, greeting.read(data))
            return
        side.write(greeting.feed(data))
        if greeting.done:
            side.hold("greeting")
        self._meet()

    def _meet(self) -> None:
        """When the desktop is there, tell who has asked; when both are done, begin."""
        opening, greeting = self._opening, self._greeting
        if greeting is None or not greeting.done or opening.asked is None:
            return
        if not self._answered:
            self._answered = True
            self._viewer.write(opening.agree())
            self._viewer.release("greeting")
        if not opening.done:
            return
        self._parse(opening.asked)
        loop = asyncio.get_running_loop()
        self._deadline.cancel()
        self._deadline = loop.call_later(self._around.limits.opening_seconds, self._too_late)
        if self._parsers is not None and self._desktop is not None:
            self._take(0, opening.rest)
            self._take(1, greeting.rest)
            self._viewer.release("greeting")
            self._desktop.release("greeting")

    def _parse(self, asked: int) -> None:
        limits, may_use = self._around.limits, self.mode is Mode.CONTROL
        agreed = self._agreed = Agreed(asked, may_use=may_use)
        most = Size(limits.width, limits.height)
        clipboard, dynamic = Clipboard(agreed, self._around.ways), Dynamic(agreed, most)
        screen = self._door.supervisor.screen
        assert screen is not None  # or it would not have been greeted
        terms = Terms(most, screen, password=self._password, layout=self._door.layout)
        self._parsers = (
            ViewerParser(agreed, terms, clipboard=clipboard, dynamic=dynamic, people=self),
            DesktopParser(agreed, clipboard=clipboard, dynamic=dynamic),
        )
        self._scribe = Scribe(
            self._door.supervisor,
            send=self._send,
            full=self._full,
            failed=self._around.say,
        )

    def _take(self, speaker: Literal[0, 1], plain: bytes) -> None:
        """Take what the viewer (0) or the desktop (1) has said; send what passes."""
        opening, greeting, desktop = self._opening, self._greeting, self._desktop
        if self._parsers is None or self._scribe is None or greeting is None or desktop is None:
            return
        if self._over:
            return
        if plain:  # TLS alone says things too
            self._viewer_spoke_last = speaker == 0
        if speaker == 0:
            said = self._parsers[0].feed(plain)
            to_desktop, to_viewer = self._scribe.take(said.on), said.back
        else:
            passed = self._parsers[1].feed(plain)
            to_desktop, to_viewer = passed.back, passed.on
        desktop.write(greeting.answer() + greeting.write(to_desktop))
        self._viewer.write(opening.answer() + opening.write(to_viewer))
        self._note_progress()

    def _send(self, pdus: list[bytes]) -> None:
        """Send the desktop what had to wait."""
        if self._greeting is None or self._desktop is None or self._over:
            return
        try:
            self._desktop.write(self._greeting.write(pdus))
        except RemoteProtocolError as error:
            self.close(CloseReason(error.code), str(error))

    def _full(self, *, full: bool) -> None:
        """Read no more of a viewer that writes faster than the desktop takes it."""
        if not full:
            self._viewer.release("text")
            return
        self._viewer.hold("text")
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        """Notice a viewer that has left while it is not read."""
        self._looking = None
        if self._over or self._scribe is None or not self._scribe.full:
            return
        if self._viewer.left:
            self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")
        else:
            self._full(full=True)

    def _note_progress(self) -> None:
        agreed = self._agreed
        if agreed is None:
            return
        if agreed.stage is Stage.ACTIVE:
            self._deadline.cancel()
        elif agreed.stage is not self._stage:  # each step has its time, however slowly it comes
            self._stage = agreed.stage
            self._around.changed()
            seconds = self._around.limits.greeting_seconds
            self._deadline.cancel()
            self._deadline = asyncio.get_running_loop().call_later(seconds, self._too_late)

    def _allow(self, *, may_use: bool) -> None:
        if self._parsers is None or self._greeting is None or self._desktop is None:
            return
        let_go = self._parsers[0].allow(may_use=may_use)
        waiting = self._scribe.forget() if self._scribe is not None and not may_use else []
        if let_go or waiting:
            self._desktop.write(self._greeting.write([*waiting, let_go]))

    @property
    def _settled(self) -> bool:
        return self._parsers is None or self._parsers[0].settled

    @property
    def _waits_for_desktop(self) -> bool:
        if self._parsers is not None:
            return self._viewer_spoke_last
        done = self._greeting is not None and self._greeting.done
        return self._opening.asked is not None and not done
