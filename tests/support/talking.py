"""The other end of the channels `exec` and `files`, at a gate, for tests."""

import asyncio
import itertools
from typing import Any

from porthole_contract.stream import frames
from porthole_contract.stream.frames import Digest, Frame, Kind
from tests.support.desktop_pair import DesktopPair


class Fault(Exception):
    """The other side said no; `code` is why."""

    def __init__(self, message: dict[str, Any]) -> None:
        super().__init__(message["message"])
        self.code = message["code"]


class Busy(Fault):
    """Somebody else is at it."""


def fault_of(message: dict[str, Any]) -> Fault:
    """Return the error that a message tells."""
    return (Busy if message["code"] == "busy" else Fault)(message)


class Talker:
    """One stream of frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = frames.Decoder()
        self._frames: list[Frame] = []
        self._numbers = itertools.count(1)

    @classmethod
    async def open(cls, pair: DesktopPair, channel: str, mode: str = "control") -> "Talker":
        """Open one.

        Raises:
            NotAdmitted: the gate said no.
        """
        return cls(*await pair.open(pair.identity.request(channel, mode)))

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        self.writer.write(frames.say(kind, **fields))

    async def carry(self, number: int, data: bytes) -> None:
        """Send bytes."""
        for at in range(0, len(data), frames.LARGEST):
            self.writer.write(frames.carry(number, data[at : at + frames.LARGEST]))
            await self.writer.drain()

    async def hear(self, seconds: float = 20) -> Frame:
        """Return the next frame."""
        async with asyncio.timeout(seconds):
            while not self._frames:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Ask for something of files; return the answer.

        Raises:
            Fault: it is not done.
        """
        self.say(kind, id=next(self._numbers), **fields)
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return the next message.

        Raises:
            Fault: it is one.
        """
        message = (await self.hear()).message()
        if message["type"] in {"error", "failed"}:
            raise fault_of(message)
        return message

    async def list(self, path: str = "") -> list[dict[str, Any]]:
        """Return the entries of a folder."""
        found = await self.ask("list", path=path)
        entries: list[dict[str, Any]] = found["entries"]
        while found["more"]:
            found = await self.answer()
            entries += found["entries"]
        return entries

    async def read(self, path: str, kind: str = "read", **fields: Any) -> bytes:
        """Return what is in a file."""
        await self.ask(kind, path=path, **fields)
        data = bytearray()
        while (frame := await self.hear()).kind is Kind.BYTES:
            data += frame.payload
        message = frame.message()
        if message["type"] == "error":
            raise fault_of(message)
        return bytes(data)

    async def write(self, path: str, data: bytes, key: str = "0" * 16, **fields: Any) -> None:
        """Write a file, or the rest of it."""
        ready = await self.ask("write", path=path, size=len(data), upload=key, **fields)
        await self.carry(1, data[ready["offset"] :])
        self.say("commit", digest=digest(data))
        await self.answer()

    async def run(self, *command: str, given: bytes = b"", **fields: Any) -> "Ran":
        """Run a program to its end."""
        self.say("run", command=list(command), **fields)
        await self.answer()
        sending = asyncio.create_task(self._send(given))
        ran = Ran()
        try:
            while (frame := await self.hear()).kind is Kind.BYTES:
                (ran.err if frame.number == 2 else ran.out).extend(frame.payload)
        finally:
            sending.cancel()
        ran.end = frame.message()
        return ran

    async def _send(self, data: bytes) -> None:
        await self.carry(0, data)
        self.say("end_input")

    def close(self) -> None:
        self.writer.transport.abort()


class Ran:
    """What a program said, and how it ended."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self.end: dict[str, Any] = {}


def digest(data: bytes) -> str:
    """Return the digest of a file."""
    made = Digest()
    made.update(data)
    return made.hex()
