"""Opaque bytes between two legs, until one of them ends.

Nothing is kept here: a message that was heard on one leg is said on the other before the
next is heard, so a leg that does not read stops the other from being read.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from porthole_control.flag import Flag
from porthole_control.sockets import Gone
from porthole_control.streams.endings import (
    NOT_BINARY,
    STREAM_CUT,
    VIEWER_LOST,
    Ending,
    from_agent,
    from_viewer,
)

_LOST: Final = 1006
_LAST_WORDS_SECONDS: Final = 1.0
_TAKEN_SECONDS: Final = 10.0
"""How long a viewer may take for one message, once its agent's leg is gone."""


class Leg(Protocol):
    """One side of a stream: a WebSocket that carries binary messages."""

    @property
    def lost(self) -> asyncio.Event | Flag:
        """Set when the connection is gone, heard or not."""

    async def hear(self) -> str | bytes:
        """Return the next message, or raise `Gone`."""

    async def say(self, data: bytes) -> None:
        """Send a message, or raise `Gone`; returns when there is room for more."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close it, if it is open still."""


@dataclass(slots=True)
class Counts:
    """Bytes that were carried.

    Attributes:
        taking_since: when the viewer was given what it has not taken yet, on the loop's clock;
            None: it has taken all.
    """

    to_viewer: int = 0
    from_viewer: int = 0
    taking_since: float | None = None


async def pump(
    viewer: Leg,
    agent: Leg,
    *,
    counts: Counts,
    ended: asyncio.Future[Ending] | None = None,
    first: asyncio.Task[str | bytes] | None = None,
    viewer_left: Callable[[Gone], Ending] = from_viewer,
) -> Ending:
    """Carry bytes both ways; return why it ended. Neither leg is closed yet.

    Args:
        viewer: the leg of who looks.
        agent: the leg of the agent.
        counts: counted up as bytes go by.
        ended: done when the stream has to end for another reason.
        first: hears the viewer's first message already.
        viewer_left: says what the end of the viewer's leg means.
    """
    running = {
        asyncio.create_task(_to_agent(viewer, agent, counts, first, viewer_left)),
        asyncio.create_task(_to_viewer(agent, viewer, counts)),
        asyncio.create_task(_when_viewer_lost(viewer, viewer_left(Gone(_LOST)))),
        asyncio.create_task(_when_agent_lost(agent, counts)),
    }
    everything: set[asyncio.Future[Ending]] = {*running, *([ended] if ended else [])}
    try:
        done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        return ended.result() if ended in done else next(iter(done)).result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _to_agent(
    viewer: Leg,
    agent: Leg,
    counts: Counts,
    first: asyncio.Task[str | bytes] | None,
    viewer_left: Callable[[Gone], Ending],
) -> Ending:
    while True:
        try:
            data = await (viewer.hear() if first is None else first)
        except Gone as gone:
            return viewer_left(gone)
        first = None
        if isinstance(data, str):
            return NOT_BINARY
        counts.from_viewer += len(data)
        try:
            await agent.say(data)
        except Gone:
            return await _wait_for_agents_last_words(counts)


async def _to_viewer(agent: Leg, viewer: Leg, counts: Counts) -> Ending:
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = await agent.hear()
        except Gone as gone:
            return from_agent(gone)
        if isinstance(data, str):
            return NOT_BINARY
        counts.taking_since = loop.time()
        try:
            await viewer.say(data)
        except Gone:
            return await _wait_for_last_words(VIEWER_LOST)
        counts.to_viewer += len(data)
        counts.taking_since = None


async def _wait_for_last_words(otherwise: Ending) -> Ending:
    """Leave the other direction the time to hear why a leg has ended."""
    await asyncio.sleep(_LAST_WORDS_SECONDS)
    return otherwise


async def _wait_for_agents_last_words(counts: Counts) -> Ending:
    """The same for an agent's: they stand behind all that a slow viewer has not taken yet."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        since = counts.taking_since
        if since is None or loop.time() - since > _TAKEN_SECONDS:
            return STREAM_CUT


async def _when_viewer_lost(viewer: Leg, ending: Ending) -> Ending:
    await viewer.lost.wait()
    return await _wait_for_last_words(ending)


async def _when_agent_lost(agent: Leg, counts: Counts) -> Ending:
    await agent.lost.wait()
    return await _wait_for_agents_last_words(counts)
