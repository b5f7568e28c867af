"""Where connections come in: TLS, a preface within its deadline, an answer.

Somebody who has shown no grant yet is a stranger; there may only be so many at a time, and
each has only so long, from the first byte of TLS on.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from porthole_contract.errors import Refused, RemoteProtocolError, TooOld
from porthole_contract.stream import preface
from porthole_desktop.gate.gate import Gate
from porthole_desktop.gate.side import Side
from porthole_desktop.gate.sockets import listener

_PAUSE: Final = 0.2
"""Seconds to wait when there is no descriptor left for a new connection."""


class Doorway:
    """Listens for one gate.

    Args:
        gate: who decides, and takes over those who are let in.
        tls: the gate's side of it.
    """

    def __init__(self, gate: Gate, tls: ssl.SSLContext) -> None:
        self._gate = gate
        self._tls = tls
        self._strangers: set[Stranger] = set()
        self._sides: set[Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    def open(self, address: str) -> None:
        """Begin to listen.

        Raises:
            Invalid: the address means nothing.
            OSError: it cannot be listened on.
        """
        self._listener = listener(address)
        self._task(self._accept(self._listener))

    def close(self) -> None:
        """Listen no more; strangers are sent away."""
        for task in self._tasks:
            task.cancel()
        if self._listener is not None:
            self._listener.close()
        for stranger in list(self._strangers):
            stranger.deny("gate_stopped", "The gate is being stopped.")

    async def gone(self, seconds: float) -> None:
        """Wait until everybody has left, but no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for side in list(self._sides):
                    await side.over.wait()

    @property
    def address(self) -> str:
        """What is listened on, with the port that the system chose for port 0."""
        name = None if self._listener is None else self._listener.getsockname()
        return f"tcp:{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"

    async def _accept(self, made: socket.socket) -> None:
        # Not by `create_server`: that would do TLS before it tells us of anybody.
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(made)
            except OSError as error:
                self._gate.say(f"A connection could not be accepted: {error.strerror}.")
                await asyncio.sleep(_PAUSE)
                continue
            if len(self._strangers) >= self._gate.config.limits.strangers:
                connection.close()
                continue
            self._task(self._secure(connection))

    async def _secure(self, connection: socket.socket) -> None:
        """Do TLS; then the stranger has its deadline for the preface."""
        seconds = self._gate.config.limits.preface_seconds
        stranger = Stranger(self._gate, self._strangers)
        side = stranger.side
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: side,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, ssl.SSLError) as error:
            self._gate.say(f"A stranger did not manage TLS: {error}")
            connection.close()
            stranger.lost(side)
            return
        stranger.wait(seconds)
        self._sides.add(side)
        await side.over.wait()
        self._sides.discard(side)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Stranger:
    """A connection that has not shown a grant yet."""

    def __init__(self, gate: Gate, strangers: "set[Stranger]") -> None:
        self.side = Side(self)
        self._gate = gate
        self._strangers = strangers
        self._decoder = preface.Decoder()
        self._deadline: asyncio.TimerHandle | None = None
        strangers.add(self)

    def wait(self, seconds: float) -> None:
        """Give it so long to show a preface, if it has not shown it yet."""
        if self not in self._strangers:
            return
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._too_late)

    def received(self, side: Side, data: bytes) -> None:
        """A part of the preface has come."""
        try:
            whole = self._decoder.feed(data)
            if whole is None:
                return
            value, rest = whole
            admission = self._gate.admit(preface.read_request(value))
        except TooOld as error:
            self.deny(error.code, str(error))
        except RemoteProtocolError as error:
            self._send_away(error.code, str(error))
        except Refused as refusal:
            self.deny(refusal.code, refusal.sentence)
        else:
            self._forget()
            side.write(preface.encode(preface.Admitted()))
            self._gate.open(side, admission, rest)

    def writable(self, side: Side, *, can: bool) -> None:
        """Nothing to do: a stranger gets one answer."""
        del side, can

    def lost(self, side: Side) -> None:
        """The stranger left."""
        del side
        self._forget()

    def deny(self, code: str, sentence: str) -> None:
        """Answer no, and close."""
        fault = preface.Fault(code=code, message=sentence[:1000])
        self.side.write(preface.encode(preface.Denied(error=fault)))
        self._send_away(code, sentence)

    def _send_away(self, code: str, sentence: str) -> None:
        """Close: who does not speak as those do whom a gate lets in is not told what it is."""
        self._forget()
        self._gate.say(f"A stranger is sent away ({code}): {sentence}")
        self.side.finish()

    def _too_late(self) -> None:
        self._send_away("preface_late", "The preface did not come in time.")

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._strangers.discard(self)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a server's context: TLS 1.3 alone, since both ends are ours.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: they are no certificate and key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # nobody resumes: a grant opens one stream
    context.load_cert_chain(certificate, key)
    return context
