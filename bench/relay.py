"""One hop of ours beside one hop of socat, both between the same two WebSocket ends."""

import asyncio
import contextlib
import shutil
import time
from statistics import median
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from bench.agents import a_quick_agent, until_linked, ws_url
from bench.figures import Figure
from bench.instance import Instance
from porthole_contract.link.commands import OpenStream
from tests.support.ports import free_port

_CHUNK = bytes(64 * 1024)
_FOR = 3.0
_ROUNDS = 5
_BINARY: Any = ["binary"]
_OPTIONS: dict[str, Any] = {"compression": None, "max_size": None, "max_queue": 4}


async def _flood(socket: Any) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.send(_CHUNK)


async def _receive(socket: Any) -> float:
    """Return bytes a second."""
    await socket.recv()
    begun, seen = time.perf_counter(), 0
    while time.perf_counter() - begun < _FOR:
        seen += len(await socket.recv())
    return seen / (time.perf_counter() - begun)


async def _through_socat() -> float:
    """Return bytes a second from one WebSocket end to the other through one socat."""
    if shutil.which("socat") is None:
        raise RuntimeError("socat is the baseline: apt-get install socat")
    port = free_port()
    async with serve(_flood, "127.0.0.1", 0, **_OPTIONS) as server:
        target = next(iter(server.sockets)).getsockname()[1]
        socat = await asyncio.create_subprocess_exec(
            *("socat", "-b", "65536", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"),
            f"TCP:127.0.0.1:{target}",
        )
        try:
            await asyncio.sleep(0.3)
            async with connect(f"ws://127.0.0.1:{port}", **_OPTIONS) as socket:
                rate = await _receive(socket)
                socket.transport.abort()
                return rate
        finally:
            socat.terminate()
            await socat.wait()


async def measure(instance: Instance) -> list[Figure]:
    """Measure bytes through the control plane between a viewer and an agent's dial-back."""
    agent = await a_quick_agent(instance)

    async def dial_back(item: OpenStream) -> None:
        headers = {"Authorization": f"Bearer {item.secret}"}
        async with connect(
            item.url, additional_headers=headers, subprotocols=_BINARY, **_OPTIONS
        ) as socket:
            await _flood(socket)

    agent.on_stream = dial_back
    ours, theirs = [], []
    async with agent.linked(ws_url(instance)):
        agent.describe()
        await until_linked(instance.api, agent)
        body = {"template": "desktop", "agent": "quick"}
        session = (await instance.api.post("/api/v1/sessions", json=body)).raise_for_status()
        path = f"/api/v1/sessions/{session.json()['id']}"
        while (await instance.api.get(path)).json()["phase"] != "Running":
            await asyncio.sleep(0.05)
        for _ in range(_ROUNDS):
            ticket = await instance.api.post(f"{path}/tickets", json={"mode": "control"})
            url = ticket.raise_for_status().json()["url"]
            async with connect(url, subprotocols=_BINARY, **_OPTIONS) as socket:
                ours.append(await _receive(socket))
                socket.transport.abort()
            theirs.append(await _through_socat())
    return [
        Figure(
            name="one relay hop",
            value=median(ours) / 1e6,
            unit="MB/s",
            baseline=median(theirs) / 1e6,
            against="one socat hop",
            better="more",
            goal=0.7,
            judged="ratio",
            note="64 KiB messages, both ends in one process, one core left for the hop",
        )
    ]
