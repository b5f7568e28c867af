"""Streams that the supervisor serves: programs, the home, sound and voices.

    viewer --TLS--> frames, judged one by one --> a channel of supervisor.sock
    viewer <--TLS-- frames, judged one by one <-- the same channel

What a template forbids, or a stream's mode, is stopped here: a request is answered in words,
bytes that nothing asked for end the stream. What one side does not take is not read from the
other: towards the viewer the channel's room is given back as the connection takes bytes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from porthole_contract.errors import Refused
from porthole_contract.stream.channels import Channel, Mode
from porthole_contract.stream.closing import CloseReason
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.config import Limits
from porthole_desktop.gate.people import Pace
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.supervisor import Line, Supervisor
from porthole_desktop.gate.viewed import Viewed
from porthole_desktop.supervisor import protocol
from porthole_desktop.supervisor.protocol import Broken, Decoder, Frame, Kind

LOOKS: Final = frozenset({"list", "stat"})
READS: Final = frozenset({"read", "archive"})
CHANGES: Final = frozenset({"make_folder", "rename", "delete", "write"})
RUNS: Final = frozenset({"run", "end_input", "signal"})
LISTENS: Final = frozenset({"listen"})
SPEAKS: Final = frozenset({"speak"})
TALKS: Final = frozenset({Channel.EXEC, Channel.FILES, Channel.AUDIO, Channel.MICROPHONE})
"""The channels that are served so."""
_SAID: Final = {Channel.EXEC: RUNS, Channel.AUDIO: LISTENS, Channel.MICROPHONE: SPEAKS}
_SOUND: Final = frozenset({Channel.AUDIO, Channel.MICROPHONE})
_COMMIT: Final = "commit"
_LOOK: Final = 1.0
"""Seconds between two looks at whether a viewer that is not read is still there."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which way files may go. Pure: `judge` decides on one request."""

    upload: bool = True
    download: bool = True

    def may_change(self, mode: Mode) -> bool:
        """Return whether a stream in this mode may change files."""
        return self.upload and mode is Mode.CONTROL

    def may_write(self, channel: Channel, mode: Mode) -> bool:
        """Return whether bytes may go to the desktop on this channel."""
        match channel:
            case Channel.EXEC:
                return True
            case Channel.MICROPHONE:
                return mode is Mode.CONTROL
            case Channel.FILES:
                return self.may_change(mode)
            case _:
                return False

    def judge(self, channel: Channel, mode: Mode, kind: str) -> tuple[str, str] | None:
        """Return why a request of this type is not passed on, as code and sentence; or None."""
        if channel in _SAID:
            return None if kind in _SAID[channel] else _UNKNOWN
        if kind in LOOKS or (kind in READS and self.download):
            return None
        if kind in READS:
            return ("download_forbidden", "This desktop's template lets no files out.")
        if kind not in CHANGES and kind != _COMMIT:
            return _UNKNOWN
        if not self.upload:
            return ("upload_forbidden", "This desktop's template lets no files in.")
        return None if mode is Mode.CONTROL else ("view_only", "You may only look at these files.")


def _nothing() -> None:
    pass


_UNKNOWN: Final = ("unknown_request", "This gate knows no such request.")


