"""Streams on the channel `drive`: programs that look at a desktop and use it.

    program --TLS--> requests, judged one by one --> a channel of supervisor.sock
    program <--TLS-- answers, one to each request <-- the same channel

In mode `view` there are pictures and nothing else. One request at a time: until it is
answered, the next is not read. Of the desktop only an answer is taken that fits what was
asked, of a size that was announced and is allowed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from porthole_contract.errors import Refused, RemoteProtocolError
from porthole_contract.stream import drive
from porthole_contract.stream.channels import Mode
from porthole_contract.stream.closing import CloseReason
from porthole_desktop.gate.admission import Admission
from porthole_desktop.gate.config import Limits
from porthole_desktop.gate.people import Pace
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.supervisor import Line, Supervisor
from porthole_desktop.gate.viewed import Viewed
from porthole_desktop.gate.ways import Ways

_LONGEST_DEBT: Final = 0.5
"""Seconds that a request may have to wait for those before it; else it is refused."""


NOT_OUT: Final = (
    "clipboard_download_forbidden",
    "This desktop's template lets nothing out by the clipboard.",
)
NOT_IN: Final = (
    "clipboard_upload_forbidden",
    "This desktop's template lets nothing in by the clipboard.",
)


@dataclass(frozen=True, slots=True)
class Around:
    """What a stream needs of the gate it is at; the pace is that of all of them together."""

    supervisor: Supervisor
    limits: Limits
    ways: Ways
    pace: Pace
    used: Callable[[], None]
    closed: Callable[["DriveStream", CloseReason, str], None]


def why_not(
    request: drive.Request, mode: Mode, limits: Limits, ways: Ways, debt: float
) -> tuple[str, str] | None:
    """Return why a request is not passed on, as code and sentence; None if it is. Pure.

    Args:
        request: what is asked.
        mode: what the stream may do.
        limits: of the gate.
        ways: which way the clipboard may go, and how much of it.
        debt: seconds until the desktop has taken what it was sent before.
    """
    if isinstance(request, drive.TakePicture):
        return None
    if mode is not Mode.CONTROL:
        return "view_only", "You may look at this desktop, not use it."
    if isinstance(request, drive.Act):
        return _why_not_act(request, limits, debt)
    if isinstance(request, drive.ReadClipboard | drive.ReadImage):
        return None if ways.download else NOT_OUT
    if not ways.upload:
        return NOT_IN
    return _too_long(ways) if request.bytes > ways.most else None


def _too_long(ways: Ways) -> tuple[str, str]:
    return "clipboard_too_long", f"A clipboard holds {ways.most} bytes here."


def _why_not_act(request: drive.Act, limits: Limits, debt: float) -> tuple[str, str] | None:
    typed = sum(len(one.text) for one in request.actions if isinstance(one, drive.TypeText))
    if typed > drive.MOST_TEXT:
        return "too_much", f"One request types {drive.MOST_TEXT} characters at the most."
    if drive.waits(request.actions) > drive.LONGEST_ACT:
        return "too_long", f"One request waits {drive.LONGEST_ACT:.0f} s at the most."
    if debt > _LONGEST_DEBT:
        most = limits.input_events_per_second
        return "too_fast", f"This desktop takes {most} key and pointer events a second."
    return None


_FITS: Final[dict[type[drive.Request], type[drive.Answer]]] = {
    drive.TakePicture: drive.Picture,
    drive.Act: drive.Done,
    drive.ReadClipboard: drive.Clipboard,
    drive.WriteClipboard: drive.Done,
    drive.ReadImage: drive.Clipboard,
    drive.WriteImage: drive.Done,
}


class DriveStream(Viewed):
    """One open stream on the channel `drive`.

    Args:
        viewer: the program's side; this becomes its owner.
        admission: what it may do.
        since: when it was admitted.
        around: the gate.
    """

    def __init__(self, viewer: Side, admission: Admission, since: datetime, around: Around) -> None:
        super().__init__(viewer, admission, since, around.limits.stalled_seconds)
        self._around = around
        self._requests = drive.Pieces()
        self._answers = drive.Pieces()
        self._asked: drive.Request | None = None
        self._coming = 0  # raw bytes of a request that are still to come
        self._passes = True  # whether they pass
        self._answering = 0  # raw bytes of an answer that are still to come
        self._gives = True  # whether they go to the program
        self._line: Line | None = None
        self._waiting = bytearray()
        self._unread = 0
        self._over = False
        self._opening: asyncio.Task[None] | None = None

    def begin(self, rest: bytes, after: Viewed | None = None) -> None:
        """Hear the program; `rest` is what it said already. It is served after that stream."""
        self._after = after
        self._opening = asyncio.get_running_loop().create_task(self._open())
        self._viewer.owner = self
        self._viewer.hold("opening")
        self._requests.feed(rest)

    def set_mode(self, mode: Mode) -> None:
        """Change what the program may do; what it may no longer do is ended if under way."""
        self.mode = mode
        under_way = self._asked is not None and not isinstance(self._asked, drive.TakePicture)
        if mode is not Mode.CONTROL and under_way:
            self.close(CloseReason.REVOKED, "The right was taken back in the middle of a request.")

    def close(self, reason: CloseReason, message: str) -> None:
        """End it; only the first reason counts."""
        if self._over:
            return
        self._over = True
        if self._stalled is not None:
            self._stalled.cancel()
        if self._line is not None:
            self._line.end()
        self._viewer.finish()
        self._around.closed(self, reason, message)

    # The program's side -------------------------------------------------------------------

    def received(self, side: Side, data: bytes) -> None:
        """Bytes have come from the program."""
        del side
        self._requests.feed(data)
        self._proceed()

    def writable(self, side: Side, *, can: bool) -> None:
        """The program takes bytes, or does not."""
        del side
        self._takes(can=can)
        if can:
            self._give_room()

    def lost(self, side: Side) -> None:
        """The program is gone."""
        del side
        self.close(CloseReason.VIEWER_LEFT, "The viewer closed the stream.")

    def _proceed(self) -> None:
        """Take requests as far as they may be taken now."""
        try:
            while not self._over and (self._asked is None or self._coming):
                piece = self._requests.next()
                if piece is None:
                    break
                is_line, data = piece
                if is_line:
                    self._ask(drive.read_request(data))
                else:
                    self._coming -= len(data)
                    if self._passes:
                        self._waiting += data
        except RemoteProtocolError as error:
            self.close(CloseReason.VIEWER_PROTOCOL, str(error))
            return
        if self._asked is not None and not self._coming:
            self._viewer.hold("asked")
        self._push()

    def _ask(self, request: drive.Request) -> None:
        pace = self._around.pace
        around = self._around
        why = why_not(request, self.mode, around.limits, around.ways, pace.debt())
        if isinstance(request, drive.WriteClipboard | drive.WriteImage):
            self._coming = request.bytes
            self._requests.expect(request.bytes)
        self._passes = why is None
        if why is not None:
            code, message = why
            failed = drive.Failed(id=request.id, code=code, message=message)
            self._viewer.write(drive.encode(failed))
            return
        if isinstance(request, drive.Act):
            for _ in range(drive.events(request.actions)):
                pace.event()
        if not isinstance(request, drive.TakePicture):
            self._around.used()
        self._asked = request
        self._waiting += drive.encode(request)

    # The supervisor's side ----------------------------------------------------------------

    async def _open(self) -> None:
        await self._come_after()
        try:
            line = await self._around.supervisor.open(self.channel, self)
        except Refused as refusal:
            self.close(CloseReason.DESKTOP_UNREACHABLE, refusal.sentence)
            return
        if self._over:
            line.end()
            return
        self._line = line
        self._viewer.release("opening")
        self._proceed()

    def heard(self, data: bytes) -> None:
        """Bytes have come from the supervisor (`Listener`)."""
        if self._over:
            return
        self._unread += len(data)
        self._answers.feed(data)
        try:
            while (piece := self._answers.next()) is not None:
                is_line, part = piece
                if is_line:
                    self._answered(drive.read_answer(part))
                else:
                    self._answering -= len(part)
                    if self._gives:
                        self._viewer.write(part)
                if not self._answering:
                    self._asked = None
        except RemoteProtocolError as error:
            self.close(CloseReason.DESKTOP_PROTOCOL, str(error))
            return
        if self._stalled is None:
            self._give_room()
        if self._asked is None:
            self._viewer.release("asked")
            self._proceed()

    def _answered(self, answer: drive.Answer) -> None:
        asked = self._asked
        fits = asked is not None and isinstance(answer, (_FITS[type(asked)], drive.Failed))
        if asked is None or not fits or answer.id != asked.id or self._coming:
            raise RemoteProtocolError("The desktop answers what nobody has asked.")
        if isinstance(answer, drive.Picture | drive.Clipboard):
            self._answering = answer.bytes
            self._answers.expect(answer.bytes)
        ways = self._around.ways
        self._gives = not (isinstance(answer, drive.Clipboard) and answer.bytes > ways.most)
        if not self._gives:
            code, message = _too_long(ways)
            answer = drive.Failed(id=answer.id, code=code, message=message)
        self._viewer.write(drive.encode(answer))

    def roomy(self) -> None:
        """The supervisor takes more (`Listener`)."""
        self._push()

    def ended(self, sentence: str) -> None:
        """The supervisor has ended it (`Listener`)."""
        self.close(CloseReason.DESKTOP_LEFT, sentence or "The desktop closed the stream.")

    def _push(self) -> None:
        """Send on what waits; until all of it is sent, the program is not read."""
        if self._line is None or self._over:
            return
        del self._waiting[: self._line.send(self._waiting)]
        if self._waiting:
            self._viewer.hold("full")
        else:
            self._viewer.release("full")

    def _give_room(self) -> None:
        if self._line is not None and self._unread:
            self._line.used(self._unread)
        self._unread = 0
