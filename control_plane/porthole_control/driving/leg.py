"""The viewer's leg of a stream on the channel `drive`, when the viewer is ourselves."""

import asyncio
from typing import Final

from porthole_contract.errors import RemoteProtocolError
from porthole_contract.stream import drive
from porthole_control.sockets import Gone

_PART: Final = 64 * 1024
_DONE: Final = 1000

Found = tuple[drive.Answer, bytes]


class DriveLeg:
    """Asks one thing at a time, and waits for its answer.

    Attributes:
        lost: never set: this leg is lost to nobody.
    """

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pieces = drive.Pieces()
        self._answer: drive.Answer | None = None
        self._data = bytearray()
        self._missing = 0
        self._waiting: asyncio.Future[Found] | None = None
        self._number = 0

    @property
    def next_id(self) -> int:
        """The number that the next request has to have."""
        return self._number + 1

    async def ask(self, request: drive.Request, raw: bytes = b"") -> Found:
        """Return the answer to a request, and the bytes that belong to it.

        Raises:
            RemoteProtocolError: what came is no answer to it.
        """
        self._number = request.id
        self._waiting = asyncio.get_running_loop().create_future()
        self._out.put_nowait(drive.encode(request))
        for at in range(0, len(raw), _PART):
            self._out.put_nowait(raw[at : at + _PART])
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def leave(self) -> None:
        """End the stream."""
        self._out.put_nowait(None)

    async def hear(self) -> str | bytes:
        """Return what is to be sent to the desktop (`Leg`)."""
        data = await self._out.get()
        if data is None:
            raise Gone(_DONE)
        return data

    async def say(self, data: bytes) -> None:
        """Take what the desktop says (`Leg`)."""
        self._pieces.feed(data)
        try:
            while (piece := self._pieces.next()) is not None:
                is_line, part = piece
                if is_line:
                    self._begin(drive.read_answer(part))
                else:
                    self._data += part
                    self._missing -= len(part)
                self._end()
        except RemoteProtocolError as error:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_exception(error)
            raise Gone(_DONE) from error

    async def close(self, code: int, reason: str = "") -> None:
        """Nothing is to be closed (`Leg`)."""

    def _begin(self, answer: drive.Answer) -> None:
        if self._waiting is None or answer.id != self._number:
            raise RemoteProtocolError("The desktop answers what nobody has asked.")
        self._answer = answer
        self._data.clear()
        self._missing = answer.bytes if isinstance(answer, drive.Picture | drive.Clipboard) else 0
        self._pieces.expect(self._missing)

    def _end(self) -> None:
        if self._answer is not None and not self._missing:
            found, self._answer = (self._answer, bytes(self._data)), None
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(found)
