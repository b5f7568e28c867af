"""A port-forward to a pod, by the WebSocket that the API server has for it.

Each binary message is a channel's number (0: bytes, 1: what went wrong) and content; the first
two bytes of each channel repeat the port. There is no half-close: when one side ends, both do.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import IntEnum
from typing import Final, Protocol

import aiohttp

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.cluster import Cluster
from porthole_kube.kinds import PODS

_PROTOCOL: Final = "v4.channel.k8s.io"
_PORT: Final = 2
"""Bytes that repeat the port."""
_CHUNK: Final = 32 * 1024
_LONGEST: Final = 1000
_WITHIN: Final = 15.0


class _Channel(IntEnum):
    BYTES = 0
    TROUBLE = 1


class Dialler(Protocol):
    """How a port of a pod is reached."""

    def dial(self, pod: str, port: int) -> AbstractAsyncContextManager[socket.socket]:
        """Return a connected socket, which whoever dials closes."""


class PortForward:
    """Reaches pods through the API server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @asynccontextmanager
    async def dial(self, pod: str, port: int) -> AsyncIterator[socket.socket]:
        """Yield a socket whose other end is a port of a pod; leaving the context ends it.

        Raises:
            Failure: it cannot be opened; the sentence says what to do.
        """
        path = PODS.path(self._cluster.choice.namespace, pod, "portforward")
        async with aiohttp.ClientSession(trust_env=False) as session:
            try:
                async with asyncio.timeout(_WITHIN):
                    tunnel = await self._cluster.socket(
                        session, path, {"ports": str(port)}, _PROTOCOL
                    )
            except aiohttp.WSServerHandshakeError as error:
                raise refusal(error.status, pod) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Failure(
                    f"The port-forward cannot be opened: {error or 'time is up'}.",
                    Exit.UNREACHABLE,
                ) from error
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(tunnel.close)
                ours, theirs = socket.socketpair()
                bridge = _Bridge(tunnel, ours)
                task = asyncio.create_task(bridge.run(), name=f"port-forward to {pod}")
                stack.push_async_callback(_ended, task)
                try:
                    yield theirs
                except Failure as failure:
                    if bridge.trouble:
                        raise Failure(
                            f"{failure} The cluster says: {bridge.trouble}.", failure.code
                        ) from failure
                    raise


class _Bridge:
    """Carries bytes between a WebSocket of a port-forward and a socket.

    `trouble` is what the node said is wrong, if it did.
    """

    def __init__(self, tunnel: aiohttp.ClientWebSocketResponse, end: socket.socket) -> None:
        self._tunnel = tunnel
        self._end = end
        self._told = bytearray()

    @property
    def trouble(self) -> str:
        text = self._told[_PORT:_LONGEST].decode(errors="replace").strip().rstrip(".")
        return "".join(one if one.isprintable() else " " for one in text)

    async def run(self) -> None:
        """Carry bytes until one side ends."""
        reader, writer = await asyncio.open_connection(sock=self._end, limit=_CHUNK)
        tasks = {
            asyncio.create_task(self._down(writer)),
            asyncio.create_task(self._up(reader)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()

    async def _down(self, writer: asyncio.StreamWriter) -> None:
        skip = _PORT
        async for message in self._tunnel:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            content = memoryview(message.data)[1:]
            match message.data[0]:
                case _Channel.BYTES:
                    writer.write(bytes(content[skip:]))
                    skip -= min(skip, len(content))
                    await writer.drain()
                case _Channel.TROUBLE if len(self._told) < _LONGEST:
                    self._told += content
                case _:
                    pass

    async def _up(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            await self._tunnel.send_bytes(bytes((_Channel.BYTES,)) + data)


def refusal(status: int, pod: str) -> Failure:
    """Return what the API server means by not opening a port-forward (pure)."""
    match status:
        case 401 | 403:
            return Failure(
                f"You may not forward ports to pod {pod}, which is how its gate is reached. It"
                " takes the right to get and create pods/portforward.",
                Exit.NOT_ALLOWED,
            )
        case 404:
            return Failure(
                f"The pod {pod} is gone; the session may be starting anew.", Exit.CONFLICT
            )
        case _:
            return Failure(
                f"The port-forward cannot be opened: the API server answered {status}.",
                Exit.UNREACHABLE,
            )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
