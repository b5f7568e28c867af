"""What listens on this machine for RDP or VNC programs and leads them to one session."""

import asyncio
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from porthole_client.errors import ClientError
from porthole_client.native import certificate, rdp, vnc
from porthole_client.native.legs import NotLetIn, Stream, carry
from porthole_client.native.password import OneTime
from porthole_contract.errors import RemoteProtocolError

if TYPE_CHECKING:
    import ssl

    from porthole_client.clients import AsyncSessions

ADDRESS: Final = "127.0.0.1"
VNC, RDP = "vnc", "rdp"
_GREETING: Final = 120.0
"""Seconds in which a program has to have been let in; a person may have to look at something."""
_WRONG: Final = 1.0
"""Seconds that a wrong password costs, whoever tries meanwhile."""
_MOST: Final = 8
"""Connections at one time; more are closed at once."""


def _nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told: each new password, and what happens."""

    password: Callable[[str], None] = _nothing
    news: Callable[[str], None] = _nothing


class Door:
    """The way to one session, for programs of this machine.

    Attributes:
        address: `host:port`, or the path of a unix socket.
        fingerprint: SHA-256 of the certificate that RDP programs see, lower hex; None for VNC.
    """

    def __init__(
        self, sessions: "AsyncSessions", session: UUID | str, over: str, mode: str, tell: Telling
    ) -> None:
        self.address = ""
        self.fingerprint: str | None = None
        self._sessions = sessions
        self._session = session
        self._over = over
        self._mode = mode
        self._tell = tell
        self._password = OneTime(tell.password)
        self._tls: ssl.SSLContext | None = None
        self._turn = asyncio.Lock()
        self._open: set[asyncio.Task[None]] = set()

    @property
    def password(self) -> str:
        """The password that the next connection has to know."""
        return self._password.now

    async def listen(self, made: socket.socket) -> asyncio.Server:
        """Begin to let programs in."""
        if self._over == RDP:
            self._tls, self.fingerprint = await asyncio.to_thread(certificate.make, "porthole")
        name = made.getsockname()
        self.address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)
        if made.family == socket.AF_UNIX:
            return await asyncio.start_unix_server(self._serve, sock=made)
        return await asyncio.start_server(self._serve, sock=made)

    async def close(self) -> None:
        """Cut all connections."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        if len(self._open) >= _MOST or task is None:
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            await self._let_in(reader, writer)
        except NotLetIn as refusal:
            self._tell.news(str(refusal))
            async with self._turn:
                await asyncio.sleep(_WRONG)
        except (RemoteProtocolError, ClientError, TimeoutError) as error:
            self._tell.news(str(error) or "A program was not let in in time.")
        except (OSError, EOFError, ConnectionClosed, InvalidHandshake):
            self._tell.news("A program has left before it was let in.")
        finally:
            self._open.discard(task)
            with suppress(OSError):
                writer.close()

    async def _let_in(self, reader: StreamReader, writer: StreamWriter) -> None:
        async with asyncio.timeout(_GREETING) as deadline:
            if self._over == VNC:
                version = await vnc.prove(reader, writer, self._password)
            else:
                await rdp.ask(reader, writer)
            try:
                async with self._sessions.connect(
                    self._session, mode=self._mode, channel=self._over
                ) as opened:
                    stream = Stream(opened)
                    if self._over == VNC:
                        await vnc.begin(stream)
                        vnc.admit(writer)
                    else:
                        await self._admit(reader, writer, stream)
                    deadline.reschedule(None)
                    self._tell.news("A program has connected.")
                    await carry(reader, writer, stream)
                    self._tell.news("A program is connected no more.")
            except (RemoteProtocolError, ClientError) as error:
                if self._over == VNC:
                    vnc.refuse(writer, version, str(error))
                raise

    async def _admit(self, reader: StreamReader, writer: StreamWriter, stream: Stream) -> None:
        if self._tls is None:
            raise NotLetIn("The door is not open.")
        confirmation = await rdp.begin(stream)
        await rdp.admit(
            reader, writer, stream, confirmation, tls=self._tls, password=self._password
        )


@asynccontextmanager
async def opened(
    sessions: "AsyncSessions",
    session: UUID | str,
    *,
    over: str,
    mode: str = "control",
    port: int = 0,
    path: Path | None = None,
    tell: Telling | None = None,
) -> AsyncIterator[Door]:
    """Have a door for as long as the context lasts.

    Args:
        sessions: where the session is.
        session: its id.
        over: `rdp` or `vnc`.
        mode: `control`, or `view` to look only.
        port: on 127.0.0.1; 0 takes a free one.
        path: of a unix socket, instead; it must not be there yet.
        tell: who is told of passwords and of what happens.

    Raises:
        OSError: it cannot be listened on.
    """
    door = Door(sessions, session, over, mode, tell or Telling())
    with _listening(port, path) as made:
        server = await door.listen(made)
        try:
            yield door
        finally:
            server.close()
            await door.close()


@contextmanager
def _listening(port: int, path: Path | None) -> Iterator[socket.socket]:
    """Have a socket on 127.0.0.1, or one at a path that is its owner's alone."""
    if path is None:
        with socket.socket() as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((ADDRESS, port))
            yield made
        return
    with socket.socket(socket.AF_UNIX) as made:
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        try:
            yield made
        finally:
            path.unlink(missing_ok=True)
