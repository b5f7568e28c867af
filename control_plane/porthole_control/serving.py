"""The listeners of one process: the public port, the same with TLS, and the internal one.

All run in one event loop and share one application; sockets are bound before anything else
starts, so that a port in use is said in a sentence and nothing is half begun.
"""

import asyncio
import contextlib
import os
import signal
import socket
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from porthole_contract.errors import PortholeError
from porthole_control.certificate import Certificate
from porthole_control.http_server import HttpServerProtocol
from porthole_control.sockets import GOING_AWAY
from porthole_control.websocket_server import WebSocketServerProtocol

_DRAIN_SECONDS = 5
_LONGEST_FRAME = 4 * 1024 * 1024
"""The largest WebSocket message that is taken in, in bytes."""


class CannotListen(PortholeError):
    """An address cannot be listened on; the sentence says which and why."""

    code = "cannot_listen"


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket and what is served on it."""

    socket: socket.socket
    app: Any
    certificate: Certificate | None = None


def bind_tcp(address: str, port: int) -> socket.socket:
    """Return a socket bound to an address; port 0 takes a free one.

    Raises:
        CannotListen: it is in use, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise CannotListen(
            f"{address} port {port} cannot be listened on: {error.strerror}. Take another port,"
            " or end what uses it."
        ) from error
    return bound


def bind_unix(path: Path) -> socket.socket:
    """Return a socket bound to a path that only we can connect to.

    A socket that was left by a process that died is replaced.

    Raises:
        CannotListen: it cannot be made.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        before = os.umask(0o177)
        try:
            bound.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        bound.close()
        raise CannotListen(f"{path} cannot be listened on: {error.strerror or error}.") from error
    return bound


class _Server(uvicorn.Server):
    """A server that leaves signals to us, who run several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _telling(app: Any, going: asyncio.Event) -> Any:
    """Return `app`, whose handlers can find out that the server stops."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[GOING_AWAY] = {"event": going}
        await app(scope, receive, send)

    return told


def _server(listener: Listener, going: asyncio.Event) -> _Server:
    secured: dict[str, Any] = {}
    if listener.certificate is not None:
        secured = {
            "ssl_certfile": listener.certificate.chain,
            "ssl_keyfile": listener.certificate.key,
        }
    return _Server(
        uvicorn.Config(
            _telling(listener.app, going),
            http=HttpServerProtocol,
            ws=WebSocketServerProtocol,
            # Desktops' pictures are compressed already; deflating costs time and memory.
            ws_per_message_deflate=False,
            ws_max_size=_LONGEST_FRAME,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            **secured,
        )
    )


async def serve(listeners: Sequence[Listener], *, going: asyncio.Event) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        listeners: what to serve, and where.
        going: set when the end begins; whoever has a long conversation ends it then.
    """
    servers = [_server(listener, going) for listener in listeners]
    loop = asyncio.get_running_loop()

    def end() -> None:
        going.set()
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    async with asyncio.TaskGroup() as tasks:
        for server, listener in zip(servers, listeners, strict=True):
            tasks.create_task(server.serve(sockets=[listener.socket]))
