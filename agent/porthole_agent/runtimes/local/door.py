"""A session's port: RDP programs of this machine come in, and its gate asks for the password.

The bytes go to the gate as they come, which ends TLS, compares the password with the hash in
the grant and judges all that follows. Here connections are counted, and cut off when the port
gets another password or none.
"""

import asyncio
import contextlib
import errno
import os
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from porthole_agent.metrics import DOORS, STREAM_BYTES
from porthole_agent.racing import until_one_ends
from porthole_agent.runtimes.local.guests import Guests
from porthole_contract.errors import PortholeError
from porthole_contract.link.commands import Exposure
from porthole_contract.stream.closing import CloseReason
from porthole_contract.stream.control import Closed

_log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
"""Connections on one port at one time: half of what its gate has room for, so that those who
knock here keep nobody out who comes another way."""
A_SECOND: Final = 20
"""New connections on one port within a second."""
_FIRST_WORD_WITHIN: Final = 5.0
_GATE_WITHIN: Final = 10.0
_LAST_WORD_WITHIN: Final = 0.3
"""Seconds to wait for the gate's word on why it closed a stream."""
_TRIED_AGAIN_AFTER: Final = 1.0
_STALLED: Final = 600.0
"""Seconds for which one side may take nothing: whoever is not read from is not seen to leave."""
_CHUNK: Final = 64 * 1024
_TO_VIEWER = STREAM_BYTES.labels("to_viewer")
_FROM_VIEWER = STREAM_BYTES.labels("from_viewer")

Stream = tuple[StreamReader, StreamWriter, bytes]
LetIn = Callable[[UUID, str], Awaitable[Stream]]
"""Opens a stream of this name for RDP at the session's gate, for who shows this password."""


@dataclass(slots=True)
class _Bytes:
    to_viewer: int = 0
    from_viewer: int = 0


