"""One viewer's stream: a greeting on both sides, then bytes through two parsers.

    viewer --TLS--> ViewerParser --> rfb.sock
    viewer <--TLS-- DesktopParser <-- rfb.sock

What a parser lets pass is written at once; when one side does not take it, the other is
not read. How it ends is said once, to whoever asked to be told.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream.channels import Mode
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import Viewer
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.config import Limits
from porthole_desktop.gate.people import Idleness, Pace
from porthole_desktop.gate.rfb.desktop import DesktopParser
from porthole_desktop.gate.rfb.handshake import DesktopGreeting, ViewerGreeting
from porthole_desktop.gate.rfb.screen import Screen
from porthole_desktop.gate.rfb.viewer import ViewerParser
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.sockets import Unreachable, connect

SETTLE: Final = 1.5
"""Seconds in which a change of rights takes effect, or the stream is closed."""
LAST_WORD: Final = 0.25
"""Seconds in which the supervisor may still say why a desktop has closed its streams."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a stream needs of the gate it is at."""

    rfb: Path
    desktop_uid: int
    limits: Limits
    idleness: Idleness
    changed: Callable[[], None]
    closed: Callable[["Stream", CloseReason, str], None]


class Stream:
    """One open stream on the channel `vnc`.

    Args:
        viewer: the viewer's side; this becomes its owner.
        admission: what it may do.
        since: when it was admitted.
        around: the gate.
    """

    def __init__(self, viewer: Side, admission: Admission, since: datetime, around: Around) -> None:
        loop = asyncio.get_running_loop()
        self.id = admission.stream
        self.mode = admission.mode
        self._channel = admission.channel
        self._since = since
        self._around = around
        self._viewer = viewer
        self._desktop: Side | None = None
        self._viewer_greeting = ViewerGreeting()
        self._desktop_greeting = DesktopGreeting()
        self._parsers: tuple[ViewerParser, DesktopParser] | None = None
        self._pace = Pace(around.limits.input_events_per_second, loop.time)
        self._over = False
        self._stalled: asyncio.TimerHandle | None = None
        self._deadline = loop.call_later(around.limits.greeting_seconds, self._too_late)
        self._connecting = loop.create_task(self._connect())

    def begin(self, rest: bytes) -> None:
        """Greet the viewer; `rest` is what it said already."""
        self._viewer.owner = self
        self._viewer.write(self._viewer_greeting.hello)
        if rest:
            self.received(self._viewer, rest)

    def describe(self) -> Viewer:
        """Return what observers hear of it."""
        return Viewer(
            stream=self.id,
            channel=self._channel,
            mode=self.mode,
            since=self._since,
            sent=self._viewer.sent,
            received=self._viewer.received,
        )

    def set_mode(self, mode: Mode) -> None:
        """Change what the viewer may do; in effect within `SETTLE` seconds."""
        self.mode = mode
        if self._parsers is None or self._desktop is None:
            return
        viewer, desktop = self._parsers
        may_use = mode is Mode.CONTROL
        desktop.may_use = may_use
        self._desktop.write(viewer.allow(may_use=may_use))
        if not viewer.settled:
            asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""
        if self._over:
            return
        self._over = True
        self._deadline.cancel()
        self._connecting.cancel()
        if self._stalled is not None:
            self._stalled.cancel()
        self._viewer.finish()
        if self._desktop is not None:
            self._desktop.finish()
        self._around.closed(self, reason, message)

    def received(self, side: Side, data: bytes) -> None:
        """Bytes have come from one of the two."""
        try:
            if self._parsers is None:
                self._greet(side, data)
            elif side is self._viewer:
                self._from_viewer(self._parsers[0], data)
            else:
                self._viewer.write_all(self._parsers[1].feed(data))
        except RemoteProtocolError as error:
            self.close(CloseReason(error.code), str(error))

    def writable(self, side: Side, *, can: bool) -> None:
        """One of the two takes bytes, or does not."""
        other = self._desktop if side is self._viewer else self._viewer
        if other is None:
            return
        if can:
            other.release("full")
        else:
            other.hold("full")
        if side is self._viewer:
            if self._stalled is not None:
                self._stalled.cancel()
            seconds = self._around.limits.stalled_seconds
            loop = asyncio.get_running_loop()
            self._stalled = None if can else loop.call_later(seconds, self._too_slow)

    def lost(self, side: Side) -> None:
        """One of the two is gone."""
        if side is self._viewer:
            self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")
        else:
            # If that is on purpose, its supervisor says so on a connection of its own, which
            # is read more slowly. What it causes then closes the stream, and this does nothing.
            why = CloseReason.DESKTOP_LEFT, "The desktop closed the stream."
            asyncio.get_running_loop().call_later(LAST_WORD, self.close, *why)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection = await connect(self._around.rfb, self._around.desktop_uid)
            side = self._desktop = Side(self)
            await loop.create_unix_connection(lambda: side, sock=connection)
        except (Unreachable, OSError) as error:
            self.close(CloseReason.DESKTOP_UNREACHABLE, str(error))

    def _greet(self, side: Side, data: bytes) -> None:
        if side is self._viewer:
            side.write(self._viewer_greeting.feed(data))
            if self._viewer_greeting.done:
                side.hold("greeting")
        else:
            side.write(self._desktop_greeting.feed(data))
            if self._desktop_greeting.screen is not None:
                side.hold("greeting")
        screen = self._desktop_greeting.screen
        if screen is not None and self._viewer_greeting.done:
            self._join(screen)

    def _join(self, screen: Screen) -> None:
        """Both have greeted: from here on their bytes go through the parsers."""
        self._deadline.cancel()
        limits = self._around.limits
        may_use = self.mode is Mode.CONTROL
        viewer = ViewerParser(
            screen,
            largest_clipboard=limits.clipboard_bytes,
            largest_screen=(limits.width, limits.height),
            may_use=may_use,
            people=self,
        )
        desktop = DesktopParser(screen, largest_clipboard=limits.clipboard_bytes, may_use=may_use)
        self._parsers = viewer, desktop
        self._viewer.write(self._desktop_greeting.server_init)
        for side, rest in (
            (self._viewer, self._viewer_greeting.rest),
            (self._desktop, self._desktop_greeting.rest),
        ):
            if side is not None and not self._over:
                self.received(side, rest)
                side.release("greeting")

    def _from_viewer(self, parser: ViewerParser, data: bytes) -> None:
        if self._desktop is not None:
            self._desktop.write_all(parser.feed(data))
        debt = self._pace.debt()
        if debt:
            self._viewer.hold("pace")
            asyncio.get_running_loop().call_later(debt, self._viewer.release, "pace")

    def event(self) -> None:
        """Count a key or pointer event (`rfb.viewer.Input`)."""
        self._pace.event()

    def used(self) -> None:
        """Somebody uses the desktop (`rfb.viewer.Input`)."""
        self._around.idleness.used()

    def _settle(self) -> None:
        if self._parsers is not None and not self._parsers[0].settled:
            self.close(CloseReason.REVOKED, "The right was taken back in the middle of a message.")

    def _too_late(self) -> None:
        if self._viewer_greeting.done:
            self.close(CloseReason.DESKTOP_UNREACHABLE, "The desktop did not greet in time.")
        else:
            self.close(CloseReason.VIEWER_PROTOCOL, "The viewer did not greet in time.")

    def _too_slow(self) -> None:
        seconds = self._around.limits.stalled_seconds
        self.close(CloseReason.VIEWER_STALLED, f"The viewer took nothing for {seconds:.0f} s.")
