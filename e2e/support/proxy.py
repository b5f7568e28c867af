"""A reverse proxy as ingress controllers are: TLS ends here, and begins anew behind it.

It knows of HTTP what a proxy must: a request's head, in which it changes what controllers
change. Each connection has one request; what follows its head, WebSockets too, is carried as it
is. It lives in a thread, so that stories may wait for programs that come through it.
"""

import asyncio
import contextlib
import hashlib
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porthole_operator.certificates import certificate
from tests.support.ports import free_port

HOST = "localhost"
_CHUNK = 65536
_ELSEWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BROKEN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_OF_A_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})


@dataclass(frozen=True)
class Manner:
    """What a controller does to what it passes on.

    Args:
        below: the path that is led to the control plane, without a slash at its end.
        strips: whether it takes that path off.
        forwards: whether it says in headers who asked, for what, and how.
    """

    below: str
    strips: bool = False
    forwards: bool = False


def passed_on(head: bytes, manner: Manner, client: str) -> bytes | None:
    """Return the head of a request as it is passed on; None if it is for something else.

    Args:
        head: request line and headers, with the empty line that ends them.
        manner: how.
        client: the address of who asks.
    """
    line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = line.split(" ")
    path = target.partition("?")[0]
    if path != manner.below and not path.startswith(f"{manner.below}/"):
        return None
    if manner.strips:
        target = f"/{target.removeprefix(manner.below).removeprefix('/')}"
    headers = [(name, value.strip()) for name, _, value in (one.partition(":") for one in lines)]
    said = {name.lower(): value for name, value in headers}
    kept = [(name, value) for name, value in headers if name.lower() not in _OF_A_HOP]
    if said.get("upgrade", "").lower() == "websocket":
        kept += [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    else:
        kept += [("Connection", "close")]
    if manner.forwards:
        host, _, port = said["host"].partition(":")
        kept += [
            ("X-Real-IP", client),
            ("X-Forwarded-For", client),
            ("X-Forwarded-Host", said["host"]),
            ("X-Forwarded-Port", port or "443"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Scheme", "https"),
            ("X-Forwarded-Server", host),
            ("X-Scheme", "https"),
        ]
        if manner.strips:
            kept += [("X-Forwarded-Prefix", manner.below)]
    changed = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in kept)]
    return "\r\n".join([*changed, "", ""]).encode("latin-1")


class Front:
    """One proxy, on a port of 127.0.0.1.

    Attributes:
        manner: what it does to the requests that come from now on.
        port: where it is.
        strays: the request lines that were not for what it leads to.
    """

    def __init__(self, manner: Manner, leads_to: int, files: dict[str, bytes]) -> None:
        self.manner = manner
        self.port = free_port()
        self.strays: list[str] = []
        self._leads_to = leads_to
        self._files = files
        self._behind = ssl.create_default_context()
        self._name = HOST
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What people type."""
        return f"https://{HOST}:{self.port}{self.manner.below}"

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that it shows."""
        pem = self._files["tls.crt"].decode("ascii")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def trust(self, authority: bytes, name: str) -> None:
        """Believe what is behind it if this authority (PEM) vouches for that name."""
        self._behind = ssl.create_default_context(cadata=authority.decode("ascii"))
        self._name = name

    @classmethod
    @contextmanager
    def open(cls, below: str, leads_to: int, folder: Path) -> Iterator["Front"]:
        """Serve for as long as the context lasts.

        Args:
            below: the path that it leads on.
            leads_to: the port of 127.0.0.1 that is behind it.
            folder: for its certificate.
        """
        files = certificate("Front", [HOST, "127.0.0.1"])
        front = cls(Manner(below), leads_to, files)
        chain, key = folder / "front.crt", folder / "front.key"
        chain.write_bytes(files["tls.crt"])
        key.write_bytes(files["tls.key"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="front", daemon=True)
        thread.start()

        def does(one: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(one, loop).result(20)

        try:
            server = does(asyncio.start_server(front._accept, HOST, front.port, ssl=context))
            yield front
            does(front._end(server))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        client = writer.get_extra_info("peername")[0]
        passed = passed_on(head, self.manner, client)
        if passed is None:
            self.strays.append(head.partition(b"\r\n")[0].decode("latin-1"))
            writer.write(_ELSEWHERE)
            await writer.drain()
            return
        try:
            there, behind = await asyncio.open_connection(
                "127.0.0.1", self._leads_to, ssl=self._behind, server_hostname=self._name
            )
        except OSError:
            writer.write(_BROKEN)
            await writer.drain()
            return
        try:
            behind.write(passed)
            await _either(_pump(reader, behind), _pump(there, writer))
        finally:
            behind.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _either(*ways: Coroutine[Any, Any, None]) -> None:
    """Carry both ways until one side has ended: in TLS nobody ends halfway."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
