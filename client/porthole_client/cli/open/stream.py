"""One stream: the browser's WebSocket on one side, the session's gate on the other.

Opaque bytes both ways; what one side does not take is not read from the other.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType, web

from porthole_client.cli.exits import Exit, Failure
from porthole_client.cli.open.desktop import Desktop
from porthole_client.cli.open.tickets import Opening
from porthole_contract.stream.closing import CloseReason

_CHUNK: Final = 64 * 1024
_CODES: Final = {
    Exit.UNREACHABLE: "agent_unreachable",
    Exit.TIMED_OUT: "agent_unreachable",
    Exit.CONFLICT: "session_not_running",
}
"""What a failure to open is to the viewer; all others are the gate's refusal."""


async def carry(
    viewer: web.WebSocketResponse, desktop: Desktop, opening: Opening, tell: Callable[[str], None]
) -> tuple[str, str]:
    """Carry a stream until it ends; return why it did, as a code and a sentence."""
    try:
        async with desktop.screen(opening) as (reader, writer, first):
            if first:
                await viewer.send_bytes(first)
            if await _pump(viewer, reader, writer):
                return CloseReason.VIEWER_LEFT, ""
        seen = await desktop.look()
    except Failure as failure:
        tell(str(failure))
        return _CODES.get(failure.code, "gate_refused"), str(failure)
    except (OSError, ConnectionError):
        return CloseReason.DESKTOP_LEFT, "The connection was lost."
    if seen.over:
        return CloseReason.SESSION_ENDED, seen.words
    if not seen.ready:
        return "session_not_running", seen.words
    return CloseReason.DESKTOP_LEFT, "The desktop closed the connection."


async def _pump(viewer: web.WebSocketResponse, reader: StreamReader, writer: StreamWriter) -> bool:
    """Carry bytes both ways until one side ends; return whether the viewer did."""

    async def down() -> None:
        while data := await reader.read(_CHUNK):
            await viewer.send_bytes(data)

    async def up() -> None:
        async for message in viewer:
            if message.type is WSMsgType.BINARY:
                writer.write(message.data)
                await writer.drain()

    writer.transport.set_write_buffer_limits(high=_CHUNK)
    tasks = [asyncio.create_task(down()), asyncio.create_task(up())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return viewer.closed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
