"""A stream on the channel `vnc`: RFB on both sides."""

from datetime import datetime
from pathlib import Path

from porthole_contract.stream.channels import Mode
from porthole_contract.stream.closing import CloseReason
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.relay import Around, Stream
from porthole_desktop.gate.rfb.desktop import DesktopParser
from porthole_desktop.gate.rfb.handshake import DesktopGreeting, ViewerGreeting
from porthole_desktop.gate.rfb.screen import Screen
from porthole_desktop.gate.rfb.viewer import ViewerParser
from porthole_desktop.gate.side import Side


class RfbStream(Stream):
    """One viewer's; the arguments are those of `Stream`."""

    def __init__(
        self, viewer: Side, admission: Admission, since: datetime, around: Around, path: Path
    ) -> None:
        super().__init__(viewer, admission, since, around, path)
        self._viewer_greeting = ViewerGreeting()
        self._desktop_greeting = DesktopGreeting()
        self._parsers: tuple[ViewerParser, DesktopParser] | None = None

    def _hello(self) -> bytes:
        return self._viewer_greeting.hello

    def _goodbye(self, reason: CloseReason) -> bytes:
        del reason
        return b""  # RFB has no word for it

    def _connected(self, side: Side) -> None:
        """Nothing to do: a desktop greets first."""

    def _from_viewer(self, data: bytes) -> None:
        if self._parsers is not None:
            if self._desktop is not None:
                self._desktop.write_all(self._parsers[0].feed(data))
            return
        self._viewer.write(self._viewer_greeting.feed(data))
        if self._viewer_greeting.done:
            self._viewer.hold("greeting")
        self._join()

    def _from_desktop(self, side: Side, data: bytes) -> None:
        if self._parsers is not None:
            self._viewer.write_all(self._parsers[1].feed(data))
            return
        side.write(self._desktop_greeting.feed(data))
        if self._desktop_greeting.screen is not None:
            side.hold("greeting")
        self._join()

    def _join(self) -> None:
        """When both have greeted: from here on their bytes go through the parsers."""
        screen = self._desktop_greeting.screen
        if screen is None or not self._viewer_greeting.done:
            return
        self._deadline.cancel()
        self._parsers = self._parse(screen)
        self._viewer.write(self._desktop_greeting.server_init)
        for side, rest in (
            (self._viewer, self._viewer_greeting.rest),
            (self._desktop, self._desktop_greeting.rest),
        ):
            if side is not None and not self._over:
                self.received(side, rest)
                side.release("greeting")

    def _parse(self, screen: Screen) -> tuple[ViewerParser, DesktopParser]:
        limits, ways = self._around.limits, self._around.ways
        may_use = self.mode is Mode.CONTROL
        viewer = ViewerParser(
            screen,
            ways=ways,
            largest_screen=(limits.width, limits.height),
            may_use=may_use,
            people=self,
        )
        desktop = DesktopParser(screen, ways=ways, may_use=may_use)
        return viewer, desktop

    def _allow(self, *, may_use: bool) -> None:
        if self._parsers is None or self._desktop is None:
            return
        viewer, desktop = self._parsers
        desktop.may_use = may_use
        self._desktop.write(viewer.allow(may_use=may_use))

    @property
    def _settled(self) -> bool:
        return self._parsers is None or self._parsers[0].settled

    @property
    def _waits_for_desktop(self) -> bool:
        return self._viewer_greeting.done
