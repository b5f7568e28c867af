"""A program's end of the channel `drive`, for tests."""

import asyncio
from typing import Any

from porthole_contract.stream import drive


class DriveClient:
    """Asks one thing at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._next = 0

    async def ask(
        self, kind: type[Any], *, raw: bytes = b"", seconds: float = 30, **fields: Any
    ) -> tuple[drive.Answer, bytes]:
        """Ask, and return the answer with the bytes that follow it."""
        self._next += 1
        self.writer.write(drive.encode(kind(id=self._next, **fields)) + raw)
        return await self.answer(seconds)

    async def answer(self, seconds: float = 30) -> tuple[drive.Answer, bytes]:
        """Return the next answer with its bytes."""
        async with asyncio.timeout(seconds):
            line = await self.reader.readline()
            if not line:
                raise EOFError("The stream was closed.")
            answer = drive.read_answer(line.rstrip(b"\n"))
            size = answer.bytes if isinstance(answer, drive.Picture | drive.Clipboard) else 0
            return answer, await self.reader.readexactly(size)

    async def act(self, *actions: Any, seconds: float = 60) -> drive.Answer:
        """Do things."""
        return (await self.ask(drive.Act, actions=actions, seconds=seconds))[0]

    async def over(self, seconds: float = 10) -> None:
        """Wait until the stream is closed."""
        async with asyncio.timeout(seconds):
            while await self.reader.read(65536):
                pass
