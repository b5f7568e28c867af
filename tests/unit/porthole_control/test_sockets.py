"""A socket whose other end reads nothing."""

import asyncio
from typing import Any

import pytest

from porthole_control import sockets
from porthole_control.sockets import Socket


async def test_who_reads_nothing_is_not_waited_for_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "CLOSING_SECONDS", 0.01)
    tried: list[str] = []

    async def hear() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        tried.append(message["type"])
        await asyncio.Event().wait()

    socket = Socket({"type": "websocket", "headers": []}, hear, send)
    async with asyncio.timeout(5):
        await socket.close(1000, "over", last="goodbye")
    assert tried == ["websocket.send"]