class TalkStream(Viewed):
    """One open stream on one of these channels.

    Args:
        viewer: the viewer's side; this becomes its owner.
        admission: what it may do.
        since: when it was admitted.
        rules: which way files may go.
        limits: of the gate.
        supervisor: serves it.
        used: told that somebody uses the desktop.
        closed: told once that it is over, and why.
    """

    def __init__(
        self,
        viewer: Side,
        admission: Admission,
        since: datetime,
        *,
        rules: Rules,
        limits: Limits,
        supervisor: Supervisor,
        used: Callable[[], None],
        closed: Callable[["TalkStream", CloseReason, str], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(viewer, admission, since, limits.stalled_seconds)
        self._rules = rules
        self._limits = limits
        self._supervisor = supervisor
        # Who listens does nothing, and a microphone that is on is no use by itself.
        self._used = used if self.channel not in _SOUND else _nothing
        self._closed = closed
        self._pace = Pace(limits.frames_per_second, loop.time)
        self._from_viewer = Decoder()
        self._from_desktop = Decoder()
        self._line: Line | None = None
        self._waiting = bytearray()
        self._unread = 0
        self._looking: asyncio.TimerHandle | None = None
        self._over = False
        self._deadline: asyncio.TimerHandle | None = None
        if self.channel is Channel.EXEC:
            self._deadline = loop.call_later(limits.program_seconds, self._too_long)
        self._opening: asyncio.Task[None] | None = None

    def begin(self, rest: bytes, after: Viewed | None = None) -> None:
        """Hear the viewer; `rest` is what it said already. It is served after that stream."""
        self._after = after
        self._opening = asyncio.get_running_loop().create_task(self._open())
        self._viewer.owner = self
        self._viewer.hold("opening")
        if rest:
            self.received(self._viewer, rest)

    def set_mode(self, mode: Mode) -> None:
        """Change what the viewer may do, from its next request or byte on."""
        self.mode = mode

    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""
        if self._over:
            return
        self._over = True
        for timer in (self._deadline, self._stalled, self._looking):
            if timer is not None:
                timer.cancel()
        if self._line is not None:
            self._line.end()
        self._viewer.finish()
        self._closed(self, reason, message)

    # The viewer's side --------------------------------------------------------------------

    def received(self, side: Side, data: bytes) -> None:
        """Bytes have come from the viewer."""
        try:
            for frame in self._from_viewer.feed(data):
                self._pace.event()
                self._judge(frame)
        except Broken as error:
            self.close(CloseReason.VIEWER_PROTOCOL, str(error))
            return
        self._used()
        self._push()
        debt = self._pace.debt()
        if debt:
            side.hold("pace")
            asyncio.get_running_loop().call_later(debt, side.release, "pace")

    def writable(self, side: Side, *, can: bool) -> None:
        """The viewer takes bytes, or does not."""
        del side
        self._takes(can=can)
        if can:
            self._give_room()

    def lost(self, side: Side) -> None:
        """The viewer is gone."""
        del side
        self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")

    def _judge(self, frame: Frame) -> None:
        """Take what may pass; answer what may not.

        Raises:
            Broken: it is nothing that may come on this channel.
        """
        if frame.kind is Kind.BYTES:
            if not self._rules.may_write(self.channel, self.mode):
                raise Broken("Bytes came that may not be written.")
        elif frame.channel != protocol.CONVERSATION:
            raise Broken("A message came where bytes belong.")
        else:
            message = frame.message()
            why = self._rules.judge(self.channel, self.mode, message["type"])
            if why is not None:
                self._refuse(message, *why)
                return
        self._waiting += protocol.encode(frame.channel, frame.kind, frame.payload)

    def _refuse(self, message: dict[str, Any], code: str, sentence: str) -> None:
        number = message.get("id")
        known = isinstance(number, int) and not isinstance(number, bool)
        said = protocol.say("error", id=number if known else None, code=code, message=sentence)
        self._viewer.write(said)

    @property
    def _lets_out(self) -> bool:
        """Whether bytes of the desktop may leave here: what it plays is no file."""
        if self.channel in _SOUND:
            return self.channel is Channel.AUDIO
        return self._rules.download

    # The supervisor's side ----------------------------------------------------------------

    async def _open(self) -> None:
        await self._come_after()
        try:
            line = await self._supervisor.open(self.channel, self)
        except Refused as refusal:
            self._viewer.write(
                protocol.say("error", id=None, code=refusal.code, message=refusal.sentence)
            )
            self.close(CloseReason.DESKTOP_UNREACHABLE, refusal.sentence)
            return
        if self._over:
            line.end()
            return
        self._line = line
        self._viewer.release("opening")
        self._push()

    def heard(self, data: bytes) -> None:
        """Bytes have come from the supervisor (`Listener`)."""
        try:
            for frame in self._from_desktop.feed(data):
                if frame.kind is Kind.JSON:
                    frame.message()
                elif frame.kind is not Kind.BYTES or not self._lets_out:
                    raise Broken("The desktop sends what nothing may ask for.")  # noqa: TRY301 - caught below
        except Broken as error:
            self.close(CloseReason.DESKTOP_PROTOCOL, str(error))
            return
        self._used()
        self._unread += len(data)
        self._viewer.write(data)
        if self._stalled is None:
            self._give_room()

    def roomy(self) -> None:
        """The supervisor takes more (`Listener`)."""
        self._push()

    def ended(self, sentence: str) -> None:
        """The supervisor has ended it (`Listener`)."""
        self.close(CloseReason.DESKTOP_LEFT, sentence or "The desktop closed the stream.")

    def _push(self) -> None:
        """Send on what waits; until all of it is sent, the viewer is not read."""
        if self._line is None or self._over:
            return
        del self._waiting[: self._line.send(self._waiting)]
        if not self._waiting:
            self._viewer.release("full")
            return
        self._viewer.hold("full")
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        """Notice a viewer that has left while it is not read."""
        self._looking = None
        if self._waiting and self._viewer.left:
            self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")
        else:
            self._push()

    def _give_room(self) -> None:
        if self._line is not None and self._unread:
            unread, self._unread = self._unread, 0
            self._line.used(unread)

    def _too_long(self) -> None:
        seconds = self._limits.program_seconds
        self.close(CloseReason.KICKED, f"The program was ended: it ran for {seconds:.0f} s.")
