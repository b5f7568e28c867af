"""The channels of one peer: opened by name, each with room of its own, ended by either side.

What serves a channel is a coroutine that reads and writes; when it returns, the channel is
over, and when the channel is over, it is told so by its next reading or writing.
"""

import asyncio
from asyncio import StreamWriter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from . import protocol
from .log import Log
from .protocol import Broken, Frame, Kind, Window

MOST: Final = 64
"""Channels of one peer at one time."""


class Over(Exception):
    """The channel, or its peer, is gone."""


class Refusal(Exception):
    """A request that is not done: `code` for programs, a sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


Work = Coroutine[Any, Any, None]
Openers = Mapping[str, Callable[["Channel"], Work]]
"""Serve a channel of that name.

Raises:
    Refusal: it is not opened (before anything is awaited).
"""


class Channel:
    """One channel: bytes both ways, as fast as whoever reads them.

    Args:
        number: which one.
        send: sends one frame; returns when there is room for the next.
    """

    def __init__(
        self, number: int, send: Callable[[int, Kind, bytes], Coroutine[Any, Any, None]]
    ) -> None:
        self.number = number
        self.used_at = asyncio.get_running_loop().time()
        """When something last went over it, or was done for it, by the loop's clock."""
        self.waits = False
        """Whether it is the other side's turn: what is asked for may take long to be done."""
        self.over = asyncio.Event()
        """Set when nothing more comes and nothing more may be sent."""
        self._send = send
        self._window = Window()
        self._waiting = bytearray()
        self._change = asyncio.Event()

    def feed(self, frame: Frame) -> None:
        """Take a frame of this channel.

        Raises:
            Broken: it is no frame that may come.
        """
        self.used_at = asyncio.get_running_loop().time()
        match frame.kind:
            case Kind.BYTES:
                self._window.came(len(frame.payload))
                self._waiting += frame.payload
            case Kind.CREDIT:
                self._window.given(frame.payload)
            case Kind.END:
                self.over.set()
            case _:
                raise Broken(f"A channel carries no frames of the kind {frame.kind}.")
        self._change.set()

    def lose(self) -> None:
        """The peer is gone."""
        self.over.set()
        self._change.set()

    async def read(self) -> bytes:
        """Return all that has come, at least one byte.

        Raises:
            Over: nothing more will.
        """
        while not self._waiting:
            if self.over.is_set():
                raise Over
            await self._changed()
        data = bytes(self._waiting)
        self._waiting.clear()
        if credit := self._window.used(len(data)):
            await self._send(self.number, Kind.CREDIT, credit)
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes; returns when they are on their way.

        Raises:
            Over: nobody takes them any more.
        """
        at = 0
        while at < len(data):
            if self.over.is_set():
                raise Over
            size = min(len(data) - at, self._window.room, protocol.LARGEST)
            if not size:
                await self._changed()
                continue
            self._window.sent(size)
            await self._send(self.number, Kind.BYTES, data[at : at + size])
            at += size

    async def _changed(self) -> None:
        self._change.clear()
        self.used_at = asyncio.get_running_loop().time()
        self.waits = True
        try:
            await self._change.wait()
        finally:
            self.waits = False


class Channels:
    """All channels of one peer.

    Args:
        writer: to the peer.
        openers: what serves which name.
    """

    def __init__(self, writer: StreamWriter, openers: Openers, log: Log) -> None:
        self._writer = writer
        self._openers = openers
        self._log = log
        self._turn = asyncio.Lock()
        self._open: dict[int, Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, name: object, number: object) -> None:
        """Open a channel.

        Raises:
            Refusal: it is not opened.
            Broken: the peer gives it a number that it has given before.
        """
        opener = self._openers.get(name) if isinstance(name, str) else None
        if opener is None:
            raise Refusal("unknown_channel", "This supervisor opens no channel of that name.")
        if isinstance(number, bool) or not isinstance(number, int):
            raise Refusal("unknown_request", "A channel needs a number.")
        if not 0 < number <= protocol.LAST_CHANNEL or number in self._open:
            raise Broken(f"There can be no new channel {number}.")
        if len(self._open) >= MOST:
            raise Refusal("too_many", f"{MOST} channels are open already.")
        channel = Channel(number, self._send)
        work = opener(channel)
        self._open[number] = channel
        task = asyncio.create_task(self._serve(channel, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def feed(self, frame: Frame) -> None:
        """Take a frame of some channel.

        Raises:
            Broken: there is no such channel, or the frame may not come.
        """
        channel = self._open.get(frame.channel)
        if channel is None:
            raise Broken(f"Channel {frame.channel} was never opened.")
        if channel.over.is_set():
            raise Broken(f"Channel {frame.channel} has been ended.")
        channel.feed(frame)

    async def close(self) -> None:
        """The peer is gone: end all of them; returns when what served them has returned."""
        for channel in self._open.values():
            channel.lose()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cancel(self) -> None:
        """End what serves them at once."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, channel: Channel, work: Work) -> None:
        sentence = ""
        try:
            await work
        except Over:
            pass
        except Broken as error:
            sentence = str(error)
        except OSError as error:
            sentence = f"The channel failed: {error.strerror}."
        except Exception as error:  # noqa: BLE001 - whatever it is, only this channel ends
            self._log.say(f"A channel failed: {error!r}")
            sentence = "The channel failed."
        await self._send(channel.number, Kind.END, sentence.encode()[: protocol.LARGEST])
        await channel.over.wait()
        del self._open[channel.number]

    async def _send(self, number: int, kind: Kind, payload: bytes) -> None:
        # One at a time, so that what waits for a peer stays within its bounds.
        async with self._turn:
            if self._writer.transport.is_closing():
                return
            await self._writer.drain()
            self._writer.write(protocol.encode(number, kind, payload))
