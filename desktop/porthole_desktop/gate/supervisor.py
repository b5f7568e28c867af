"""The gate's end of the socket to the supervisor: always connected, or about to be.

The supervisor runs as the desktop's user; what it says is no more than a hint, and
whatever it breaks is only its own connection.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from porthole_contract.errors import Refused
from porthole_desktop.gate.rdp.agreed import LARGEST_SIDE
from porthole_desktop.gate.rdp.connect import Size
from porthole_desktop.gate.sockets import Unreachable, connect
from porthole_desktop.supervisor import protocol

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_CHUNK: Final = 65536
_BREATH: Final = 0.01
"""Seconds between two readings, so that a desktop that floods costs little."""
_ANSWER_SECONDS: Final = 5.0
_FINGERPRINT: Final = re.compile("[0-9a-f]{64}")


class Listener(Protocol):
    """Who hears what comes on a channel."""

    def heard(self, data: bytes) -> None:
        """Bytes have come; `Line.used` says when they are dealt with."""

    def roomy(self) -> None:
        """There is room for more bytes."""

    def ended(self, sentence: str) -> None:
        """The supervisor has ended it, or is gone; `sentence` may be empty."""


class Line:
    """One channel to the supervisor; see `protocol` for its rules."""

    def __init__(self, number: int, writer: asyncio.StreamWriter, listener: Listener) -> None:
        self.over = False
        self._number = number
        self._writer = writer
        self._listener = listener
        self._window = protocol.Window()
        self._told = False

    @property
    def done(self) -> bool:
        """Whether both sides have ended it."""
        return self.over and self._told

    def send(self, data: bytes | bytearray) -> int:
        """Send the beginning of `data`, as much as there is room for; return its length."""
        at = 0
        while self._window.room and at < len(data) and not self.over:
            piece = bytes(data[at : at + min(self._window.room, protocol.LARGEST)])
            self._window.sent(len(piece))
            self._writer.write(protocol.encode(self._number, protocol.Kind.BYTES, piece))
            at += len(piece)
        return at

    def used(self, size: int) -> None:
        """So many of the bytes that came are dealt with."""
        credit = self._window.used(size)
        if credit and not self.over:
            self._writer.write(protocol.encode(self._number, protocol.Kind.CREDIT, credit))

    def end(self) -> None:
        """End it; nobody hears of it any more."""
        if not self.over:
            self.over = True
            self._writer.write(protocol.encode(self._number, protocol.Kind.END, b""))

    def feed(self, frame: protocol.Frame) -> None:
        """Take a frame of this channel.

        Raises:
            Broken: it may not come.
        """
        match frame.kind:
            case protocol.Kind.BYTES:
                self._window.came(len(frame.payload))
                if not self.over:
                    self._listener.heard(frame.payload)
            case protocol.Kind.CREDIT:
                self._window.given(frame.payload)
                if not self.over:
                    self._listener.roomy()
            case protocol.Kind.END:
                self._told = True
                self.lose(frame.payload.decode(errors="replace")[:300])
            case _:
                raise protocol.Broken("A channel carries no messages of the conversation.")

    def lose(self, sentence: str) -> None:
        """It is over by the other side's doing."""
        if not self.over:
            self.end()
            self._listener.ended(sentence)


