"""The two sides of a door: a program's connection, and the stream of the session behind it."""

import asyncio
from asyncio import StreamReader, StreamWriter
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from porthole_contract.errors import RemoteProtocolError

CHUNK: Final = 64 * 1024


class NotLetIn(Exception):
    """A program does not get in; the sentence says why."""


class Stream:
    """A session's stream, as bytes that can be read by how many are needed."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._held = b""

    async def some(self) -> bytes:
        """Return what there is next; nothing at the end."""
        held, self._held = self._held, b""
        if held:
            return held
        try:
            data = await self._socket.recv()
        except ConnectionClosed:
            return b""
        return data if isinstance(data, bytes) else data.encode()

    async def exactly(self, count: int) -> bytes:
        """Return so many bytes.

        Raises:
            RemoteProtocolError: it ends before.
        """
        while len(self._held) < count:
            held, self._held = self._held, b""
            more = await self.some()
            if not more:
                raise RemoteProtocolError(self.why)
            self._held = held + more
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def put_back(self, data: bytes) -> None:
        """Have `data` be read next."""
        self._held = data + self._held

    async def say(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            ConnectionClosed: it has ended.
        """
        for at in range(0, len(data), CHUNK):
            await self._socket.send(data[at : at + CHUNK])

    @property
    def why(self) -> str:
        """Why it ended, as a sentence."""
        _, _, sentence = (self._socket.close_reason or "").partition(": ")
        return sentence or "The connection to the desktop was closed."


async def carry(reader: StreamReader, writer: StreamWriter, stream: Stream) -> None:
    """Pass bytes on, both ways, until one side ends."""

    async def down() -> None:
        while data := await stream.some():
            writer.write(data)
            await writer.drain()

    async def up() -> None:
        while data := await reader.read(CHUNK):
            await stream.say(data)

    tasks = {asyncio.create_task(down()), asyncio.create_task(up())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (OSError, ConnectionClosed):
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
