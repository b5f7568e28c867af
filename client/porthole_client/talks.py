"""Conversations on the channels `exec` and `files`, without doing any I/O.

An operation is a generator: it yields bytes to send, `HEAR` for the next frame, or `PEEK` for a
frame if one is there already; `drive` and `drive_async` run the same generators over a WebSocket.
"""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection as SyncConnection

from porthole_client.errors import FileFault, StreamLost, StreamRefused
from porthole_contract.stream.frames import Decoder, Frame

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of the other side: a frame, now or never, or sooner or later."""

    patient: bool


HEAR: Final = Wish(patient=True)
PEEK: Final = Wish(patient=False)

Talk = Generator[bytes | Wish, Frame | None, T]
"""A conversation whose result is a `T`."""


def hear() -> Talk[Frame]:
    """Return the next frame."""
    frame = yield HEAR
    assert frame is not None
    return frame


def said_no(message: dict[str, object]) -> FileFault:
    """Return the error that a message tells."""
    return FileFault(str(message.get("code", "failed")), str(message.get("message", "")))


_REFUSED: Final = 4005
"""The close code of a stream that its desktop did not open."""


def lost(error: ConnectionClosed) -> StreamLost | StreamRefused:
    """Return what the end of a stream means to who was still talking."""
    code, reason = (0, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)
    name, _, sentence = reason.partition(": ")
    if code == _REFUSED:
        return StreamRefused(name, sentence or "The desktop does not open that stream.")
    return StreamLost(name or "lost", sentence or "The connection to the desktop was lost.")


class SyncFrames:
    """Frames of a WebSocket, for blocking programs."""

    def __init__(self, socket: SyncConnection) -> None:
        self._socket = socket
        self._decoder = Decoder()
        self._frames: list[Frame] = []

    def drive(self, talk: Talk[T]) -> T:
        """Have a conversation; return its result.

        Raises:
            StreamLost: the stream has ended.
            StreamRefused: it was never opened.
        """
        try:
            wish = next(talk)
            while True:
                wish = talk.send(self._do(wish))
        except StopIteration as stop:
            result: T = stop.value
            return result
        except ConnectionClosed as error:
            raise lost(error) from None

    def _do(self, wish: bytes | Wish) -> Frame | None:
        if isinstance(wish, bytes):
            self._socket.send(wish)
            return None
        while not self._frames:
            try:
                data = self._socket.recv(timeout=None if wish.patient else 0)
            except TimeoutError:
                return None
            self._frames += self._decoder.feed(data if isinstance(data, bytes) else data.encode())
        return self._frames.pop(0)


class AsyncFrames:
    """Frames of a WebSocket, for asyncio programs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self._hearing: asyncio.Task[str | bytes] | None = None

    async def drive(self, talk: Talk[T]) -> T:
        """Have a conversation; return its result.

        Raises:
            StreamLost: the stream has ended.
            StreamRefused: it was never opened.
        """
        try:
            wish = next(talk)
            while True:
                wish = talk.send(await self._do(wish))
        except StopIteration as stop:
            result: T = stop.value
            return result
        except ConnectionClosed as error:
            raise lost(error) from None

    async def close(self) -> None:
        """Hear no more."""
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _do(self, wish: bytes | Wish) -> Frame | None:
        if isinstance(wish, bytes):
            await self._socket.send(wish)
            return None
        while not self._frames:
            if self._hearing is None:
                self._hearing = asyncio.create_task(self._receive())
            if not wish.patient and not self._hearing.done():
                return None
            data = await asyncio.shield(self._hearing)
            self._hearing = None
            self._frames += self._decoder.feed(data if isinstance(data, bytes) else data.encode())
        return self._frames.pop(0)

    async def _receive(self) -> str | bytes:
        return await self._socket.recv()
