"""What a thousand agents cost that are linked and have nothing to do."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from websockets.asyncio.client import connect

from bench.agents import QuickAgent, a_quick_agent, ws_url
from bench.figures import Figure
from bench.fleet import memory, processor
from bench.instance import Instance

_COUNT = 1000
_AT_ONCE = 8
_REST = 10.0
_LOOK = 30.0


@asynccontextmanager
async def _bare() -> AsyncIterator[tuple[int, str]]:
    """Run a server of bare WebSockets; yield its process id and its URL."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.pid, f"ws://127.0.0.1:{int(await server.stdout.readline())}"
    finally:
        server.stdin.close()
        await server.wait()


async def _bytes_of_bare_ones() -> float:
    """Return what each of as many bare WebSockets takes in its server's memory."""
    async with _bare() as (pid, url), AsyncExitStack() as stack:
        async with connect(url, compression=None):  # whatever the first one loads
            before = memory(pid)
        for _ in range(_COUNT):
            await stack.enter_async_context(connect(url, compression=None, ping_interval=None))
        await asyncio.sleep(1)
        return (memory(pid) - before) / _COUNT


async def _enrol(instance: Instance) -> list[QuickAgent]:
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> QuickAgent:
        async with few:
            return await a_quick_agent(instance, f"idle-{number}")

    return list(await asyncio.gather(*(one(number) for number in range(_COUNT))))


async def measure(instance: Instance) -> list[Figure]:
    """Measure the control plane's share of a core and its memory, with and without agents."""
    bare = await _bytes_of_bare_ones()
    pid = await instance.part("control-plane")
    # Connections of the database's pool, compiled statements: whatever comes with the first few.
    agents = await _enrol(instance)
    async with AsyncExitStack() as stack:
        for agent in agents[:20]:
            await stack.enter_async_context(agent.linked(ws_url(instance)))
            agent.describe()
        await asyncio.sleep(_REST)
        before, began = memory(pid), processor(pid)
        await asyncio.sleep(_REST)
        usual = (processor(pid) - began) / _REST
        for agent in agents[20:]:
            await stack.enter_async_context(agent.linked(ws_url(instance)))
            agent.describe()
        await asyncio.sleep(_REST)
        began = processor(pid)
        await asyncio.sleep(_LOOK)
        share = (processor(pid) - began) / _LOOK
        each = (memory(pid) - before) / (_COUNT - 20)
        lost = sum(agent.goodbye is not None or not agent.channel.attached for agent in agents)
    if lost:
        raise RuntimeError(f"{lost} of {_COUNT} agents lost their links.")
    return [
        Figure(
            name=f"{_COUNT:,} idle agents, share of a core",
            value=share * 100,
            unit="%",
            baseline=max(usual * 100, 0.01),
            against="with 20 of them",
            better="less",
            goal=5,
            judged="value",
        ),
        Figure(
            name="memory of an idle agent's link",
            value=each / 1024,
            unit="KiB",
            baseline=bare / 1024,
            against="a bare WebSocket",
            better="less",
            goal=2,
            judged="ratio",
        ),
    ]
