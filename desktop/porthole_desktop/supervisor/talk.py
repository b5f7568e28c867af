"""What is said inside a channel: the same frames again, with numbers of the channel's own.

Number 0 carries messages, JSON objects with a `type`; what other numbers carry, and which
messages there are, is the channel's business (`runs`, `files`).
"""

import json
from collections import deque
from typing import Any, Final

from . import protocol
from .channels import Channel
from .protocol import Frame, Kind

PIECE: Final = protocol.LARGEST
"""The most bytes in one frame."""


class Talk:
    """One channel, as frames.

    Args:
        channel: what carries them.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._decoder = protocol.Decoder()
        self._frames: deque[Frame] = deque()

    async def over(self) -> None:
        """Return when nobody listens any more."""
        await self._channel.over.wait()

    async def hear(self) -> Frame:
        """Return the next frame.

        Raises:
            Over: there will be none.
            Broken: what came is none.
        """
        while not self._frames:
            self._frames.extend(self._decoder.feed(await self._channel.read()))
        return self._frames.popleft()

    async def message(self) -> dict[str, Any]:
        """Return the next frame's message.

        Raises:
            Over: there will be none.
            Broken: the next frame is no message.
        """
        return (await self.hear()).message()

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a message.

        Raises:
            Over: nobody takes it.
        """
        text = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        await self._channel.write(protocol.encode(0, Kind.JSON, text.encode()))

    async def carry(self, number: int, data: bytes) -> None:
        """Send bytes on one of the channel's own numbers.

        Raises:
            Over: nobody takes them.
        """
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            await self._channel.write(protocol.encode(number, Kind.BYTES, piece))