class Door:
    """One session's port.

    Args:
        address: of the machine, whose ports are listened on; None: none is.
        let_in: opens streams at the session's gate.
        changed: called when there is something new to tell.
    """

    def __init__(
        self, address: str | None, let_in: LetIn, *, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._address = address
        self._let_in = let_in
        self._changed = changed
        self._exposure: Exposure | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], UUID] = {}
        self._try_at = 0.0
        self._window = 0.0
        self._new = 0
        self._word = asyncio.Event()
        self.guests = Guests()
        self.trouble: str | None = None
        """Why the port is not listened on though it is to be; None: nothing is wrong."""

    @property
    def listens(self) -> bool:
        """Whether somebody can connect."""
        return self._server is not None

    async def hold(self, exposure: Exposure | None, *, is_open: bool) -> None:
        """Have the port listened on, or not; what cannot be is tried again at a later call.

        Args:
            exposure: which port, with which password. When it is another one than before, all
                who came in by that are cut off.
            is_open: whether the session is to be reached now. If it is not, nobody new comes in;
                the others hear from its gate why it ends.
        """
        if exposure != self._exposure:
            self._shut()
            self._cut(CloseReason.REVOKED, "The port was given another password, or none.")
            self._exposure = exposure
            self._try_at = 0.0
        if exposure is None or not is_open:
            if self._server is not None:
                self.guests.ending(CloseReason.SESSION_ENDED, "The session runs no longer.")
            self._shut()
            self.trouble = None
        elif self._server is None and time.monotonic() >= self._try_at:
            await self._open(exposure)

    def closed(self, news: Closed) -> None:
        """Hear from the gate why a stream was closed."""
        self.guests.closed(news)
        self._word.set()

    async def close(self) -> None:
        """Listen no more, and cut off everybody."""
        self._shut()
        self._exposure = None
        self.trouble = None
        tasks = tuple(self._connections)
        self._cut(CloseReason.SESSION_ENDED, "The session's port was closed.")
        await asyncio.gather(*tasks, return_exceptions=True)

    # Inside

    async def _open(self, exposure: Exposure) -> None:
        if self._address is None:
            self.trouble = "This agent listens on no port (PORTHOLE_AGENT_RDP_LISTEN is empty)."
            return
        try:
            self._server = await asyncio.start_server(
                self._came, self._address, exposure.port, limit=_CHUNK, backlog=2 * A_SECOND
            )
        except OSError as error:
            self._try_at = time.monotonic() + _TRIED_AGAIN_AFTER
            before, self.trouble = self.trouble, why_not(error, self._address, exposure.port)
            if before != self.trouble:
                _log.warning("port_not_listened_on", port=exposure.port, why=self.trouble)
        else:
            self.trouble = None

    def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _cut(self, reason: str, message: str) -> None:
        for task, stream in self._connections.items():
            self.guests.cut(stream, reason, message)
            task.cancel()

    def _room(self) -> bool:
        now = time.monotonic()
        if now - self._window >= 1.0:
            self._window, self._new = now, 0
        self._new += 1
        return self._new <= A_SECOND and len(self._connections) < AT_ONCE

    async def _came(self, reader: StreamReader, writer: StreamWriter) -> None:
        task, exposure = asyncio.current_task(), self._exposure
        if task is None or exposure is None or self._server is None or not self._room():
            DOORS.labels("turned_away").inc()
            writer.transport.abort()
            return
        stream, counted, how = uuid4(), _Bytes(), "done"
        self._connections[task] = stream
        try:
            try:
                await self._carry(reader, writer, stream, exposure.password, counted)
            except (OSError, PortholeError) as error:  # TimeoutError is an OSError
                how = "failed"
                writer.transport.abort()
                _log.info("port_connection_failed", stream=str(stream), why=str(error))
            await self._last_word(stream)  # programs that are killed leave with a reset
        except asyncio.CancelledError:
            how = "cut"  # by us; nobody waits for this task
        finally:
            del self._connections[task]
            writer.transport.abort()
            DOORS.labels(how).inc()
            self.guests.left(
                stream,
                datetime.now(UTC),
                to_viewer=counted.to_viewer,
                from_viewer=counted.from_viewer,
            )
            self._changed()

    async def _carry(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        stream: UUID,
        password: str,
        counted: _Bytes,
    ) -> None:
        async with asyncio.timeout(_FIRST_WORD_WITHIN):
            first = await reader.read(_CHUNK)
        if not first:
            return
        self.guests.came(stream, datetime.now(UTC))
        async with asyncio.timeout(_GATE_WITHIN):
            from_gate, to_gate, answer = await self._let_in(stream, password)
        try:
            to_gate.write(first)
            writer.write(answer)
            counted.from_viewer, counted.to_viewer = len(first), len(answer)
            await _pump((reader, writer), (from_gate, to_gate), counted)
            with contextlib.suppress(OSError):  # what the gate has said last is still on its way
                writer.close()
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
        finally:
            to_gate.transport.abort()

    async def _last_word(self, stream: UUID) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD_WITHIN):
                while not self.guests.explained(stream):
                    self._word.clear()
                    await self._word.wait()


def why_not(error: OSError, address: str, port: int) -> str:
    """Return why a port cannot be listened on, for people."""
    match error.errno:
        case errno.EADDRINUSE:
            why = "something else on this machine listens there; it is tried again"
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; it is tried again"
        case _:
            why = f"{os.strerror(error.errno or 0).lower()}; it is tried again"
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port} cannot be listened on: {why}."


async def _pump(
    viewer: tuple[StreamReader, StreamWriter],
    gate: tuple[StreamReader, StreamWriter],
    counted: _Bytes,
) -> None:
    """Carry bytes both ways until one side ends."""

    def down(count: int) -> None:
        counted.to_viewer += count
        _TO_VIEWER.inc(count)

    def up(count: int) -> None:
        counted.from_viewer += count
        _FROM_VIEWER.inc(count)

    await until_one_ends(_one_way(gate[0], viewer[1], down), _one_way(viewer[0], gate[1], up))


async def _one_way(
    source: StreamReader, target: StreamWriter, passed: Callable[[int], None]
) -> None:
    target.transport.set_write_buffer_limits(high=_CHUNK)
    while data := await source.read(_CHUNK):
        target.write(data)
        passed(len(data))
        async with asyncio.timeout(_STALLED):
            await target.drain()