class Supervisor:
    """Follows the supervisor at `path`, which runs as `uid`; `run` does the work.

    Args:
        changed: called when `drawn` or `stopping` changed.
        asked: called when the supervisor was asked to stop, before anything is.
        uses: takes what it says that the desktop uses, as it says it.
        say: takes a line for the log.
    """

    def __init__(
        self,
        path: Path,
        uid: int,
        *,
        changed: Callable[[], None],
        asked: Callable[[], None],
        uses: Callable[[Any], None],
        say: Callable[[str], None],
    ) -> None:
        self.heard = False
        self.drawn = False
        self.stopping = False
        self.rdp: str | None = None
        """SHA-256 of the certificate behind `rdp.sock`, lower hex; None: not told."""
        self.screen: Size | None = None
        """How large the screen is; None: not told."""
        self._path = path
        self._uid = uid
        self._changed = changed
        self._asked = asked
        self._uses = uses
        self._say = say
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._late: dict[int, Line] = {}  # to be opened by requests that nobody waits for any more
        self._lines: dict[int, Line] = {}
        self._line_numbers = itertools.cycle(range(1, protocol.LAST_CHANNEL + 1))

    async def run(self) -> None:
        """Stay connected; returns only by being cancelled."""
        pause = _FIRST_PAUSE
        while True:
            try:
                connection = await connect(self._path, self._uid)
                reader, writer = await asyncio.open_unix_connection(sock=connection)
                pause = _FIRST_PAUSE
                await self._follow(reader, writer)
            except Unreachable:
                pass  # not up yet, or gone; asked again below
            except (OSError, protocol.Broken) as error:
                self._say(f"The supervisor's socket is broken: {error}")
                pause = _LONGEST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def open(self, name: str, listener: Listener) -> Line:
        """Open a channel of that name.

        Raises:
            Refused: it is not opened; `desktop_unreachable` if nobody could be asked.
        """
        if self._writer is None:
            raise Refused("desktop_unreachable", "The desktop's supervisor is not there.")
        number = next(one for one in self._line_numbers if one not in self._lines)
        line = self._lines[number] = Line(number, self._writer, listener)
        try:
            await self._ask("open", line, name=name, channel=number)
        except BaseException:
            self._lines.pop(number, None)
            raise
        return line

    async def ask(self, kind: str, **fields: Any) -> None:
        """Send a request and wait for the reply.

        Raises:
            Refused: it is not done; `desktop_unreachable` if nobody could be asked.
        """
        await self._ask(kind, None, **fields)

    async def _ask(self, kind: str, opens: Line | None, **fields: Any) -> None:
        writer = self._writer
        if writer is None:
            raise Refused("desktop_unreachable", "The desktop's supervisor is not there.")
        number = next(self._numbers)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            writer.write(protocol.say(kind, id=number, **fields))
            async with asyncio.timeout(_ANSWER_SECONDS):
                await answer
        except (OSError, TimeoutError):
            if opens is not None:
                self._late[number] = opens
            raise Refused(
                "desktop_unreachable", "The desktop's supervisor does not answer."
            ) from None
        finally:
            self._waiting.pop(number, None)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = protocol.Decoder()
        greeted = False
        try:
            writer.write(protocol.hello("gate"))
            while data := await reader.read(_CHUNK):
                breathe = False
                for frame in decoder.feed(data):
                    if frame.channel != protocol.CONVERSATION:
                        breathe |= not self._pass_on(frame)
                        continue
                    breathe = True
                    message = frame.message()
                    if greeted:
                        self._hear(message)
                    else:
                        protocol.check_hello(message)
                        greeted = True
                        self._writer = writer
                        self.heard = True
                        self._changed()
                # Channels flood nobody: what comes on them waits for its room.
                await asyncio.sleep(_BREATH if breathe else 0)
        finally:
            self._writer = None
            for line in list(self._lines.values()):
                line.lose("The desktop's supervisor is gone.")
            self._lines.clear()
            self._late.clear()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(
                        Refused("desktop_unreachable", "The desktop's supervisor is gone.")
                    )
            self._note(drawn=False, stopping=self.stopping)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _pass_on(self, frame: protocol.Frame) -> bool:
        """Hand a frame to its channel; return whether there is one.

        Raises:
            Broken: it may not come on it.
        """
        line = self._lines.get(frame.channel)
        if line is None:
            return False
        line.feed(frame)
        if line.done:
            del self._lines[frame.channel]
        return True

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "state"}:
                self.rdp = _fingerprint(message.get("rdp"))
                self.screen = _size(message.get("screen")) or self.screen
                self._uses(message.get("usage"))
                self._note(
                    drawn=message.get("drawn") is True, stopping=message.get("stopping") is True
                )
            case {"type": "screen"}:
                self.screen = _size(message) or self.screen
            case {"type": "usage"}:
                self._uses(message)
            case {"type": "drawn"}:
                self._note(drawn=True, stopping=self.stopping)
            case {"type": "stopping"}:
                self._note(drawn=self.drawn, stopping=True)
                if message.get("reason") == "asked":
                    self._asked()
            case {"type": "reply", "id": int(number)} if number in self._waiting:
                self._reply(self._waiting[number], message)
            case {"type": "reply", "id": int(number)} if number in self._late:
                line = self._late.pop(number)
                if message.get("ok") is True:
                    line.end()  # or it would stay open there

    @staticmethod
    def _reply(answer: "asyncio.Future[None]", message: dict[str, Any]) -> None:
        if answer.done():
            return
        if message.get("ok") is True:
            answer.set_result(None)
            return
        fault = message.get("error")
        fault = fault if isinstance(fault, dict) else {}
        code, text = str(fault.get("code", "refused"))[:64], str(fault.get("message", ""))[:300]
        answer.set_exception(Refused(code, text or "The supervisor refused."))

    def _note(self, *, drawn: bool, stopping: bool) -> None:
        if (drawn, stopping) != (self.drawn, self.stopping):
            self.drawn, self.stopping = drawn, stopping
            self._changed()


def _size(said: Any) -> Size | None:
    """Return what a supervisor has told of its screen, if it can be one."""
    match said:
        case {"width": int(width), "height": int(height)} if (
            0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE
        ):
            return Size(width, height)
        case _:
            return None


def _fingerprint(said: Any) -> str | None:
    """Return what a supervisor has told of its certificate, if it is one."""
    found = said.get("fingerprint") if isinstance(said, dict) else None
    return found if isinstance(found, str) and _FINGERPRINT.fullmatch(found) else None
