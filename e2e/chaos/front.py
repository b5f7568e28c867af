"""What stands in front of the replicas: a balancer without stickiness that can spoil links.

Every new connection goes to the next replica that takes it. A connection that asks for the
agents' link is understood as far as its frames, and these can be lost, doubled, held up, kept
while the other end believes in the connection, or delivered when the agent has long linked again.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from e2e.chaos.frames import Cutter, Frame
from e2e.support.relay import CHUNK, End, Relay

_LINK: Final = b" /api/v1/agents/link"
_HEAD_ENDS: Final = b"\r\n\r\n"
_GREETING: Final = 3
"""Frames of each side that are let through: a greeting is over in two."""
_KEPT_FOR: Final = 0.8
_LATE_BY: Final = 2.5
"""Seconds for which frames are kept before the agent's connection breaks, and until they come."""


MODES: Final = ("link-drop", "link-double", "link-delay", "link-half-open", "link-late")


class Front(Relay):
    """The balancer.

    Args:
        upstreams: ports of 127.0.0.1.
        seed: of what is spoilt.
    """

    def __init__(self, upstreams: Sequence[int], seed: int) -> None:
        super().__init__(upstreams)
        self._chance = random.Random(seed)
        self._spoilt: dict[str, int] = dict.fromkeys(MODES, 0)
        self._links: set[Link] = set()

    @asynccontextmanager
    async def spoiling(self, mode: str) -> AsyncIterator[None]:
        """Spoil every link in this way for as long as the context lasts."""
        self._spoilt[mode] += 1
        if mode == "link-late":
            for link in list(self._links):
                link.be_late()
        try:
            yield
        finally:
            self._spoilt[mode] -= 1

    def cut(self) -> None:
        """Break every link."""
        for link in list(self._links):
            link.abort()

    def spoils(self, mode: str) -> bool:
        """Whether links are spoilt in this way now."""
        return self._spoilt[mode] > 0

    def happens(self, chance: float) -> bool:
        """Throw the dice."""
        return self._chance.random() < chance

    def uniform(self, least: float, most: float) -> float:
        """Return a number between."""
        return self._chance.uniform(least, most)

    async def between(self, near: End, far: End) -> None:
        """Carry; a link is understood as far as its frames."""
        head = await near[0].readuntil(_HEAD_ENDS)
        far[1].write(head)
        if _LINK not in head.split(b"\r\n", 1)[0]:
            return await super().between(near, far)
        link = Link(self, near, far)
        self._links.add(link)
        try:
            await link.carry()
        finally:
            self._links.discard(link)

    @classmethod
    @asynccontextmanager
    async def open(cls, upstreams: Sequence[int], seed: int) -> AsyncIterator["Front"]:
        """Carry for as long as the context lasts."""
        async with cls(upstreams, seed).serving() as front:
            yield front


class Link:
    """One link of an agent, between its two ends."""

    def __init__(
        self,
        front: Front,
        agent: End,
        control: End,
    ) -> None:
        self._front = front
        self._agent = agent
        self._control = control
        self._breaks: asyncio.TimerHandle | None = None
        self._late_until = 0.0

    def abort(self) -> None:
        """Break both connections."""
        for _, writer in (self._agent, self._control):
            writer.transport.abort()

    def be_late(self) -> None:
        """Keep what the agent says, break its connection, and deliver it afterwards."""
        loop = asyncio.get_running_loop()
        self._late_until = loop.time() + _LATE_BY
        self._breaks = loop.call_later(_KEPT_FOR, self._agent[1].transport.abort)

    async def carry(self) -> None:
        """Carry frames until an end is gone."""
        up = asyncio.create_task(self._up())
        down = asyncio.create_task(self._direction(self._control, self._agent[1], is_http=True))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            while self._front.spoils("link-half-open"):
                await asyncio.sleep(0.1)
            if self._late_until and not up.done():
                await asyncio.wait({up}, timeout=10.0)
        finally:
            if self._breaks is not None:
                self._breaks.cancel()
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            self.abort()

    async def _up(self) -> None:
        """Carry what the agent says; its frames are kept in between, should they come late."""
        held: asyncio.Queue[bytes] = asyncio.Queue()
        reading = asyncio.create_task(self._hold(held))
        writer = self._control[1]
        while not reading.done() or not held.empty():
            try:
                async with asyncio.timeout(0.1):
                    data = await held.get()
            except TimeoutError:
                continue
            late = self._late_until - asyncio.get_running_loop().time()
            if late > 0:
                await asyncio.sleep(late)
            writer.write(data)
            await writer.drain()

    async def _hold(self, held: "asyncio.Queue[bytes]") -> None:
        reader, _ = self._agent
        cutter, count = Cutter(), 0
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                for frame in cutter.feed(data):
                    count += 1
                    for part in await self._spoilt(frame, count):
                        held.put_nowait(part)

    async def _direction(
        self,
        source: End,
        writer: asyncio.StreamWriter,
        *,
        is_http: bool,
    ) -> None:
        reader, _ = source
        if is_http:
            writer.write(await reader.readuntil(_HEAD_ENDS))
        cutter, count = Cutter(), 0
        while data := await reader.read(CHUNK):
            for frame in cutter.feed(data):
                count += 1
                for part in await self._spoilt(frame, count):
                    writer.write(part)
            await writer.drain()

    async def _spoilt(self, frame: Frame, count: int) -> list[bytes]:
        """Return what becomes of a frame."""
        front = self._front
        if not frame.is_data or count <= _GREETING:
            return [frame.whole]
        if front.spoils("link-half-open"):
            return []
        if front.spoils("link-drop") and front.happens(0.3):
            return []
        if front.spoils("link-delay"):
            await asyncio.sleep(front.uniform(0.05, 1.0))
        if front.spoils("link-double") and front.happens(0.5):
            return [frame.whole, frame.whole]
        return [frame.whole]
