"""One end of a connection: bytes out of it to whoever owns it, bytes into it, pauses.

Reading stops while anybody holds the side; that is all the back-pressure there is. What
waits to be written is bounded by `HIGH` plus what one reading of the other side brings.
"""

import asyncio
import contextlib
import select
from collections.abc import Sequence
from typing import Final, Protocol, cast

from porthole_desktop.gate.rfb.flow import Piece

CHUNK: Final = 64 * 1024
HIGH: Final = 128 * 1024
LOW: Final = 32 * 1024
GOODBYE: Final = 1.0
"""Seconds in which what waits may still be written, when a side is closed."""


class Owner(Protocol):
    """Who is told what happens on a side."""

    def received(self, side: "Side", data: bytes) -> None:
        """Bytes have come."""

    def writable(self, side: "Side", *, can: bool) -> None:
        """The other end takes what is written, or does not for now."""

    def lost(self, side: "Side") -> None:
        """The connection is over, whoever ended it."""


class Side(asyncio.BufferedProtocol):
    """A protocol whose `owner` may change while it lives."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.closing = False
        self.sent = 0
        self.received = 0
        self._buffer = bytearray(CHUNK)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.Transport | None = None
        self._holders: set[str] = set()
        self.over = asyncio.Event()
        """Set when the connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; told by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH, low=LOW)
        if self.closing:
            self._transport.abort()
        elif self._holders:
            self._transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the loop may write what it reads."""
        del sizehint
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        if self.closing:
            return
        self.received += nbytes
        self.owner.received(self, bytes(self._view[:nbytes]))

    def eof_received(self) -> bool:
        """Close both directions: half a stream is none."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End; told by the loop."""
        del exc
        self.closing = True
        self.over.set()
        self.owner.lost(self)

    def pause_writing(self) -> None:
        """Told by the loop: too much waits."""
        self.owner.writable(self, can=False)

    def resume_writing(self) -> None:
        """Told by the loop: there is room again."""
        self.owner.writable(self, can=True)

    def write(self, *pieces: Piece) -> None:
        """Write, or keep until it can be written."""
        self.write_all(pieces)

    def write_all(self, pieces: Sequence[Piece]) -> None:
        """Write several pieces as one."""
        if self.closing or self._transport is None or not any(pieces):
            return
        self.sent += sum(map(len, pieces))
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.write(b"".join(pieces))

    @property
    def made(self) -> bool:
        """Whether there has been a connection."""
        return self._transport is not None

    @property
    def waiting(self) -> int:
        """Bytes that wait to be written."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def left(self) -> bool:
        """Whether the other end has closed, which who does not read is not told."""
        # The loop's own socket says what no SSL transport does: whether more can ever come.
        made = None if self._transport is None else self._transport.get_extra_info("socket")
        if made is None or made.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(made.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def hold(self, why: str) -> None:
        """Read nothing until `release(why)`."""
        if not self._holders and self._transport is not None and not self.closing:
            self._transport.pause_reading()
        self._holders.add(why)

    def release(self, why: str) -> None:
        """Read again, unless somebody else holds it."""
        if why not in self._holders:
            return
        self._holders.discard(why)
        if not self._holders and self._transport is not None and not self.closing:
            self._transport.resume_reading()

    def finish(self) -> None:
        """Close: what waits is written if that goes quickly, then it is over."""
        if self.closing:
            return
        self.closing = True
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(GOODBYE, self._transport.abort)

    def hang_up(self) -> None:
        """Say no more after what waits, and close when the other end does, `GOODBYE` at the most.

        What it says meanwhile is thrown away, so that it is not too busy with that to hear us.
        """
        if self.closing:
            return
        self.closing = True
        if self._transport is not None:
            if self._holders:
                self._transport.resume_reading()
            with contextlib.suppress(OSError):  # it has hung up itself
                self._transport.write_eof()
            asyncio.get_running_loop().call_later(GOODBYE, self._transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()
