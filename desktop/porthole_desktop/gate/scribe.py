"""Text of a viewer of RDP, which the supervisor writes; the keys after it wait until it stands.

Keys go by xrdp, text by the supervisor, and both end at the same X server. So text waits a moment
until the keys before it must have got there, and the keys after it wait for the supervisor's
answer. Nothing else waits: pictures are acknowledged and the clipboard is carried meanwhile.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from porthole_contract.errors import Refused, RemoteProtocolError
from porthole_contract.stream import drive
from porthole_desktop.gate.rdp.writing import Keys, Text, actions
from porthole_desktop.gate.supervisor import Line, Supervisor

CHANNELS: Final = ("text", "drive")
"""Where supervisors write; older ones have the second alone, on which programs have turns."""
MOST_AT_ONCE: Final = 32
"""Characters of one request: others have their turn between two."""
MOST_WAITING: Final = 256
"""Characters and PDUs that wait before the viewer is not read any more."""
ARRIVE: Final = 0.25
"""Seconds in which keys come through xrdp to the X server, also while it has a picture to pack."""
PATIENCE: Final = 10.0
"""Seconds in which a request is to be answered."""


class Full(Protocol):
    """Told whether so much waits that the viewer is not to be read."""

    def __call__(self, *, full: bool) -> None:
        """`full` is whether it does now."""


class Scribe:
    """Has one viewer's text written.

    Args:
        supervisor: writes it.
        send: sends PDUs to the desktop.
        full: see there.
        failed: takes a sentence, once, when text was lost.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        send: Callable[[list[bytes]], None],
        full: Full,
        failed: Callable[[str], None],
    ) -> None:
        self._supervisor = supervisor
        self._send = send
        self._tell_full = full
        self._failed: Callable[[str], None] | None = failed
        self._waiting: deque[Keys | str] = deque()
        self._working: asyncio.Task[None] | None = None
        self._last_key = -ARRIVE
        self._names = list(CHANNELS)
        self._line: Line | None = None
        self._answers = drive.Pieces()
        self._number = 0
        self._answer: asyncio.Future[str] | None = None
        self.full = False

    def take(self, said: Iterable[bytes | Text]) -> list[bytes]:
        """Take what a viewer has said; return what goes to the desktop at once."""
        now: list[bytes] = []
        for piece in said:
            if isinstance(piece, Text):
                self._waiting.extend(piece.text)
            elif isinstance(piece, Keys) and (self._waiting or self._working is not None):
                self._waiting.append(piece)
            else:
                if isinstance(piece, Keys):
                    self._last_key = _now()
                now.append(piece)
        if self._waiting and self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work())
        self._note_full()
        return now

    def forget(self) -> list[bytes]:
        """Write nothing more, also of what is under way; return the keys that have waited."""
        if self._working is not None:
            self._working.cancel()
            self._working = None
        keys: list[bytes] = [piece for piece in self._waiting if isinstance(piece, Keys)]
        self._waiting.clear()
        self._hang_up()
        self._note_full()
        return keys

    async def _work(self) -> None:
        while self._waiting:
            if keys := self._keys():
                self._send(keys)
                self._last_key = _now()
            else:
                await asyncio.sleep(self._last_key + ARRIVE - _now())
                await self._write(self._text())
            self._note_full()
        self._working = None

    def _keys(self) -> list[bytes]:
        """Take the keys from the front."""
        keys: list[bytes] = []
        while self._waiting and isinstance(self._waiting[0], Keys):
            keys.append(self._waiting[0])
            self._waiting.popleft()
        return keys

    def _text(self) -> str:
        """Take text from the front."""
        text = ""
        while self._waiting and len(text) < MOST_AT_ONCE:
            piece = self._waiting[0]
            if isinstance(piece, Keys):
                break
            text += piece
            self._waiting.popleft()
        return text

    async def _write(self, text: str) -> None:
        try:
            line = await self._open()
        except Refused as refusal:
            self._lose(refusal.code)
            return
        self._number += 1
        request = drive.encode(drive.Act(id=self._number, actions=actions(text)))
        self._answer = asyncio.get_running_loop().create_future()
        line.send(request)  # there is room: all before it were answered
        why = "it did not answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                why = await self._answer
        self._answer = None
        if why:
            self._lose(why)

    async def _open(self) -> Line:
        """Return the channel.

        Raises:
            Refused: there is none.
        """
        while self._line is None:
            self._answers = drive.Pieces()
            opening = asyncio.ensure_future(self._supervisor.open(self._names[0], self))
            try:
                self._line = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_end)  # or it would stay open there
                raise
            except Refused as refusal:
                if refusal.code != "unknown_channel" or len(self._names) == 1:
                    raise
                del self._names[0]
        return self._line

    def _lose(self, why: str) -> None:
        """Text was lost: what is written behind it would be wrong."""
        self._hang_up()
        keys = [piece for piece in self._waiting if isinstance(piece, Keys)]
        self._waiting = deque(keys)
        if self._failed is not None:
            self._failed(f"Text of a viewer was not written by the supervisor: {why!r}.")
            self._failed = None

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.end()
            self._line = None

    def _note_full(self) -> None:
        if self.full != (len(self._waiting) >= MOST_WAITING):
            self.full = not self.full
            self._tell_full(full=self.full)

    # What the supervisor says -------------------------------------------------------------

    def heard(self, data: bytes) -> None:
        """Bytes have come from the supervisor (`Listener`)."""
        if self._line is not None:
            self._line.used(len(data))
        self._answers.feed(data)
        try:
            while (piece := self._answers.next()) is not None:
                self._hear(drive.read_answer(piece[1]))
        except RemoteProtocolError:
            self._hang_up()
            self._settle("it says what it may not")

    def roomy(self) -> None:
        """The supervisor takes more (`Listener`)."""

    def ended(self, sentence: str) -> None:
        """The supervisor has ended it (`Listener`)."""
        del sentence
        self._line = None
        self._settle("it has ended")

    def _hear(self, answer: drive.Answer) -> None:
        if answer.id != self._number or not isinstance(answer, drive.Done | drive.Failed):
            raise RemoteProtocolError("The desktop answers what nobody has asked.")
        self._settle("" if isinstance(answer, drive.Done) else answer.code)

    def _settle(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(why)


def _end(opening: "asyncio.Future[Line]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().end()


def _now() -> float:
    return asyncio.get_running_loop().time()
