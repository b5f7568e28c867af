"""The gate's own view of a session, heard on its control channel as an observer.

One watch per running session. It connects again whenever the gate is gone, and tells the
last state it heard; what it has not heard for longer than a gate may be silent, it forgets.
"""

import asyncio
import contextlib
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from uuid import UUID, uuid4

from porthole_agent.admission import UNGRANTED, admit
from porthole_contract.errors import PortholeError
from porthole_contract.stream.channels import Channel, Mode, Wire
from porthole_contract.stream.control import HEARTBEAT, Closed, Lines, State, Usage, read_news
from porthole_contract.stream.grant import SigningKey
from porthole_contract.stream.preface import Request
from porthole_contract.trace import Span
from porthole_telemetry import tracing

_SILENT_FOR: Final = HEARTBEAT.total_seconds() * 2.4
_FIRST_RETRY: Final = 0.02
_LAST_RETRY: Final = 1.0


class GateWatch:
    """Hears the state of one gate.

    Args:
        session: whose gate it is.
        connect: connects to it; TLS is done and its certificate is the right one.
        fingerprint: of its certificate.
        key: signs the observer's grants.
        heard: called after each change of `state`.
        closed: told of each stream that is closed.
        trace: whose spans of the gate are handed on; None: nobody's.
        last_retry: the most seconds between two tries to connect.
    """

    def __init__(
        self,
        session: UUID,
        connect: Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]],
        fingerprint: str,
        *,
        key: SigningKey,
        heard: Callable[[], None],
        closed: Callable[[Closed], None] = lambda _: None,
        trace: str | None = None,
        last_retry: float = _LAST_RETRY,
    ) -> None:
        self._session = session
        self._connect = connect
        self._last_retry = last_retry
        self._fingerprint = fingerprint
        self._key = key
        self._heard = heard
        self._closed = closed
        self._spans = tracing.Strangers(trace)
        self._task: asyncio.Task[None] | None = None
        self.state: State | None = None
        self._heard_at = 0.0

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen(), name=f"gate of {self._session}")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _listen(self) -> None:
        retry = _FIRST_RETRY
        while True:
            try:
                async for state in self._states():
                    retry = _FIRST_RETRY
                    self._tell(state)
            except (OSError, PortholeError, TimeoutError, EOFError):
                pass
            if self.state is not None:
                self._tell(None)
            await asyncio.sleep(retry)
            retry = min(retry * 1.5, self._last_retry)

    @property
    def idle_seconds(self) -> float | None:
        """For how long nobody has used the desktop, as far as is heard; None if it is not."""
        if self.state is None:
            return None
        return self.state.idle_seconds + time.monotonic() - self._heard_at

    @property
    def usage(self) -> Usage | None:
        """What the session uses, with its age by now; None if that is not heard."""
        if self.state is None or (usage := self.state.usage) is None:
            return None
        return usage.evolve(age=usage.age + time.monotonic() - self._heard_at)

    def _tell(self, state: State | None) -> None:
        self.state = state
        self._heard_at = time.monotonic()
        self._heard()

    async def _states(self) -> AsyncIterator[State]:
        reader, writer = await self._connect()
        try:
            rest = await admit(
                reader,
                writer,
                self._key,
                Request(
                    stream=uuid4(),
                    channel=Channel.CONTROL,
                    protocol=Wire.LINES,
                    mode=Mode.OBSERVE,
                    grant=UNGRANTED,
                ),
                session=self._session,
                fingerprint=self._fingerprint,
            )
            lines = Lines()
            while True:
                for line in lines.feed(rest):
                    news = read_news(line)
                    if isinstance(news, State):
                        yield news
                    elif isinstance(news, Closed):
                        self._closed(news)
                    elif isinstance(news, Span):
                        self._spans.take(news)
                rest = await _read(reader)
                if not rest:
                    return
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    # Not `wait_for`: the one of Python 3.11 loses a cancellation that comes with the data.
    async with asyncio.timeout(_SILENT_FOR):
        return await reader.read(65536)
